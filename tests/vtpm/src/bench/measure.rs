//! Runs the rows on both TPMs, turn by turn, and sums up.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::rows::{Row, Run};
use crate::command::{Command, Fields};
use crate::constants::cc;
use crate::server::{Kind, Server, under_test};

/// What a row came to.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// The median of `vtpm-server`, in microseconds.
    pub vtpm_us: f64,
    /// The median of `swtpm`, in microseconds.
    pub swtpm_us: f64,
    /// The first through the second: below 1 is faster than swtpm.
    pub ratio: f64,
}

/// A TPM that is ready for a row's runs.
struct Prepared {
    server: Server,
    run: Run,
    times: Vec<Duration>,
}

impl Prepared {
    fn new(kind: Kind, row: &Row) -> Result<Self> {
        let mut server = Server::start_with_state(kind)?;
        server.run(&Command::new(cc::STARTUP).with(Fields::new().u16(0)))?;
        let run = (row.prepare)(&mut server)?;
        Ok(Self {
            server,
            run,
            times: Vec::new(),
        })
    }

    fn run(&mut self, number: u32) -> Result<()> {
        let time = (self.run)(&mut self.server, number)?;
        self.times.push(time);
        Ok(())
    }

    fn median_us(&mut self) -> f64 {
        self.times.sort_unstable();
        let middle = self.times.get(self.times.len() / 2).copied();
        middle.unwrap_or_default().as_secs_f64() * 1e6
    }
}

/// Measures a row: both TPMs new, and then a run of one and a run of the other,
/// so that a slow moment of the computer hits both.
///
/// # Errors
/// A command failed.
pub fn row(row: &Row, scale: f64) -> Result<(Measured, [u64; 2])> {
    let mut both = [under_test(), Kind::Swtpm]
        .into_iter()
        .map(|kind| Prepared::new(kind, row).with_context(|| format!("{}: {kind:?}", row.name)))
        .collect::<Result<Vec<_>>>()?;
    let runs = ((f64::from(row.runs) * scale) as u32).max(5);
    for number in 0..runs {
        for prepared in &mut both {
            prepared
                .run(number)
                .with_context(|| format!("{}: {:?}", row.name, prepared.server.kind()))?;
        }
    }
    let mut memory = [0; 2];
    for (memory, prepared) in memory.iter_mut().zip(&both) {
        *memory = peak_kib(prepared.server.pid())?;
    }
    let (vtpm_us, swtpm_us) = (both[0].median_us(), both[1].median_us());
    let measured = Measured {
        name: row.name.into(),
        vtpm_us,
        swtpm_us,
        ratio: vtpm_us / swtpm_us,
    };
    Ok((measured, memory))
}

/// The most memory that a process ever had, in KiB.
fn peak_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.context("no VmHWM")?.parse()?)
}

/// The geometric mean of the ratios.
#[must_use]
pub fn geometric_mean(rows: &[Measured]) -> f64 {
    let sum: f64 = rows.iter().map(|row| row.ratio.ln()).sum();
    (sum / rows.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_twice_and_half_is_one() {
        let of = |ratio| Measured {
            name: String::new(),
            vtpm_us: 0.0,
            swtpm_us: 0.0,
            ratio,
        };
        assert!((geometric_mean(&[of(2.0), of(0.5)]) - 1.0).abs() < 1e-12);
    }
}
