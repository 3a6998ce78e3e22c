//! OVMF and Linux boot: in plain QEMU, which checks launcher, guest image and
//! this harness; as a plain SNP guest; and under Rampart.

use boot_tests::{Launch, Outcome, Run};

const ACTIVE: &str = "Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP";

/// What every boot of the Linux guest has in common.
fn assert_linux(run: &Run, vmpl: &str) {
    run.assert_outcome(Outcome::PoweredOff);
    run.assert_fact("vmpl", vmpl);
    run.assert_fact("ready", "");
    assert!(run.fact("kernel").is_some(), "{}", run.report());
    assert_eq!(
        run.facts("module").next(),
        None,
        "every module loads{}",
        run.report()
    );
}

/// The kernel itself says that it is an SNP guest at this level.
fn assert_snp(run: &Run, vmpl: &str) {
    assert_linux(run, vmpl);
    run.assert_line(&format!("guest: log {ACTIVE}"));
    run.assert_line(&format!("guest: log SEV: SNP running at VMPL{vmpl}."));
    run.assert_line("guest: feature SEV-SNP");
}

#[test]
fn plain_qemu() {
    let run = Launch::plain().smoke().run();
    assert_linux(&run, "none");
    assert_eq!(
        run.facts("feature").next(),
        None,
        "no SNP without SNP{}",
        run.report()
    );
}

#[test]
fn plain_qemu_tells_reset_from_power_off() {
    Launch::plain()
        .guest_command("reboot -f")
        .run()
        .assert_outcome(Outcome::Reset);
}

#[test]
fn plain_qemu_runs_a_guest_command() {
    let run = Launch::plain()
        .guest_command("echo said by $(uname -s); exit 7")
        .run();
    run.assert_outcome(Outcome::PoweredOff)
        .assert_line("said by Linux")
        .assert_fact("exit", "7");
}

#[test]
fn a_guest_that_goes_on_is_ended_in_time() {
    let run = Launch::plain().guest_command("sleep 1000").timeout(3).run();
    run.assert_outcome(Outcome::TimedOut);
    assert!(
        run.messages.contains("RIP="),
        "the registers are shown{}",
        run.report()
    );
}

#[test]
fn plain_snp_guest_at_vmpl0() {
    let run = Launch::without_svsm().smoke().run();
    assert_snp(&run, "0");
    run.assert_fact("cpus", "1");
}

#[test]
fn plain_snp_guest_with_two_cpus() {
    let run = Launch::without_svsm().smp(2).smoke().run();
    assert_snp(&run, "0");
    run.assert_fact("cpus", "2");
}

#[test]
fn rampart_and_its_guest_at_vmpl2() {
    let run = Launch::rampart().smoke().stats().run();
    assert_snp(&run, "2");
    assert!(
        run.stats.is_some(),
        "the machine wrote its counters{}",
        run.report()
    );
}

#[test]
fn rampart_and_its_guest_with_four_cpus() {
    let run = Launch::rampart().smp(4).smoke().run();
    assert_snp(&run, "2");
    run.assert_fact("cpus", "4");
}

/// Takes CPUs offline and online again, and says each time which are online.
fn offline_and_online(launch: Launch, rounds: u32, cpus: &str) -> Run {
    launch
        .guest_command(&format!(
            "cd /sys/devices/system/cpu; for round in $(seq {rounds}); do \
             for cpu in {cpus}; do echo 0 > cpu$cpu/online; echo off $(cat online); done; \
             for cpu in {cpus}; do echo 1 > cpu$cpu/online; echo on $(cat online); done; \
             done"
        ))
        .run()
}

/// Linux makes a new VMSA for the CPU, with its old calling area, and deletes the one before it.
#[test]
fn a_cpu_goes_offline_and_comes_back_under_rampart() {
    let run = offline_and_online(Launch::rampart().smp(2), 1, "1");
    run.assert_outcome(Outcome::PoweredOff)
        .assert_line("off 0")
        .assert_line("on 0-1")
        .assert_fact("exit", "0");
}

/// As often as one likes, if the machine does what Linux forgets.
#[test]
fn cpus_go_offline_and_come_back_again_and_again_under_rampart() {
    let run = offline_and_online(
        Launch::rampart()
            .smp(3)
            .mem("1G")
            .option("--machine-option", "release_ghcbs=yes")
            .option("--machine-option", "check_every=100"),
        5,
        "1 2",
    );
    run.assert_outcome(Outcome::PoweredOff)
        .assert_fact("exit", "0");
    let times = |text: &str| run.console.iter().filter(|line| *line == text).count();
    assert_eq!(
        (times("off 0"), times("on 0-2")),
        (5, 5),
        "{}",
        run.report()
    );
}

/// What Linux forgets: the CPU that went offline never gives its GHCB back, with an SVSM or
/// without one. When this test fails, Linux has learned it, and the machine's option can go.
#[test]
fn linux_itself_panics_when_a_cpu_comes_back_the_second_time() {
    let run = offline_and_online(Launch::without_svsm().smp(2), 2, "1");
    run.assert_outcome(Outcome::Reset)
        .assert_line("on 0-1")
        .assert_line("GHCB and Backup GHCB are already in use");
}

/// OVMF's page tables for the registers of a device come out otherwise where its
/// low memory ends elsewhere than at 2 GiB, as it does below an SVSM.
#[test]
fn a_virtio_disk_works_in_a_small_plain_snp_guest() {
    let disk = tempfile::NamedTempFile::new().expect("a temporary file");
    disk.as_file()
        .set_len(1 << 20)
        .expect("the disk can be made");
    let run = Launch::without_svsm()
        .mem("1G")
        .option("--disk", disk.path())
        .smoke()
        .run();
    assert_snp(&run, "0");
    run.assert_line("guest: device block vda 2048 sectors");
}

#[test]
fn a_virtio_disk_works_in_the_snp_guest() {
    let disk = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(disk.path(), b"from the host".repeat(1000)).expect("the disk can be written");
    let run = Launch::rampart()
        .option("--disk", disk.path())
        .guest_command(
            "head -c 13 /dev/vda; echo; echo to the host | dd of=/dev/vda conv=notrunc,fsync",
        )
        .run();
    run.assert_outcome(Outcome::PoweredOff)
        .assert_line("from the host")
        .assert_fact("exit", "0");
    let written = std::fs::read(disk.path()).expect("the disk can be read");
    assert!(written.starts_with(b"to the host\n"), "{}", run.report());
}
