//! Random commands; a longer run is `cargo run --release -p vtpm --features
//! sample --example fuzz`.

use crate::testing::fuzz::Fuzz;
use crate::testing::fuzz::chain::CHAINS;

/// Cases that found something once, when there were no chains.
const CORPUS_BEFORE_CHAINS: &[(u64, usize)] = &[(5000, 2000), (5042, 2000)];

/// Cases that found something, or that send commands like those of each chain.
const CORPUS: &[(u64, usize)] = &[(1, 1500), (2, 1500)];

#[test]
fn cases_that_found_something_find_nothing_now() {
    for &(seed, commands) in CORPUS {
        Fuzz::new(seed).run(commands);
    }
    for &(seed, commands) in CORPUS_BEFORE_CHAINS {
        Fuzz::without_chains(seed).run(commands);
    }
}

#[test]
fn random_commands_get_answers() {
    let mut successes = 0;
    for seed in 0..8 {
        let mut fuzz = Fuzz::new(seed);
        fuzz.run(400);
        successes += fuzz.met.successes;
    }
    assert!(successes > 400, "only {successes} commands succeeded");
}

/// Each choice that a chain makes is made by one seed or another.
#[test]
fn every_chain_comes_to_its_end() {
    let mut missing: std::vec::Vec<u32> = crate::command::all().map(|spec| spec.code).collect();
    for (number, (name, _)) in CHAINS.iter().enumerate() {
        let mut fuzz = Fuzz::new(number as u64);
        for _ in 0..8 {
            assert!(fuzz.run_chain(number), "{name}: {:x?}", fuzz.met.by_code);
        }
        missing.retain(|code| !fuzz.met.by_code.contains_key(code));
    }
    // What single commands hardly ever reach.
    for code in [
        0x11F, 0x12C, 0x13B, 0x13E, 0x147, 0x14A, 0x14B, 0x14D, 0x150, 0x152, 0x154, 0x156, 0x159,
        0x164, 0x16A, 0x172, 0x174, 0x177, 0x183, 0x184, 0x185, 0x18B, 0x18D, 0x191, 0x193, 0x197,
        0x19A,
    ] {
        assert!(!missing.contains(&code), "{code:#x} did not succeed");
    }
}
