//! The command line of `igvm-builder`.
#![forbid(unsafe_code)]

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use igvm_builder::elf::Executable;
use igvm_builder::kvm;
use igvm_builder::measure::{KvmHost, measure_with_kvm};

/// Builds and inspects IGVM images for AMD SEV-SNP guests.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build an image from its manifest.
    Build {
        /// The manifest, for example images/rampart.toml.
        manifest: PathBuf,
        /// Where the IGVM file is written.
        #[arg(long)]
        out: PathBuf,
    },
    /// Say what an IGVM file holds.
    Inspect {
        /// The IGVM file.
        file: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compute the launch digest of an IGVM file.
    ///
    /// By the file alone: its pages in their order and its VMSAs, those at the address
    /// where KVM has them after all pages. The emulated machine measures the same.
    ///
    /// With --check-kvm as QEMU (10.1 or later) with KVM has it measured: every field
    /// that they keep no account of is named, and a file that they refuse is refused.
    Measure {
        /// The IGVM file.
        file: PathBuf,
        /// As JSON: the reference values that rampart-verify takes.
        #[arg(long)]
        json: bool,
        /// Measure the VMSAs that QEMU and KVM make of the file's.
        #[arg(long)]
        check_kvm: bool,
        /// The guest's vCPUs: KVM measures a VMSA for each that exists at launch.
        #[arg(long, requires = "check_kvm", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=4096))]
        vcpus: u32,
        /// The processor, by the name that QEMU's -cpu takes (EPYC-v4, EPYC-Milan, ...) or by
        /// CPUID 1 EAX (0x800f12). It enters the digest with vCPUs that have no VMSA in the file.
        #[arg(long, requires = "check_kvm", value_name = "MODEL", value_parser = cpu)]
        cpu: Option<u32>,
    },
    /// Cut a flat firmware image (a ROM) out of an ELF file.
    ///
    /// The PT_LOAD segments are placed by physical address; the image ends at
    /// --end and is padded at the front to a multiple of --align.
    Flatten {
        /// The ELF file.
        elf: PathBuf,
        /// Where the image is written.
        #[arg(long)]
        out: PathBuf,
        /// The physical address after the image's last byte.
        #[arg(long, default_value = "0x100000000", value_parser = number)]
        end: u64,
        /// The image's size is a multiple of this (bytes).
        #[arg(long, default_value = "65536", value_parser = number)]
        align: u64,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("igvm-builder: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    match Arguments::parse().command {
        Command::Build { manifest, out } => build(&manifest, &out),
        Command::Inspect { file, json } => inspect(&file, json),
        Command::Measure {
            file,
            json,
            check_kvm,
            vcpus,
            cpu,
        } => {
            let host = KvmHost {
                vcpus,
                signature: cpu,
            };
            measure(&file, json, check_kvm.then_some(host))
        }
        Command::Flatten {
            elf,
            out,
            end,
            align,
        } => flatten(&elf, &out, end, align),
    }
}

fn build(manifest: &Path, out: &Path) -> Result<()> {
    let image = igvm_builder::build::build(manifest)?;
    for warning in &image.warnings {
        eprintln!("warning: {warning}");
    }
    write(out, &image.bytes)?;
    let cost = image.cost;
    println!(
        "{}: {} bytes; launch pages: {} measured ({} of them zero) + {} unmeasured = {}",
        out.display(),
        image.bytes.len(),
        cost.measured,
        cost.zero,
        cost.unmeasured,
        cost.total()
    );
    Ok(())
}

fn inspect(file: &Path, json: bool) -> Result<()> {
    let bytes = read(file)?;
    let report =
        igvm_builder::inspect::inspect(&bytes).with_context(|| file.display().to_string())?;
    let text = match json {
        true => serde_json::to_string_pretty(&report)? + "\n",
        false => report.to_string(),
    };
    print(&text)
}

fn measure(file: &Path, json: bool, host: Option<KvmHost>) -> Result<()> {
    let bytes = read(file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let measurement = match host {
        Some(host) => measure_with_kvm(&name, &bytes, host),
        None => igvm_builder::measure::measure(&name, &bytes),
    }
    .with_context(|| file.display().to_string())?;
    print(&match json {
        true => serde_json::to_string_pretty(&measurement)? + "\n",
        false => measurement.to_string(),
    })?;
    match &measurement.kvm {
        Some(kvm) if !kvm.refusals.is_empty() => {
            bail!("{}: refused by QEMU or KVM", file.display())
        }
        _ => Ok(()),
    }
}

fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // A reader such as `head` may close the pipe early.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn flatten(elf: &Path, out: &Path, end: u64, align: u64) -> Result<()> {
    let bytes = read(elf)?;
    let image = Executable::parse(&bytes)
        .and_then(|executable| executable.flatten(end, align))
        .with_context(|| elf.display().to_string())?;
    write(out, &image)?;
    println!("{}: {} bytes, ends at {end:#x}", out.display(), image.len());
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    }
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// A number in decimal or, with 0x, in hexadecimal; `_` may group digits.
fn number(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    }
    .map_err(|error| format!("{error}"))
}

/// A processor model of QEMU, or a signature.
fn cpu(text: &str) -> Result<u32, String> {
    let known = || kvm::models().collect::<Vec<_>>().join(", ");
    if let Some(signature) = kvm::model(text) {
        return Ok(signature);
    }
    match number(text).map(u32::try_from) {
        Ok(Ok(signature)) => Ok(signature),
        _ => Err(format!(
            "no known model ({}) and no signature such as 0x800f12",
            known()
        )),
    }
}
