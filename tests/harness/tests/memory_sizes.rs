//! The boot's work must not grow with the size of the virtual machine.

use boot_tests::{Launch, Outcome, Run};
use serde_json::Value;

const SIZES: [&str; 3] = ["512M", "2G", "64G"];

/// Everything that was counted before the guest firmware's first instruction.
fn before_the_guest(run: &Run) -> [Option<&Value>; 3] {
    let stats = run
        .stats
        .as_ref()
        .unwrap_or_else(|| panic!("no counters{}", run.report()));
    ["/launch_pages", "/phases/stage2", "/phases/kernel"].map(|place| stats.pointer(place))
}

#[test]
fn the_boot_work_is_the_same_for_every_memory_size() {
    let runs = SIZES.map(|size| {
        let run = Launch::test_guest().mem(size).stats().run();
        run.assert_outcome(Outcome::PoweredOff);
        run
    });
    let first = before_the_guest(&runs[0]);
    assert!(
        first.iter().all(Option::is_some),
        "every phase is counted{}",
        runs[0].report()
    );
    for (run, size) in runs.iter().zip(SIZES) {
        assert_eq!(before_the_guest(run), first, "with {size}{}", run.report());
    }
}

/// Linux under Rampart, with about the memory that it was given: the kernel keeps
/// some, and bounce buffers for shared memory.
fn linux_with(size: &str, kib: u64) {
    let run = Launch::rampart().mem(size).smoke().run();
    run.assert_outcome(Outcome::PoweredOff)
        .assert_fact("vmpl", "2")
        .assert_fact("ready", "");
    let seen = run
        .fact("memory")
        .and_then(|fact| fact.strip_suffix(" kB"))
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or_else(|| panic!("no memory size{}", run.report()));
    assert!(
        (kib / 2..=kib).contains(&seen),
        "{seen} kB of {size}{}",
        run.report()
    );
}

#[test]
fn linux_boots_with_512_mib() {
    linux_with("512M", 512 << 10);
}

#[test]
fn linux_boots_with_64_gib() {
    linux_with("64G", 64 << 20);
}
