//! The machine misbehaves as the files of tests/scenarios say, a test for each
//! threat of docs/threat-model.md; what has to come of it stands in the files.

use boot_tests::{Launch, Outcome, Scenario};

/// Runs every scenario of a threat, and tells of all that went wrong.
fn threat(number: u32) {
    let prefix = format!("threat-{number:02}-");
    let all = Scenario::all();
    let mine: Vec<_> = all.iter().filter(|s| s.name.starts_with(&prefix)).collect();
    assert!(!mine.is_empty(), "no scenario shows threat {number}");
    let wrong: Vec<_> = mine.iter().filter_map(|s| s.verdict(&s.run())).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} scenarios\n{}",
        wrong.len(),
        mine.len(),
        wrong.join("\n")
    );
}

macro_rules! threats {
    ($($name:ident = $number:literal,)*) => {
        $(#[test]
        fn $name() {
            threat($number);
        })*

        /// A file that no test runs would look like one that passes.
        #[test]
        fn every_scenario_is_run() {
            let numbers = [$($number),*];
            for scenario in Scenario::all() {
                let known = numbers
                    .iter()
                    .any(|number| scenario.name.starts_with(&format!("threat-{number:02}-")));
                assert!(known && scenario.name.ends_with(".scn"), "{}", scenario.name);
            }
        }
    };
}

threats! {
    threat_01_double_validation = 1,
    threat_02_carry_flag_ignored = 2,
    threat_03_own_page_under_guest_page = 3,
    threat_04_memory_map = 4,
    threat_06_size_mismatch = 6,
    threat_07_page_state_change = 7,
    threat_08_refused_sharing = 8,
    threat_10_unvalidated_access = 10,
    threat_12_c_bit = 12,
    threat_16_double_fetch = 16,
    threat_17_answers_not_valid = 17,
    threat_18_wrong_msr_answer = 18,
    threat_19_downgrade = 19,
    threat_20_ghcb_in_use = 20,
    threat_21_exception_as_answer = 21,
    threat_22_more_than_asked_for = 22,
    threat_23_cpuid = 23,
    threat_24_device_data = 24,
    threat_25_termination_ignored = 25,
    threat_26_run_vmpl = 26,
    threat_28_forged_vc = 28,
    threat_29_injected_vector = 29,
    threat_30_forged_exception = 30,
    threat_47_other_processors = 47,
    threat_50_lost_messages = 50,
    threat_51_replayed_and_forged_answers = 51,
    threat_52_pages_rewritten = 52,
    threat_53_foreign_levels = 53,
    threat_54_sizes = 54,
    threat_55_certificates = 55,
    threat_60_policy = 60,
    threat_61_parameters = 61,
}

#[test]
fn a_scenario_that_makes_no_sense_is_refused_with_its_line() {
    let run = Launch::test_guest()
        .timeout(60)
        .scenario("# fine\n\npsc mumble\n")
        .run();
    run.assert_outcome(Outcome::ScenarioRefused)
        .assert_line("scenario refused: line 3: \"mumble\" means nothing here");
}

#[test]
fn a_deed_that_cannot_be_done_is_refused() {
    let run = Launch::test_guest()
        .timeout(60)
        .scenario("swap 0x1000\n")
        .run();
    run.assert_outcome(Outcome::ScenarioRefused)
        .assert_line("that cannot be done: it was never remapped");
}

#[test]
fn a_point_that_never_comes_is_told() {
    let run = Launch::test_guest()
        .timeout(60)
        .scenario("when nae 0x80000010 vmpl0 #1000 psc pretend\n")
        .run();
    run.assert_outcome(Outcome::ScenarioUnused)
        .assert_line("scenario: NOT APPLIED: line 1: when nae 0x80000010 vmpl0 #1000 psc pretend");
}
