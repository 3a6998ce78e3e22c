//! Unmodified Linux asks the emulated secure processor for reports, by the key of its own level.

use boot_tests::{Launch, Outcome, Run};
use protocols::snp::{AttestationReport, certificates};
use snp_model::psp::report::is_signed_by;
use zerocopy::FromBytes;

/// What Linux gets from configfs-tsm for 64 bytes of "y" and newlines.
fn ask() -> Run {
    ask_of(Launch::rampart())
}

fn ask_of(launch: Launch) -> Run {
    launch
        .guest_command(
            "R=/sys/kernel/config/tsm/report/a; mkdir $R; yes | head -c 64 > $R/inblob; \
             echo 2 > $R/privlevel; \
             for f in outblob auxblob; do echo $f: $(od -An -v -tx1 $R/$f); done",
        )
        .run()
}

fn blob(run: &Run, name: &str) -> Vec<u8> {
    let line = run.line(name).unwrap_or_default();
    let (_, bytes) = line.split_once(name).unwrap_or_default();
    let bytes = bytes.split_whitespace();
    let bytes: Result<Vec<u8>, _> = bytes.map(|byte| u8::from_str_radix(byte, 16)).collect();
    bytes.unwrap_or_else(|error| panic!("{name} {error}{}", run.report()))
}

#[test]
fn linux_gets_a_report_with_certificates() {
    let run = ask();
    run.assert_outcome(Outcome::PoweredOff)
        .assert_fact("exit", "0");
    let report = AttestationReport::read_from_bytes(&blob(&run, "outblob:"))
        .unwrap_or_else(|_| panic!("the report has another size{}", run.report()));
    assert_eq!((report.version, report.vmpl), (3, 2));
    assert_eq!(report.report_data.as_slice(), b"y\n".repeat(32));
    let measurement: String = report
        .measurement
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    run.assert_line(&format!("snp-machine: launch digest {measurement}"));

    let chain = snp_certificates::chain().unwrap();
    let handed_out = blob(&run, "auxblob:");
    let handed_out: Result<Vec<_>, _> = certificates(&handed_out).collect();
    let handed_out: Vec<_> = handed_out.unwrap().iter().map(|found| found.1).collect();
    assert_eq!(handed_out, [&chain.vcek, &chain.ask, &chain.ark]);
    let vcek = snp_certificates::chip().vcek_public().unwrap();
    assert!(is_signed_by(&report, &vcek), "{}", run.report());
    let mut forged = report;
    forged.vmpl = 0;
    assert!(!is_signed_by(&forged, &vcek));
}

/// What the host chooses at the launch is in the report, and changes nothing else of it.
#[test]
fn reports_show_what_the_host_chose() {
    let data: String = (1..=32).map(|byte| format!("{byte:02x}")).collect();
    let run = ask_of(
        Launch::rampart()
            .option("--machine-option", format!("host_data={data}"))
            .option("--machine-option", "reported_tcb=0100000000000000")
            .option("--machine-option", "mask=chip_id"),
    );
    run.assert_outcome(Outcome::PoweredOff);
    let report = AttestationReport::read_from_bytes(&blob(&run, "outblob:"))
        .unwrap_or_else(|_| panic!("the report has another size{}", run.report()));
    assert!(report.host_data.into_iter().eq(1..=32));
    assert_eq!(report.reported_tcb.0, 1 << 56);
    assert_eq!(report.chip_id, [0; 64]);
    // An older TCB version has another key than the chain's.
    let chip = snp_certificates::chip();
    assert!(!is_signed_by(&report, &chip.vcek_public().unwrap()));
    let mut older = chip;
    older.config.reported_tcb = Some(report.reported_tcb);
    assert!(is_signed_by(&report, &older.vcek_public().unwrap()));

    let run = Launch::test_guest()
        .option("--machine-option", "host_data=00")
        .run();
    run.assert_line("option refused: host_data=00");
}
