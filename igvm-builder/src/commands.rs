//! What each command does with files and the console.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64ct::{Base64, Encoding};
use igvm_builder::elf::Executable;
use igvm_builder::measure::{KvmHost, measure_with_kvm};
use igvm_builder::sign::{Place, Report, Request};
use igvm_builder::verify::Expected;
use igvm_builder::{keys, sign, verify};
use serde::Serialize;
use zerocopy::{FromBytes, IntoBytes};

use crate::arguments;

/// What `build --json` says.
#[derive(Serialize)]
struct Built {
    out: PathBuf,
    bytes: usize,
    launch_pages: igvm_builder::cost::Cost,
    parts: BTreeMap<String, u64>,
    warnings: Vec<String>,
}

/// Of the file with the guest firmware that the host has to give.
const FIRMWARE_EXTENSION: &str = "firmware";

pub(crate) fn build(manifest: &Path, out: &Path, json: bool) -> Result<()> {
    let image = igvm_builder::build::build(manifest)?;
    for warning in &image.warnings {
        eprintln!("warning: {warning}");
    }
    write(out, &image.bytes)?;
    if let Some(firmware) = &image.firmware {
        write(&out.with_extension(FIRMWARE_EXTENSION), firmware)?;
    }
    let cost = image.cost;
    let bytes = image.bytes.len();
    let parts: Vec<String> = (image.parts.iter())
        .map(|(part, pages)| format!("{part} {pages}"))
        .collect();
    let text = format!(
        "{}: {bytes} bytes; launch pages: {} measured ({} of them zero) + {} unmeasured = {}\n  of these: {}\n",
        out.display(),
        cost.measured,
        cost.zero,
        cost.unmeasured,
        cost.total(),
        parts.join(", ")
    );
    let built = Built {
        out: out.to_owned(),
        bytes,
        launch_pages: cost,
        parts: image.parts,
        warnings: image.warnings,
    };
    report(json, &built, &text)
}

pub(crate) fn inspect(file: &Path, json: bool, svg: Option<&Path>) -> Result<()> {
    let bytes = read(file)?;
    let found =
        igvm_builder::inspect::inspect(&bytes).with_context(|| file.display().to_string())?;
    if let Some(path) = svg {
        let picture = igvm_builder::inspect::svg::svg(&name_of(file), &found.map);
        write(path, picture.as_bytes())?;
    }
    report(json, &found, &found)
}

/// Whether both files have the same launch digest.
pub(crate) fn diff(first: &Path, second: &Path, json: bool) -> Result<bool> {
    let (a, b) = (read(first)?, read(second)?);
    let names = [first, second].map(|path| path.display().to_string());
    let found = igvm_builder::diff::diff((&names[0], &a), (&names[1], &b));
    let found = found.map_err(|(name, error)| anyhow::Error::new(error).context(name))?;
    report(json, &found, &found)?;
    Ok(found.same_digest)
}

pub(crate) fn measure(file: &Path, json: bool, host: Option<KvmHost>) -> Result<()> {
    let bytes = read(file)?;
    let measured = match host {
        Some(host) => measure_with_kvm(&name_of(file), &bytes, host),
        None => igvm_builder::measure::measure(&name_of(file), &bytes),
    };
    let measurement = measured.with_context(|| file.display().to_string())?;
    report(json, &measurement, &measurement)?;
    match &measurement.kvm {
        Some(kvm) if !kvm.refusals.is_empty() => {
            bail!("{}: refused by QEMU or KVM", file.display())
        }
        _ => Ok(()),
    }
}

pub(crate) fn sign(arguments: &arguments::Sign) -> Result<()> {
    let path = &arguments.file;
    let bytes = read(path)?;
    let private = |path: &PathBuf| {
        keys::private(&read_text(path)?).with_context(|| path.display().to_string())
    };
    let id_key = private(&arguments.id_key)?;
    let author_key = arguments.author_key.as_ref().map(private).transpose()?;
    let request = Request {
        guest_svn: arguments.guest_svn,
        family_id: arguments.family_id.map_or([0; 16], |id| id.0),
        image_id: arguments.image_id.map_or([0; 16], |id| id.0),
        policy: arguments.policy,
        minimum_abi: arguments.min_abi,
        host: arguments.kvm.host(),
    };
    let place = match arguments.beside {
        Some(_) => Place::Beside,
        None => Place::Embedded,
    };
    let signed = sign::sign(
        &name_of(path),
        &bytes,
        &request,
        &id_key,
        author_key.as_ref(),
        place,
    )
    .with_context(|| path.display().to_string())?;
    let mut text = Report::of(&signed.id_block).to_string();
    if let Some(out) = &arguments.out {
        write(out, &signed.file)?;
        text += &format!("written to {}\n", out.display());
    }
    if let Some(prefix) = &arguments.beside {
        let block = signed.id_block.block.as_bytes();
        let auth = signed.id_block.authentication.as_bytes();
        for (suffix, bytes) in [("id-block", block), ("id-auth", auth)] {
            let path = beside(prefix, suffix);
            write(&path, (Base64::encode_string(bytes) + "\n").as_bytes())?;
            text += &format!("written to {}\n", path.display());
        }
    }
    report(arguments.json, &Report::of(&signed.id_block), &text)
}

pub(crate) fn verify(arguments: &arguments::Verify) -> Result<()> {
    let bytes = read(&arguments.file)?;
    let public = |path: &PathBuf| {
        keys::public(&read_text(path)?).with_context(|| path.display().to_string())
    };
    let beside = match (&arguments.id_block, &arguments.id_auth) {
        (Some(block), Some(auth)) => Some((structure(block)?, structure(auth)?)),
        _ => None,
    };
    let expected = Expected {
        signed: arguments.signed,
        id_key: arguments.id_key.as_ref().map(public).transpose()?,
        author_key: arguments.author_key.as_ref().map(public).transpose()?,
        beside,
        host: arguments.kvm.host(),
    };
    let name = name_of(&arguments.file);
    let found = verify::verify(&name, &bytes, &expected)
        .with_context(|| arguments.file.display().to_string())?;
    report(arguments.json, &found, &found)?;
    match found.good {
        true => Ok(()),
        false => bail!("{}: not good", arguments.file.display()),
    }
}

pub(crate) fn flatten(elf: &Path, out: &Path, end: u64, align: u64) -> Result<()> {
    let bytes = read(elf)?;
    let image = Executable::parse(&bytes)
        .and_then(|executable| executable.flatten(end, align))
        .with_context(|| elf.display().to_string())?;
    write(out, &image)?;
    println!("{}: {} bytes, ends at {end:#x}", out.display(), image.len());
    Ok(())
}

/// Prints one of both.
fn report(json: bool, data: &impl Serialize, text: &impl Display) -> Result<()> {
    let text = match json {
        true => serde_json::to_string_pretty(data)? + "\n",
        false => text.to_string(),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        // A reader such as `head` may close the pipe early.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// `prefix` with a suffix after a dot.
fn beside(prefix: &Path, suffix: &str) -> PathBuf {
    let mut path = prefix.as_os_str().to_owned();
    path.push(format!(".{suffix}"));
    path.into()
}

/// A structure of the secure processor from a file: binary, or in base64.
fn structure<T: FromBytes>(path: &Path) -> Result<T> {
    let bytes = read(path)?;
    if let Ok(value) = T::read_from_bytes(&bytes) {
        return Ok(value);
    }
    let text = String::from_utf8_lossy(&bytes);
    let decoded = Base64::decode_vec(text.trim()).ok();
    decoded
        .and_then(|bytes| T::read_from_bytes(&bytes).ok())
        .with_context(|| {
            let size = size_of::<T>();
            format!("{}: not {size} bytes, binary or in base64", path.display())
        })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    }
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
