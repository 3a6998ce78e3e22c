//! Random commands; a longer run is `cargo run --release -p vtpm --features
//! sample --example fuzz`.

use crate::testing::fuzz::Fuzz;

/// Cases that found something once.
const CORPUS: &[(u64, usize)] = &[(5000, 2000), (5042, 2000)];

#[test]
fn cases_that_found_something_find_nothing_now() {
    for &(seed, commands) in CORPUS {
        Fuzz::new(seed).run(commands);
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
