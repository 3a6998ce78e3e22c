//! Measures `vtpm-server` against `swtpm`, command by command, over loopback.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use serde_json::json;
use vtpm_tests::bench::{measure, rows};

/// Measures vtpm-server against swtpm, command by command, over loopback.
#[derive(Parser)]
struct Options {
    /// Write the figures there, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Only the rows whose names have this.
    #[arg(long, value_name = "WORD")]
    row: Option<String>,

    /// This share of the usual runs.
    #[arg(long, default_value_t = 1.0, value_name = "NUMBER")]
    scale: f64,

    /// Go on when a row fails.
    #[arg(long)]
    keep_going: bool,
}

fn run(options: &Options) -> Result<bool> {
    let (mut measured, mut peak, mut failed) = (Vec::new(), [0; 2], false);
    println!("| command | vtpm-server µs | swtpm µs | ratio |\n|---|--:|--:|--:|");
    for row in rows::ROWS {
        if options
            .row
            .as_ref()
            .is_some_and(|word| !row.name.contains(word))
        {
            continue;
        }
        match measure::row(row, options.scale) {
            Ok((found, memory)) => {
                println!(
                    "| {} | {:.0} | {:.0} | {:.2} |",
                    found.name, found.vtpm_us, found.swtpm_us, found.ratio
                );
                measured.push(found);
                peak = [peak[0].max(memory[0]), peak[1].max(memory[1])];
            }
            Err(problem) if options.keep_going => {
                println!("| {} | failed: {problem:#} | | |", row.name);
                failed = true;
            }
            Err(problem) => return Err(problem),
        }
    }
    let mean = measure::geometric_mean(&measured);
    println!("| geometric mean | | | {mean:.2} |");
    println!(
        "\npeak memory: vtpm-server {} KiB, swtpm {} KiB",
        peak[0], peak[1]
    );
    if let Some(path) = &options.json {
        let content = json!({
            "rows": measured,
            "geometric_mean": mean,
            "peak_kib": { "vtpm": peak[0], "swtpm": peak[1] },
        });
        std::fs::write(path, serde_json::to_string_pretty(&content)? + "\n")?;
    }
    Ok(!failed)
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("vtpm-bench: {problem:#}");
            ExitCode::FAILURE
        }
    }
}
