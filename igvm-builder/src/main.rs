//! The command line of `igvm-builder`.
#![forbid(unsafe_code)]

mod arguments;
mod commands;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("igvm-builder: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Build {
            manifest,
            out,
            json,
        } => commands::build(&manifest, &out, json),
        Command::Inspect { file, json } => commands::inspect(&file, json),
        Command::Measure { file, json, kvm } => commands::measure(&file, json, kvm.host()),
        Command::Sign(arguments) => commands::sign(&arguments),
        Command::Verify(arguments) => commands::verify(&arguments),
        Command::Flatten {
            elf,
            out,
            end,
            align,
        } => commands::flatten(&elf, &out, end, align),
    }
}
