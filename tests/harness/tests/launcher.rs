//! The launcher itself: its command line, its messages, its exit statuses.

use boot_tests::{Launch, Outcome};

/// The command that a dry run prints, in one line; it starts nothing and needs no file. What stands above it,
/// each line with a number sign, is [`values`].
fn dry_run(options: &[&str]) -> String {
    let run = Launch::bare(options.iter().copied().chain(["--dry-run"])).run();
    run.assert_outcome(Outcome::PoweredOff);
    assert_eq!(run.messages, "", "no messages{}", run.report());
    let lines: Vec<&str> = run
        .console
        .iter()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.trim_end_matches('\\').trim())
        .collect();
    assert!(lines.len() > 5, "an option to a line{}", run.report());
    lines.join(" ")
}

/// What a dry run for a real host says of each value.
fn values(options: &[&str]) -> Vec<String> {
    let run = Launch::bare(options.iter().copied().chain(["--dry-run"])).run();
    run.assert_outcome(Outcome::PoweredOff);
    run.console
        .iter()
        .filter_map(|line| line.strip_prefix("# "))
        .map(ToOwned::to_owned)
        .collect()
}

/// A made tree of a host: `tests/hosts`.
fn recorded(name: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../hosts/");
    format!("{root}{name}")
}

fn assert_contains(command: &str, parts: &[&str]) {
    for part in parts {
        assert!(command.contains(part), "{part:?} is missing in {command}");
    }
}

/// A launch that must fail before it starts QEMU, with this in its message.
fn refused(options: &[&str], outcome: Outcome, message: &str) {
    let run = Launch::bare(options.iter().copied()).run();
    run.assert_outcome(outcome);
    assert!(
        run.messages.contains(message),
        "expected {message:?}{}",
        run.report()
    );
}

#[test]
fn dry_run_prints_the_emulated_machine() {
    let command = dry_run(&["--host", "emulated", "--mem", "512M"]);
    assert_contains(
        &command,
        &[
            "qemu-system-x86_64 ",
            "-machine q35,smm=off,hpet=off",
            "-accel tcg,thread=multi",
            "+svm,+npt,+vgif,+la57,+x2apic,phys-bits=52",
            // 64 MiB more than the guest gets: the machine's own.
            "-m 576M",
            "reserve=off",
            "-device isa-debug-exit,iobase=0xf4,iosize=4",
            "/machine.bin",
            "name=opt/rampart/igvm,file=",
            "/rampart.igvm",
            "-no-reboot",
        ],
    );
    assert!(
        !command.contains("iobase=0x503"),
        "no counters unless asked for: {command}"
    );
}

#[test]
fn dry_run_prints_a_real_host() {
    let command = dry_run(&["--host", "snp", "--mem", "8G"]);
    assert_contains(
        &command,
        &[
            "confidential-guest-support=sev0",
            "igvm-cfg=igvm0",
            "kernel-irqchip=split,device-plane=2",
            "reduced-phys-bits=1,policy=0x30000",
            "igvm-cfg,id=igvm0,file=",
            "size=8192M,share=true,prealloc=false,reserve=false",
            "-accel kvm",
            "-cpu EPYC-v4 ",
        ],
    );
    assert!(
        !command.contains("isa-debug-exit"),
        "no device of the emulation: {command}"
    );
}

/// Everything that stands behind the command is said, and what the host lacks by name.
#[test]
fn dry_run_names_what_a_recorded_host_lacks() {
    let lacking = |host: &str| -> Vec<String> {
        values(&["--host", "snp", "--host-root", &recorded(host)])
            .iter()
            .filter_map(|line| line.strip_prefix("missing: "))
            .filter_map(|line| line.split_once(": "))
            .map(|(key, _)| key.to_owned())
            .collect()
    };
    assert_eq!(lacking("ready"), Vec::<String>::new());
    assert_eq!(lacking("mainline"), ["vmpl.kernel", "vmpl.qemu"]);
    let found = values(&["--host", "snp", "--host-root", &recorded("ready")]);
    assert!(
        found
            .iter()
            .any(|line| line == "C-bit: 51 (CPUID Fn8000_001F EBX[5:0])"),
        "{found:?}"
    );
}

#[test]
fn a_host_without_planes_still_runs_a_guest_without_an_svsm() {
    let options = [
        "--host",
        "snp",
        "--no-svsm",
        "--host-root",
        &recorded("mainline"),
    ];
    assert!(!dry_run(&options).contains("device-plane"));
    assert!(
        values(&options)
            .iter()
            .all(|line| !line.starts_with("missing: "))
    );
}

#[test]
fn a_real_host_gets_network_log_and_host_data() {
    let data = "5a".repeat(32);
    let command = dry_run(&[
        "--host",
        "snp",
        "--network",
        "--forward",
        "2222:22",
        "--debug",
        "qemu.log",
        "--host-data",
        &data,
        "--mem",
        "1T",
        "--disk",
        "a.qcow2",
    ]);
    assert_contains(
        &command,
        &[
            "user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22",
            "virtio-net-pci,netdev=net0,disable-legacy=on,iommu_platform=on,romfile=",
            "-D qemu.log",
            "host-data=WlpaWlpa",
            // Memory and devices above it: 2 TiB.
            "-cpu EPYC-v4,phys-bits=41",
            "format=qcow2,file=a.qcow2",
        ],
    );
}

#[test]
fn a_launch_on_a_machine_without_snp_says_what_is_missing() {
    if std::path::Path::new("/dev/sev").exists() {
        return;
    }
    refused(
        &[
            "--host",
            "snp",
            "--kernel",
            "none",
            "--image",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ],
        Outcome::NotStarted,
        "it is no IGVM file",
    );
}

#[test]
fn dry_run_without_an_svsm_takes_the_plain_image() {
    assert_contains(
        &dry_run(&["--host", "emulated", "--no-svsm"]),
        &["/ovmf.igvm"],
    );
}

#[test]
fn dry_run_of_plain_qemu_has_no_image() {
    let command = dry_run(&["--plain"]);
    assert_contains(&command, &["/OVMF.fd", "-kernel ", "-initrd "]);
    assert!(!command.contains("opt/rampart"), "{command}");
}

#[test]
fn what_follows_the_dashes_goes_to_qemu() {
    let run = Launch::bare(["--plain", "--dry-run"])
        .after_dashes(["-device", "edu"])
        .run();
    run.assert_outcome(Outcome::PoweredOff);
    let last = run.console.last().map(|line| line.trim());
    assert_eq!(last, Some("-device edu"), "{}", run.report());
}

/// Otherwise nothing of the test guest would ever run side by side.
#[test]
fn parallel_gives_each_vcpu_a_thread() {
    let command = dry_run(&["--host", "emulated", "--smp", "2", "--parallel"]);
    assert_contains(&command, &["-accel tcg,thread=multi", "-smp 2"]);
}

#[test]
fn options_reach_the_command() {
    let command = dry_run(&[
        "--host",
        "emulated",
        "--smp",
        "2",
        "--append",
        "one two",
        "--disk",
        "a,b.qcow2",
        "--disk",
        "c.img",
        "--stats",
        "counters.json",
        "--scenario",
        "lie.txt",
        "--machine-option",
        "count_instructions=0:6",
        "--log",
        "console",
    ]);
    assert_contains(
        &command,
        &[
            "-accel tcg,thread=single",
            "-smp 2",
            "one two",
            // A comma separates QEMU's options, two are one in a name.
            "format=qcow2,file=a,,b.qcow2",
            "format=raw,file=c.img",
            "drive=disk1,disable-legacy=on,iommu_platform=on",
            "iobase=0x503",
            "path=counters.json",
            "name=opt/rampart/scenario,file=lie.txt",
            "name=opt/rampart/options,string=count_instructions=0:6",
            "logfile=console",
        ],
    );
}

#[test]
fn a_kernel_of_none_leaves_linux_out() {
    let command = dry_run(&["--host", "emulated", "--kernel", "none"]);
    assert!(
        !command.contains("-kernel") && !command.contains("-initrd"),
        "{command}"
    );
    assert!(!command.contains("-append"), "{command}");
}

#[test]
fn missing_files_are_named_with_what_makes_them() {
    refused(
        &["--host", "emulated", "--image", "/no/image"],
        Outcome::NotStarted,
        "/no/image is missing; 'make image'",
    );
    refused(
        &["--plain", "--kernel", "/no/kernel"],
        Outcome::NotStarted,
        "/no/kernel is missing",
    );
    refused(
        &["--plain", "--disk", "/no/disk"],
        Outcome::NotStarted,
        "/no/disk is missing",
    );
    refused(
        &["--plain", "--log", "/no/folder/log"],
        Outcome::NotStarted,
        "/no/folder/log cannot be written",
    );
    refused(
        &["--host", "emulated", "--stats", "/"],
        Outcome::NotStarted,
        "/ is a folder, and has to be a file",
    );
}

#[test]
fn a_missing_qemu_is_said() {
    let run = Launch::plain()
        .environment("RAMPART_QEMU", "/no/qemu")
        .run();
    run.assert_outcome(Outcome::NotStarted);
    assert!(
        run.messages.contains("/no/qemu is missing"),
        "{}",
        run.report()
    );
}

#[test]
fn bad_values_are_refused_by_name() {
    for (option, value) in [
        ("--mem", "2"),
        ("--mem", "2X"),
        ("--mem", "-1G"),
        ("--mem", "1M"),
        ("--smp", "0"),
        ("--smp", "two"),
        ("--timeout", "0"),
        ("--host", "moon"),
        ("--machine-option", "novalue"),
        ("--forward", "80"),
        ("--forward", "0:70000"),
    ] {
        refused(&[option, value], Outcome::Usage, option);
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    refused(&["--plain", "--no-svsm"], Outcome::Usage, "--plain");
    refused(&["--plain", "--host", "snp"], Outcome::Usage, "--plain");
    refused(&["--no-svsm", "--image", "x"], Outcome::Usage, "--no-svsm");
    refused(&["--forward", "1:2"], Outcome::Usage, "--network");
    refused(&["--id-block", "x"], Outcome::Usage, "--id-auth");
    refused(&["--host-root", "x"], Outcome::Usage, "--dry-run");
}

#[test]
fn what_only_the_emulation_has_is_refused_on_a_real_host() {
    refused(
        &["--host", "snp", "--stats", "counters.json"],
        Outcome::NotStarted,
        "--host emulated",
    );
    refused(
        &["--host", "snp", "--scenario", "lie"],
        Outcome::NotStarted,
        "--host emulated",
    );
}

#[test]
fn what_only_a_real_host_has_is_refused_elsewhere() {
    refused(
        &["--host", "emulated", "--host-data", "00"],
        Outcome::NotStarted,
        "--host snp",
    );
    refused(
        &["--host", "emulated", "--certificates", "x"],
        Outcome::NotStarted,
        "--host snp",
    );
}

#[test]
fn a_stray_word_does_not_go_to_qemu() {
    refused(&["--plain", "disk.img"], Outcome::Usage, "disk.img");
}

#[test]
fn a_qemu_that_fails_is_told_from_a_guest_that_powers_off() {
    let run = Launch::plain()
        .after_dashes(["-device", "no-such-device"])
        .run();
    run.assert_outcome(Outcome::QemuEnded);
}
