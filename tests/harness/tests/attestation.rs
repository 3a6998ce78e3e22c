//! Unmodified Linux asks for reports: the emulated secure processor by the key of its own level, and
//! the SVSM for those of VMPL0.

use boot_tests::{Launch, Outcome, Run};
use protocols::snp::{AttestationReport, certificates};
use protocols::svsm::{
    GUID_SERVICES_MANIFEST, GUID_VTPM_SERVICE, ServicesManifestEntry, ServicesManifestHeader,
};
use sha2::{Digest, Sha512};
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
    let report = report(&run, "outblob:");
    assert_eq!((report.version, report.vmpl), (3, 2));
    assert_eq!(report.report_data.as_slice(), b"y\n".repeat(32));
    is_of_this_launch(&run, &report);
    assert_eq!(handed_out(&run, "auxblob:"), chain());
    let vcek = snp_certificates::chip().vcek_public().unwrap();
    let mut forged = report;
    forged.vmpl = 0;
    assert!(!is_signed_by(&forged, &vcek));
}

fn report(run: &Run, name: &str) -> AttestationReport {
    AttestationReport::read_from_bytes(&blob(run, name))
        .unwrap_or_else(|_| panic!("the report has another size{}", run.report()))
}

fn is_of_this_launch(run: &Run, report: &AttestationReport) {
    let measurement: String = report
        .measurement
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    run.assert_line(&format!("snp-machine: launch digest {measurement}"));
    let vcek = snp_certificates::chip().vcek_public().unwrap();
    assert!(is_signed_by(report, &vcek), "{}", run.report());
}

/// The certificates of a table, each as it is.
fn handed_out(run: &Run, name: &str) -> Vec<Vec<u8>> {
    let table = blob(run, name);
    let found: Result<Vec<_>, _> = certificates(&table).collect();
    found
        .unwrap()
        .iter()
        .map(|found| found.1.to_vec())
        .collect()
}

fn chain() -> Vec<Vec<u8>> {
    let chain = snp_certificates::chain().unwrap();
    [chain.vcek, chain.ask, chain.ark].map(Vec::from).to_vec()
}

/// Three reports by the SVSM: of all services, of the vTPM, and of a manifest that does not exist.
fn ask_the_svsm() -> Run {
    Launch::rampart()
        .guest_command(
            "R=/sys/kernel/config/tsm/report/a; mkdir $R; cd $R; yes | head -c 64 > inblob; \
             s() { for f in outblob manifestblob auxblob; do echo $1$f: $(od -An -v -tx1 $f); done; }; \
             echo svsm > service_provider; s all-; \
             echo c476f1eb-0123-45a5-9641-b4e7dde5bfe3 > service_guid; s tpm-; \
             echo 1 > service_manifest_version; cat outblob 2>&1 | od -c | head -n 1; \
             cat outblob > /dev/null 2>&1 || echo refused as it should be",
        )
        .run()
}

fn is_over(report: &AttestationReport, manifest: &[u8]) -> bool {
    let nonce = b"y\n".repeat(32);
    report.report_data[..] == Sha512::digest([&nonce, manifest].concat())[..]
}

#[test]
fn linux_gets_reports_of_vmpl0_over_what_the_services_say() {
    let run = ask_the_svsm();
    run.assert_outcome(Outcome::PoweredOff)
        .assert_fact("exit", "0")
        .assert_line("refused as it should be")
        .assert_line("own report: version 3");
    let all = blob(&run, "all-manifestblob:");
    let vtpm = blob(&run, "tpm-manifestblob:");
    for (of, manifest) in [("all-", &all), ("tpm-", &vtpm)] {
        let report = report(&run, &format!("{of}outblob:"));
        assert_eq!((report.version, report.vmpl), (3, 0));
        is_of_this_launch(&run, &report);
        assert!(is_over(&report, manifest), "{}", run.report());
        assert_eq!(handed_out(&run, &format!("{of}auxblob:")), chain());
    }
    let (header, rest) = ServicesManifestHeader::read_from_prefix(&all).unwrap();
    assert_eq!((header.guid, header.count), (GUID_SERVICES_MANIFEST, 1));
    let (entry, rest) = ServicesManifestEntry::read_from_prefix(rest).unwrap();
    assert_eq!((entry.guid, entry.offset), (GUID_VTPM_SERVICE, 48));
    assert_eq!(rest, vtpm);
    // TPMT_PUBLIC: RSA, names by SHA-256.
    assert_eq!(vtpm[..4], [0, 1, 0, 0xb]);
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
