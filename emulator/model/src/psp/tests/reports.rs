//! What reports say, and who signed them.

use super::*;
use crate::psp::report::{is_signed_by, make};
use protocols::snp::{AttestationReport, KeyInfo, SigningKey};

fn report(chip: &Chip, guest: &Guest) -> AttestationReport {
    make(chip, guest, Vmpl::VMPL0, &report_request(2)).unwrap()
}

#[test]
fn a_report_says_what_was_launched_and_where() {
    let report = report(&chip(), &guest());
    let bytes = report.as_bytes();
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(bytes[..8], [5, 0, 0, 0, 7, 0, 0, 0]);
    assert_eq!(word(0x08), 0x3_0000);
    assert_eq!(bytes[0x10..0x20], [0xfa; 16]);
    assert_eq!(bytes[0x20..0x30], [0x1a; 16]);
    assert_eq!(bytes[0x30..0x38], [2, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(word(0x38), NEWER.0);
    assert_eq!(word(0x40), 0xbf);
    assert_eq!(word(0x48), 0);
    assert_eq!(bytes[0x50..0x90], report_request(2).report_data);
    assert_eq!(bytes[0x90..0xc0], [0x33; 48]);
    assert_eq!(bytes[0xc0..0xe0], [0x40; 32]);
    assert_eq!(bytes[0xe0..0x110], [0x1d; 48]);
    assert_eq!(bytes[0x110..0x140], [0; 48]);
    assert_eq!(bytes[0x140..0x160], [0x1e; 32]);
    assert_eq!(bytes[0x160..0x180], [0xff; 32]);
    assert_eq!(word(0x180), TCB.0);
    assert_eq!(bytes[0x188..0x18b], [0x19, 1, 2]);
    assert_eq!(bytes[0x18b..0x1a0], [0; 21]);
    assert_eq!(bytes[0x1a0..0x1e0], chip().id);
    assert_eq!(word(0x1e0), TCB.0);
    assert_eq!(bytes[0x1e8..0x1f0], [29, 55, 1, 0, 21, 55, 1, 0]);
    assert_eq!(word(0x1f0), TCB.0);
    assert_eq!((word(0x1f8), word(0x200)), (0b0111, 0b1111));
    assert_eq!(bytes[0x208..0x2a0], [0; 152]);
}

#[test]
fn older_reports_leave_out_what_they_do_not_know() {
    let of = |version| {
        let mut chip = chip();
        chip.report_version = version;
        let report = report(&chip, &guest());
        assert!(is_signed_by(&report, &chip.vcek_public().unwrap()));
        let processor = [
            report.cpuid_family,
            report.cpuid_model,
            report.cpuid_stepping,
        ];
        let mitigations = (report.launch_mit_vector, report.current_mit_vector);
        (report.version, report.platform_info, processor, mitigations)
    };
    assert_eq!(of(ReportVersion::V2), (2, 0x1f, [0; 3], (0, 0)));
    assert_eq!(of(ReportVersion::V3), (3, 0x3f, [0x19, 1, 2], (0, 0)));
    assert_eq!(of(ReportVersion::V5), (5, 0xbf, [0x19, 1, 2], (7, 15)));
}

#[test]
fn a_guest_without_an_id_block_has_zeros_in_its_place() {
    let mut guest = guest();
    guest.id_block = None;
    let report = report(&chip(), &guest);
    assert_eq!(report.guest_svn, 0);
    assert_eq!(report.as_bytes()[0x10..0x30], [0; 32]);
    assert_eq!(report.id_key_digest, [0; 48]);
}

#[test]
fn an_author_key_is_named_and_said_to_be() {
    let mut guest = guest();
    let block = guest.id_block.as_mut().unwrap();
    block.author_key_digest = Some([0xaa; 48]);
    let report = report(&chip(), &guest);
    assert_eq!(report.author_key_digest, [0xaa; 48]);
    assert_eq!(report.key_info, KeyInfo(KeyInfo::AUTHOR_KEY_EN));
}

#[test]
fn the_signature_is_over_every_byte_before_it() {
    let chip = chip();
    let key = chip.vcek_public().unwrap();
    let report = report(&chip, &guest());
    assert!(is_signed_by(&report, &key));
    for at in 0..AttestationReport::SIGNED {
        let mut changed = report;
        changed.as_mut_bytes()[at] ^= 1;
        // Verification is slow: every byte of the first fields, then every 13th.
        if at < 0x58 || at % 13 == 0 {
            assert!(!is_signed_by(&changed, &key), "{at:#x}");
        }
    }
}

#[test]
fn a_changed_signature_is_none() {
    let chip = chip();
    let key = chip.vcek_public().unwrap();
    let report = report(&chip, &guest());
    for at in [0x2a0, 0x2cf, 0x2d0, 0x2e7, 0x2e8, 0x317, 0x318, 0x32f] {
        let mut changed = report;
        changed.as_mut_bytes()[at] ^= 1;
        assert!(!is_signed_by(&changed, &key), "{at:#x}");
    }
    let mut zero = report;
    zero.signature.r = [0; 72];
    assert!(!is_signed_by(&zero, &key));
}

#[test]
fn the_signing_key_is_the_chip_s_and_the_tcb_s() {
    let mine = chip();
    let mut others = [chip(), chip()];
    others[0].secret[47] ^= 1;
    others[1].config.reported_tcb = Some(TcbVersion(TCB.0 - 1));
    for other in others {
        let report = report(&other, &guest());
        assert!(is_signed_by(&report, &other.vcek_public().unwrap()));
        assert!(!is_signed_by(&report, &mine.vcek_public().unwrap()));
    }
    let again = report(&mine, &guest());
    assert_eq!(again, report(&mine, &guest()));
}

#[test]
fn the_host_may_hide_the_chip_and_hold_back_signatures() {
    let mut chip = chip();
    chip.config.mask_chip_id = true;
    let hidden = report(&chip, &guest());
    assert_eq!(hidden.chip_id, [0; 64]);
    assert!(is_signed_by(&hidden, &chip.vcek_public().unwrap()));
    chip.config.mask_chip_key = true;
    let unsigned = report(&chip, &guest());
    assert_eq!(unsigned.as_bytes()[0x2a0..], [0; 0x200]);
    assert_eq!(
        unsigned.key_info,
        KeyInfo::new(KeyInfo::MASK_CHIP_KEY, SigningKey::NONE)
    );
    assert!(!is_signed_by(&unsigned, &chip.vcek_public().unwrap()));
}

#[test]
fn the_report_that_is_sent_is_the_one_that_is_made() {
    let mut psp = processor();
    for own in Vmpl::ALL {
        let response = ask_report(&mut psp, own, &report_request(3));
        assert_eq!(response.status, FirmwareStatus::SUCCESS);
        assert_eq!((response.size, response.reserved), (0x4a0, [0; 24]));
        let made = make(&chip(), &guest(), own, &report_request(3)).unwrap();
        assert_eq!(response.report, made);
        assert_eq!(made.vmpl, 3);
    }
}

#[test]
fn a_processor_is_read_from_cpuid() {
    let of = |eax| {
        let Processor {
            family,
            model,
            stepping,
        } = Processor::from_cpuid(eax);
        (family, model, stepping)
    };
    assert_eq!(of(0x00a0_0f11), (0x19, 0x01, 1));
    assert_eq!(of(0x00a1_0f12), (0x19, 0x11, 2));
    assert_eq!(of(0x00b0_0f21), (0x1a, 0x02, 1));
    assert_eq!(of(0x0000_0663), (0x06, 0x06, 3));
}
