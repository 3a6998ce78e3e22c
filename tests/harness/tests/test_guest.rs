//! The bare-metal test guest under Rampart: it makes every core call, right and
//! wrong, and says for each what came of it.

use boot_tests::{Launch, Outcome};

#[test]
fn every_core_call_does_what_it_should() {
    let run = Launch::test_guest().timeout(120).run();
    run.assert_outcome(Outcome::PoweredOff);
    assert_eq!(run.line("test-guest: FAIL"), None, "{}", run.report());
    let sum = run.line(" passed, ").and_then(checks_passed);
    assert!(sum.is_some_and(|passed| passed >= 121), "{}", run.report());
}

/// How many checks passed, when none failed.
fn checks_passed(line: &str) -> Option<u32> {
    let rest = line.strip_prefix("test-guest: ")?;
    rest.strip_suffix(" passed, 0 failed")?.parse().ok()
}
