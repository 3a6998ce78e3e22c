//! tpm2-tools in unmodified Linux, with the TPM that Rampart serves.

use boot_tests::{Launch, Outcome, Run};

/// The checks of `tests/linux/tpm/tools`.
const CHECKS: &[&str] = &[
    "getrandom",
    "selftest",
    "pcrs",
    "pcrextend",
    "hash",
    "ecc-sign",
    "rsa-sign",
    "rsa-decrypt",
    "ek-and-ak",
    "quote",
    "seal-to-pcrs",
    "nv",
    "persistent-key",
    "event-log",
];

/// Runs a script of `tests/linux/tpm`.
fn script(launch: Launch, command: &str) -> Run {
    let run = launch
        .with_tpm_tools()
        .guest_command(&format!("/tpm/{command}"))
        .run();
    run.assert_outcome(Outcome::PoweredOff)
        .assert_fact("vmpl", "2")
        .assert_fact("exit", "0")
        .assert_line("guest: device platform tpm-svsm")
        .assert_line("guest: device node /dev/tpm0");
    run
}

#[test]
fn tpm2_tools_work_in_the_guest() {
    let run = script(Launch::rampart(), "tools");
    for check in CHECKS {
        run.assert_line(&format!("guest: tpm {check} ok"));
    }
    run.assert_fact("tpm", "getrandom ok")
        .assert_line(&format!("guest: tpm checks {}", CHECKS.len()));
}

/// Linux sends one command at a time; who waits for the driver sleeps.
#[test]
fn two_cpus_send_commands_to_the_tpm_at_once() {
    let run = script(Launch::rampart().smp(2), "load 250");
    let load = run
        .facts("tpm")
        .find_map(|fact| fact.strip_prefix("load "))
        .unwrap_or_else(|| panic!("the load came to no end{}", run.report()));
    let numbers: Vec<u32> = load
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    let [right, wrong, quotes] = numbers[..] else {
        panic!("what is {load:?}?{}", run.report());
    };
    assert_eq!(wrong, 0, "{}", run.report());
    assert_eq!(right, 500 + quotes, "{}", run.report());
    assert!(quotes >= 2, "each CPU quotes meanwhile{}", run.report());
}
