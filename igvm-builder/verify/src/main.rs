//! The command line of `rampart-verify`.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::{Args, Parser, Subcommand};
use rampart_verify::challenge::{Challenge, NONCE, SECRET};
use vtpm::wire::{Tpm2bPublic, Unmarshal};

/// Says claim by claim what the evidence of an SNP guest proves.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

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

/// The exit status when the evidence could not be looked at.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    match run() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("rampart-verify: {error:#}");
            ExitCode::from(TROUBLE)
        }
    }
}

fn run() -> Result<ExitCode> {
    match Arguments::parse().command {
        Command::Challenge(arguments) => challenge(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
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
    for (name, bytes) in [
        ("nonce.bin", &nonce[..]),
        ("credential.blob", &challenge.blob),
        ("credential.secret", &secret),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
