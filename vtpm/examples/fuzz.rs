//! Random commands for as long as one likes:
//!
//! ```text
//! cargo run --release -p vtpm --features sample,std --example fuzz -- SECONDS [FIRST_SEED]
//! ```
//!
//! A finding is a panic, with which the seed is printed; `CORPUS` in
//! `chapters/tests/fuzz.rs` keeps it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use vtpm::testing::fuzz::Fuzz;
use vtpm::testing::fuzz::chain::CHAINS;

/// Commands of one case.
const COMMANDS: usize = 2000;
/// The case that runs.
static SEED: AtomicU64 = AtomicU64::new(0);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise: u64| {
        arguments
            .next()
            .and_then(|a| a.parse().ok())
            .unwrap_or(otherwise)
    };
    let seconds = number(60);
    let first = number(1);
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        eprintln!(
            "found with seed {} within {COMMANDS} commands",
            SEED.load(Relaxed)
        );
        report(info);
    }));
    let begin = Instant::now();
    let mut by_code: BTreeMap<u32, u64> = BTreeMap::new();
    let mut chains = vec![(0, 0); CHAINS.len()];
    let (mut commands, mut successes, mut seed) = (0, 0, first);
    while begin.elapsed() < Duration::from_secs(seconds) {
        SEED.store(seed, Relaxed);
        let mut fuzz = Fuzz::new(seed);
        fuzz.run(COMMANDS);
        commands += fuzz.met.commands;
        successes += fuzz.met.successes;
        for (code, n) in fuzz.met.by_code {
            *by_code.entry(code).or_default() += n;
        }
        for (number, (begun, ended)) in fuzz.met.chains {
            chains[number].0 += begun;
            chains[number].1 += ended;
        }
        seed += 1;
    }
    println!(
        "{commands} commands of {} cases, {successes} succeeded",
        seed - first
    );
    for spec in vtpm::command::all() {
        println!("{:>9} {}", by_code.get(&spec.code).unwrap_or(&0), spec.name);
    }
    for ((name, _), (begun, ended)) in CHAINS.iter().zip(chains) {
        println!("{ended:>9} of {begun} chains: {name}");
    }
}
