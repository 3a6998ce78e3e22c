//! The bare-metal test guest under Rampart: it makes every core call, right and
//! wrong, and says for each what came of it.

use boot_tests::{Launch, Outcome};

#[test]
fn every_core_call_does_what_it_should() {
    let run = Launch::test_guest().timeout(120).run();
    run.assert_outcome(Outcome::PoweredOff);
    assert_eq!(run.line("test-guest: FAIL"), None, "{}", run.report());
    assert_eq!(run.line("test-guest: no report"), None, "{}", run.report());
    let sum = run.line(" passed, ").and_then(checks_passed);
    assert!(sum.is_some_and(|passed| passed >= 160), "{}", run.report());
    run.assert_line("test-guest: report of version 3, policy 0x30000")
        .assert_line("test-guest: ok guest_request/a report of the own level");
}

/// Each version of the reports is made on request, and only those that there are.
#[test]
fn reports_of_each_version_reach_the_guest() {
    for version in ["2", "5"] {
        let option = format!("report_version={version}");
        let run = Launch::test_guest()
            .option("--machine-option", &option)
            .run();
        run.assert_outcome(Outcome::PoweredOff)
            .assert_line(&format!("test-guest: report of version {version}"))
            .assert_line("test-guest: ok guest_request/a report of the own level");
    }
    let run = Launch::test_guest()
        .option("--machine-option", "report_version=4")
        .run();
    run.assert_line("option refused: report_version=4");
}

/// What only several vCPUs can do: made in any order, deleted while they run, two requests at once.
#[test]
fn several_vcpus_get_the_answers_that_they_should() {
    assert_several_vcpus(Launch::test_guest().parallel());
}

/// In turn, what one asks of another is done late: a VMSA that the host was told to stop would run
/// on for milliseconds if the machine did not wait for it.
#[test]
fn several_vcpus_in_turn_get_the_answers_that_they_should() {
    assert_several_vcpus(Launch::test_guest());
}

fn assert_several_vcpus(launch: Launch) {
    let run = launch.smp(4).timeout(240).run();
    run.assert_outcome(Outcome::PoweredOff);
    let sum = run.line(" passed, ").and_then(checks_passed);
    assert!(sum.is_some_and(|passed| passed >= 177), "{}", run.report());
    for area in [
        "delete_vcpu/of a VMSA that runs",
        "delete_vcpu/of a VMSA that the host was told to stop",
        "remap_ca/by three at once",
        "vtpm/2,000 commands of two at once",
        "vtpm/calls of others go on while an RSA key is made",
    ] {
        run.assert_line(&format!("test-guest: ok {area}"));
    }
}

/// All vCPUs make random calls, while the machine looks for broken invariants.
#[test]
fn random_calls_of_all_vcpus_get_answers_that_are_allowed() {
    let run = Launch::stress(20_261_122, 600)
        .smp(4)
        .parallel()
        .option("--machine-option", "check_every=100")
        .timeout(240)
        .run();
    run.assert_outcome(Outcome::PoweredOff)
        .assert_line("stress: seed 20261122, 600 steps on each of 4 vCPUs")
        .assert_line("invariant: looked ");
    assert_eq!(run.line("FAIL"), None, "{}", run.report());
    // Enough has happened for that to say something.
    let [calls, successes, made, deleted, _in_use, moved] = tally(&run);
    assert!(calls > 1500 && successes > 500, "{}", run.report());
    assert!(made > 2 && deleted > 2 && moved > 20, "{}", run.report());
}

/// The numbers of the line that sums a stress run up.
fn tally(run: &boot_tests::Run) -> [u64; 6] {
    let line = run.line(" of them successes; ").unwrap_or_default();
    let numbers: Vec<u64> = line
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    numbers.try_into().unwrap_or_default()
}

/// QUERY_PROTOCOL, counted by single steps: the firmware neither notices nor differs.
#[test]
fn the_instructions_of_a_call_can_be_counted() {
    let run = Launch::test_guest()
        .option("--machine-option", "count_instructions=0:6")
        .stats()
        .run();
    run.assert_outcome(Outcome::PoweredOff);
    let sum = run.line(" passed, ").and_then(checks_passed);
    assert!(sum.is_some_and(|passed| passed >= 121), "{}", run.report());
    let calls = run
        .stats
        .as_ref()
        .and_then(|stats| stats["svsm_calls"].as_array());
    let answered = calls
        .into_iter()
        .flatten()
        .find(|call| call["call"] == 6 && call["result"] == 0)
        .unwrap_or_else(|| panic!("no call was counted{}", run.report()));
    let (min, max) = (&answered["instructions_min"], &answered["instructions_max"]);
    let plausible = 100..10_000;
    assert!(
        min.as_u64().is_some_and(|count| plausible.contains(&count)),
        "{answered}"
    );
    assert!(
        max.as_u64().is_some_and(|count| plausible.contains(&count)),
        "{answered}"
    );
}

/// All invariants after each VMGEXIT, the page map among them.
#[test]
fn the_invariants_hold_after_every_vmgexit() {
    let run = Launch::test_guest()
        .mem("512M")
        .option("--machine-option", "check_every=1")
        .run();
    run.assert_outcome(Outcome::PoweredOff);
    let times = run
        .line("snp-machine: invariant: looked ")
        .and_then(|line| {
            let (_, times) = line.rsplit_once(", ")?;
            times.split(' ').next()?.parse::<u32>().ok()
        });
    assert!(times.is_some_and(|times| times > 1000), "{}", run.report());
}

/// A page that the host takes away is still in the page map: the machine sees the difference.
#[test]
fn a_page_map_that_is_not_true_is_seen() {
    let run = Launch::test_guest()
        .mem("512M")
        .option("--machine-option", "check_every=1")
        .scenario("when enter vmpl2 #40 unassign GUEST_PARAMETER_AREA")
        .run();
    run.assert_outcome(Outcome::InvariantViolated).assert_line(
        "snp-machine: INVARIANT VIOLATED: the page at 0x812000 is in the page map and not validated",
    );
}

#[test]
fn an_unknown_option_of_the_machine_is_refused() {
    let run = Launch::test_guest()
        .option("--machine-option", "count=0:6")
        .run();
    run.assert_outcome(Outcome::ScenarioRefused)
        .assert_line("option refused: count=0:6");
}

/// How many checks passed, when none failed.
fn checks_passed(line: &str) -> Option<u32> {
    let rest = line.strip_prefix("test-guest: ")?;
    rest.strip_suffix(" passed, 0 failed")?.parse().ok()
}
