//! The bare-metal test guest under Rampart: it makes every core call, right and
//! wrong, and says for each what came of it.

use boot_tests::{Launch, Outcome};

#[test]
fn every_core_call_does_what_it_should() {
    let run = Launch::test_guest().timeout(120).run();
    run.assert_outcome(Outcome::PoweredOff);
    let last = run.line("test-guest: passed ");
    assert!(
        last.is_some_and(|line| line.ends_with(" failed 0")),
        "{}",
        run.report()
    );
}
