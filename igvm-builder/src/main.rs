//! The command line of `igvm-builder`.
#![forbid(unsafe_code)]

mod arguments;
mod commands;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // As diff(1) and cmp(1) have it.
    let failure = match &command {
        Command::Diff { .. } => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    };
    run(command).unwrap_or_else(|error| {
        eprintln!("igvm-builder: {error:#}");
        failure
    })
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Build {
            manifest,
            out,
            json,
        } => commands::build(&manifest, &out, json)?,
        Command::Inspect { file, json, svg } => commands::inspect(&file, json, svg.as_deref())?,
        Command::Diff {
            first,
            second,
            json,
        } => {
            return Ok(match commands::diff(&first, &second, json)? {
                true => ExitCode::SUCCESS,
                false => ExitCode::FAILURE,
            });
        }
        Command::Measure { file, json, kvm } => commands::measure(&file, json, kvm.host())?,
        Command::Sign(arguments) => commands::sign(&arguments)?,
        Command::Verify(arguments) => commands::verify(&arguments)?,
        Command::Flatten {
            elf,
            out,
            end,
            align,
        } => commands::flatten(&elf, &out, end, align)?,
    }
    Ok(ExitCode::SUCCESS)
}
