//! The command line of `rampart-verify`.
#![forbid(unsafe_code)]

mod output;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Parser, Subcommand};
use der::DateTime;
use protocols::snp::{GuestPolicy, PlatformInfo, TcbParts};
use rampart_verify::challenge::{Challenge, NONCE, SECRET};
use rampart_verify::demands::{
    Demands, Digest, PcrDemand, Scope, TcbDemand, platform_bit, policy_bit,
};
use rampart_verify::evidence::{Evidence, Expected};
use rampart_verify::hex;
use vtpm::wire::{Tpm2bPublic, Unmarshal};

/// Says claim by claim what the evidence of an SNP guest proves.
///
/// The evidence is a folder of files with fixed names (docs/verify.md), single files, or
/// single files in place of those of a folder. Each claim is proven, REFUTED (the
/// evidence says otherwise), unproven (evidence is missing, or what the claim rests on is
/// not proven) or unasked (it has a value, and no option demands one).
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_long_help = EXIT_STATUS)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    verify: VerifyArguments,
}

const EXIT_STATUS: &str = "\
Exit status:
  0  verified: all that was asked is proven
  1  refuted: at least one claim does not hold
  2  the evidence could not be looked at: a wrong option, an unreadable file
  3  incomplete: nothing is refuted, and something could not be told

Examples:
  rampart-verify --evidence target/attest --allow-test-root
  rampart-verify --report r.bin --vcek vcek.der --expect-digest any --min-tcb snp=8
  rampart-verify challenge --ek ek.pub --ak ak.pub --out evidence";

#[derive(Subcommand)]
enum Command {
    /// Make a nonce, and a credential that only the TPM with both keys can open.
    Challenge(ChallengeArguments),
}

#[derive(Args)]
struct ChallengeArguments {
    /// The endorsement key: TPM2B_PUBLIC, RSA.
    #[arg(long)]
    ek: PathBuf,
    /// The key that will quote: TPM2B_PUBLIC.
    #[arg(long)]
    ak: PathBuf,
    /// Where nonce.bin, credential.blob and credential.secret are written. The secret is
    /// not for the guest.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
struct VerifyArguments {
    /// The folder with the evidence.
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// The attestation report.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The host's certificate table.
    #[arg(long, value_name = "FILE")]
    certs: Option<PathBuf>,
    /// The certificate of the chip's key, DER or PEM.
    #[arg(long, value_name = "FILE")]
    vcek: Option<PathBuf>,
    /// The certificate of a provider's key, DER or PEM.
    #[arg(long, value_name = "FILE")]
    vlek: Option<PathBuf>,
    /// The ASK's certificate, DER or PEM; AMD's are built in.
    #[arg(long, value_name = "FILE")]
    ask: Option<PathBuf>,
    /// The ARK's certificate, DER or PEM; AMD's are built in.
    #[arg(long, value_name = "FILE")]
    ark: Option<PathBuf>,
    /// The verifier's nonce.
    #[arg(long, value_name = "FILE")]
    nonce: Option<PathBuf>,
    /// The services manifest.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// The event log.
    #[arg(long, value_name = "FILE")]
    eventlog: Option<PathBuf>,
    /// Reference values of the image (igvm-builder measure --json).
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,
    /// How far the evidence is to go; without it: to the end for a folder, else as far as
    /// there are files.
    #[arg(long, value_enum)]
    scope: Option<Scope>,

    /// Trust the root of the emulated machine, whose key anybody can compute.
    #[arg(long)]
    allow_test_root: bool,
    /// The time at which the certificates have to be valid, as 2026-11-22T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime>,

    /// The launch digest: 96 hexadecimal digits, a file with 48 bytes or with digits, an
    /// expected.json, or "any".
    #[arg(long, value_name = "DIGEST")]
    expect_digest: Option<String>,
    /// Allow a policy bit that is refused otherwise: debug, migrate-ma.
    #[arg(long, value_name = "BIT", value_parser = policy_bit, value_delimiter = ',')]
    allow_policy: Vec<GuestPolicy>,
    /// Policy bits that have to be set: smt, migrate-ma, debug, single-socket, cxl,
    /// aes-256-xts, rapl-disable, ciphertext-hiding, page-swap-disable.
    #[arg(long, value_name = "BIT", value_parser = policy_bit, value_delimiter = ',')]
    require_policy: Vec<GuestPolicy>,
    /// Policy bits that must not be set, beside debug and migrate-ma.
    #[arg(long, value_name = "BIT", value_parser = policy_bit, value_delimiter = ',')]
    forbid_policy: Vec<GuestPolicy>,
    /// The VMPL that the report was asked for at.
    #[arg(long, default_value_t = 0)]
    vmpl: u32,
    /// The least version of a part of the TCB: fmc, bootloader, tee, snp or microcode =
    /// number.
    #[arg(long, value_name = "PART=NUMBER", value_delimiter = ',')]
    min_tcb: Vec<TcbDemand>,
    /// Facts of the platform that have to be: smt, tsme, ecc, rapl-disabled,
    /// ciphertext-hiding, alias-check, tio.
    #[arg(long, value_name = "FACT", value_parser = platform_bit, value_delimiter = ',')]
    require_platform: Vec<PlatformInfo>,
    /// Facts of the platform that must not be, such as smt.
    #[arg(long, value_name = "FACT", value_parser = platform_bit, value_delimiter = ',')]
    forbid_platform: Vec<PlatformInfo>,
    /// The least version of the report.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    min_report_version: u32,
    /// The chip's ID, 128 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = hex::exactly::<64>)]
    chip_id: Option<[u8; 64]>,
    /// SHA-384 of the key that signed the ID block.
    #[arg(long, value_name = "HEX", value_parser = hex::exactly::<48>)]
    id_key: Option<[u8; 48]>,
    /// SHA-384 of the key that certified the ID key.
    #[arg(long, value_name = "HEX", value_parser = hex::exactly::<48>)]
    author_key: Option<[u8; 48]>,
    /// What the host gave at the launch.
    #[arg(long, value_name = "HEX", value_parser = hex::exactly::<32>)]
    host_data: Option<[u8; 32]>,
    /// The value of a PCR, as sha256:7=HEX.
    #[arg(long, value_name = "BANK:PCR=HEX")]
    pcr: Vec<PcrDemand>,

    /// The verdict as JSON.
    #[arg(long)]
    json: bool,
    /// Leave the events of the log out.
    #[arg(long)]
    no_events: bool,
}

/// The exit status when the evidence could not be looked at.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    match run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("rampart-verify: {error:#}");
            ExitCode::from(TROUBLE)
        }
    }
}

fn run() -> Result<u8> {
    let arguments = Arguments::parse();
    if let Some(Command::Challenge(arguments)) = arguments.command {
        challenge(&arguments)?;
        return Ok(0);
    }
    let arguments = arguments.verify;
    let evidence = evidence(&arguments)?;
    let demands = demands(&arguments, &evidence)?;
    let mut verdict = rampart_verify::verify(&evidence, &demands);
    if arguments.no_events {
        verdict.events.clear();
    }
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&verdict)? + "\n",
        false => output::text(&verdict),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        // A reader such as `head` may close the pipe early.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(verdict.outcome.exit_status()),
    }
}

fn evidence(arguments: &VerifyArguments) -> Result<Evidence> {
    let mut evidence = match &arguments.evidence {
        None => Evidence::default(),
        Some(folder) if !folder.is_dir() => bail!("{} is no folder", folder.display()),
        Some(folder) => Evidence::read(folder).map_err(|(path, error)| {
            anyhow!(error).context(format!("cannot read {}", path.display()))
        })?,
    };
    for (path, file) in [
        (&arguments.report, &mut evidence.report),
        (&arguments.certs, &mut evidence.certs),
        (&arguments.vcek, &mut evidence.vcek),
        (&arguments.vlek, &mut evidence.vlek),
        (&arguments.ask, &mut evidence.ask),
        (&arguments.ark, &mut evidence.ark),
        (&arguments.nonce, &mut evidence.nonce),
        (&arguments.manifest, &mut evidence.manifest),
        (&arguments.eventlog, &mut evidence.log),
        (&arguments.expected, &mut evidence.expected),
    ] {
        if let Some(path) = path {
            *file = Some(read(path)?);
        }
    }
    if evidence == Evidence::default() {
        bail!("there is no evidence: name a folder with --evidence, or a file with --report");
    }
    Ok(evidence)
}

fn demands(arguments: &VerifyArguments, evidence: &Evidence) -> Result<Demands> {
    let scope = match (arguments.scope, &arguments.evidence) {
        (Some(scope), _) => scope,
        (None, Some(_)) => Scope::All,
        (None, None) if evidence.log.is_some() => Scope::All,
        (None, None) if evidence.manifest.is_some() => Scope::Manifest,
        (None, None) => Scope::Report,
    };
    let now =
        || DateTime::from_unix_duration(SystemTime::now().duration_since(UNIX_EPOCH).ok()?).ok();
    let mut min_tcb = TcbParts::default();
    for demand in &arguments.min_tcb {
        demand.apply(&mut min_tcb);
    }
    Ok(Demands {
        scope,
        allow_test_root: arguments.allow_test_root,
        now: arguments.at.or_else(now),
        digest: arguments
            .expect_digest
            .as_deref()
            .map_or(Ok(Digest::OfEvidence), digest)?,
        allow_policy: arguments.allow_policy.iter().copied().collect(),
        require_policy: arguments.require_policy.iter().copied().collect(),
        forbid_policy: arguments.forbid_policy.iter().copied().collect(),
        vmpl: arguments.vmpl,
        min_tcb,
        has_min_tcb: !arguments.min_tcb.is_empty(),
        require_platform: arguments.require_platform.iter().copied().collect(),
        forbid_platform: arguments.forbid_platform.iter().copied().collect(),
        min_report_version: arguments.min_report_version,
        chip: arguments.chip_id,
        id_key: arguments.id_key,
        author_key: arguments.author_key,
        host_data: arguments.host_data,
        pcrs: arguments.pcr.clone(),
    })
}

/// A launch digest as the user gave it.
fn digest(text: &str) -> Result<Digest> {
    if text == "any" {
        return Ok(Digest::Any);
    }
    if let Ok(digest) = hex::exactly(text) {
        return Ok(Digest::Is(digest));
    }
    let bytes = read(Path::new(text)).context("the launch digest is neither digits nor a file")?;
    if let Ok(digest) = <[u8; 48]>::try_from(bytes.as_slice()) {
        return Ok(Digest::Is(digest));
    }
    let digits = match serde_json::from_slice::<Expected>(&bytes) {
        Ok(expected) => expected.launch_digest,
        Err(_) => String::from_utf8_lossy(&bytes).trim().to_owned(),
    };
    let digest = hex::exactly(&digits).map_err(|why| anyhow!("{text}: launch digest: {why}"))?;
    Ok(Digest::Is(digest))
}

fn challenge(arguments: &ChallengeArguments) -> Result<()> {
    let key = |path: &Path| -> Result<_> {
        let public = Tpm2bPublic::from_bytes(&read(path)?);
        let public = public.map_err(|rc| anyhow!("no TPM2B_PUBLIC: {rc:?}"));
        Ok(public.with_context(|| path.display().to_string())?.0)
    };
    let (ek, ak) = (key(&arguments.ek)?, key(&arguments.ak)?);
    let (mut nonce, mut secret) = ([0; NONCE], [0; SECRET]);
    getrandom::fill(&mut nonce).context("no random numbers")?;
    getrandom::fill(&mut secret).context("no random numbers")?;
    let challenge = Challenge::new(&secret, &ek, &ak)?;
    let folder = &arguments.out;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let files = Evidence {
        nonce: Some(nonce.to_vec()),
        credential_blob: Some(challenge.blob),
        credential_secret: Some(secret.to_vec()),
        ..Evidence::default()
    };
    files
        .write(folder)
        .map_err(|(path, error)| anyhow!(error).context(format!("cannot write {}", path.display())))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
