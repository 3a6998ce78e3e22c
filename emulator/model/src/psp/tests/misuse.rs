//! What a host or a guest does wrong, or to harm.

use super::*;
use proptest::prelude::*;

const OWN: Vmpl = Vmpl::VMPL1;

fn good(psp: &SecureProcessor) -> Page {
    let of = report_request(1);
    request(psp, OWN, MessageType::REPORT_REQ, 1, of.as_bytes())
}

/// Sends a page as it is, and checks that a refusal leaves no trace.
fn send(psp: &mut SecureProcessor, page: &Page) -> FirmwareStatus {
    let before = Vmpl::ALL.map(|vmpl| psp.count(vmpl));
    let mut response = [0xee; size_of::<Page>()];
    let status = psp.guest_request(page, &mut response);
    if status != FirmwareStatus::SUCCESS {
        assert_eq!(response, [0xee; size_of::<Page>()]);
        assert_eq!(before, Vmpl::ALL.map(|vmpl| psp.count(vmpl)));
    }
    status
}

#[test]
fn a_request_is_answered_once() {
    let mut psp = processor();
    let page = good(&psp);
    assert_eq!(send(&mut psp, &page), FirmwareStatus::SUCCESS);
    assert_eq!(send(&mut psp, &page), FirmwareStatus::INVALID_PARAM);
    let next = good(&psp);
    assert_eq!(send(&mut psp, &next), FirmwareStatus::SUCCESS);
    assert_eq!(psp.count(OWN), 4);
}

#[test]
fn only_the_number_that_is_due_is_taken() {
    let mut psp = processor();
    psp.set_count(OWN, 10);
    let of = report_request(1);
    for sequence in [0, 1, 9, 10, 12, 13, u64::MAX] {
        let page = numbered(sequence, OWN, MessageType::REPORT_REQ, 1, of.as_bytes());
        assert_eq!(
            send(&mut psp, &page),
            FirmwareStatus::INVALID_PARAM,
            "{sequence}"
        );
    }
    let page = numbered(11, OWN, MessageType::REPORT_REQ, 1, of.as_bytes());
    assert_eq!(send(&mut psp, &page), FirmwareStatus::SUCCESS);
}

#[test]
fn numbers_come_to_an_end_and_do_not_begin_anew() {
    let mut psp = processor();
    psp.set_count(OWN, u64::MAX - 2);
    let last = good(&psp);
    assert_eq!(send(&mut psp, &last), FirmwareStatus::SUCCESS);
    assert_eq!(psp.count(OWN), u64::MAX);
    let of = report_request(1);
    for count in [u64::MAX - 1, u64::MAX] {
        psp.set_count(OWN, count);
        for sequence in [count.wrapping_add(1), 0, 1] {
            let page = numbered(sequence, OWN, MessageType::REPORT_REQ, 1, of.as_bytes());
            assert_eq!(send(&mut psp, &page), FirmwareStatus::AEAD_OFLOW);
        }
    }
}

#[test]
fn an_answer_is_no_request() {
    let mut psp = processor();
    let mut answer = [0; size_of::<Page>()];
    let page = good(&psp);
    assert_eq!(
        psp.guest_request(&page, &mut answer),
        FirmwareStatus::SUCCESS
    );
    assert_eq!(send(&mut psp, &answer), FirmwareStatus::INVALID_PARAM);
    psp.set_count(OWN, 1);
    assert_eq!(send(&mut psp, &answer), FirmwareStatus::INVALID_PARAM);
}

#[test]
fn a_key_is_good_for_its_own_level_only() {
    let of = report_request(3);
    for key in Vmpl::ALL {
        for named in 0..=255u8 {
            let mut psp = processor();
            let mut info = GuestMessageInfo::new(MessageType::REPORT_REQ, 1, 0x60, key);
            info.vmpck = named;
            let mut page = [0; size_of::<Page>()];
            message::seal(&key_of(key), 1, info, of.as_bytes(), &mut page).unwrap();
            let expected = match named {
                _ if named == key.get() => FirmwareStatus::SUCCESS,
                0..=3 => FirmwareStatus::BAD_MEASUREMENT,
                _ => FirmwareStatus::INVALID_PARAM,
            };
            assert_eq!(send(&mut psp, &page), expected, "{key} {named}");
        }
    }
}

#[test]
fn a_level_gets_no_report_and_no_key_of_one_above_it() {
    let mut psp = processor();
    for own in Vmpl::ALL {
        for named in [0, 1, 2, 3, 4, 5, 256, 258, u32::MAX] {
            let expected = match named {
                _ if named < own.get().into() || named > 3 => FirmwareStatus::INVALID_PARAM,
                _ => FirmwareStatus::SUCCESS,
            };
            let report = ask_report(&mut psp, own, &report_request(named));
            assert_eq!(report.status, expected, "{own} {named}");
            let mut request = KeyRequest::new_zeroed();
            request.vmpl = named;
            let key = ask_key(&mut psp, own, 1, &request);
            assert_eq!(key.status, expected, "{own} {named}");
            if expected != FirmwareStatus::SUCCESS {
                assert_eq!(report, ReportResponse::refused(expected));
                assert_eq!(key, KeyResponse::refused(expected));
            }
        }
    }
}

#[test]
fn a_payload_has_its_size_and_no_other() {
    let right = [
        (MessageType::REPORT_REQ, 1, 0x60),
        (MessageType::KEY_REQ, 1, 0x20),
        (MessageType::KEY_REQ, 2, 0x28),
        (MessageType::TSC_INFO_REQ, 1, 0x80),
    ];
    for (kind, version, size) in right {
        for other in (0..200).chain([0x100, 0x4a0, 3999, 4000]) {
            let mut psp = processor();
            let asked = ask(&mut psp, Vmpl::VMPL0, kind, version, &[0; 4000][..other]);
            match other == size {
                true => assert!(asked.is_ok()),
                false => assert_eq!(asked, Err(FirmwareStatus::INVALID_PARAM), "{other}"),
            }
        }
    }
}

#[test]
fn what_is_not_there_is_refused() {
    let known = [(5, 1), (3, 1), (3, 2), (17, 1)];
    for kind in 0..=255 {
        for version in [0, 1, 2, 3, 255] {
            for size in [0, 0x20, 0x28, 0x60, 0x80] {
                if !known.contains(&(kind, version)) {
                    let mut psp = processor();
                    let asked = ask(&mut psp, OWN, MessageType(kind), version, &[0; 128][..size]);
                    assert_eq!(
                        asked,
                        Err(FirmwareStatus::INVALID_PARAM),
                        "{kind} {version}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_size_beyond_the_page_is_refused() {
    let mut psp = processor();
    let plain = good(&psp);
    for size in [4001u16, 4096, u16::MAX] {
        let mut page = plain;
        page[0x36..0x38].copy_from_slice(&size.to_le_bytes());
        assert_eq!(send(&mut psp, &page), FirmwareStatus::BAD_MEASUREMENT);
    }
}

#[test]
fn reserved_bytes_and_unknown_keys_of_a_report_request_are_refused() {
    let mut psp = processor();
    let refused = |psp: &mut SecureProcessor, change: fn(&mut ReportRequest)| {
        let mut request = report_request(1);
        change(&mut request);
        let response = ask_report(psp, OWN, &request);
        assert_eq!(response, ReportResponse::refused(response.status));
        response.status
    };
    let status = refused(&mut psp, |request| request.reserved[0] = 1);
    assert_eq!(status, FirmwareStatus::INVALID_PARAM);
    let status = refused(&mut psp, |request| request.reserved[23] = 0x80);
    assert_eq!(status, FirmwareStatus::INVALID_PARAM);
    let status = refused(&mut psp, |request| request.key_select.0 = 2);
    assert_eq!(status, FirmwareStatus::INVALID_KEY);
    for unknown in [
        |r: &mut ReportRequest| r.key_select.0 = 3,
        |r: &mut ReportRequest| r.key_select.0 = 1 << 31,
    ] {
        assert_eq!(refused(&mut psp, unknown), FirmwareStatus::INVALID_PARAM);
    }
}

#[test]
fn a_seal_takes_what_its_header_says() {
    let info = GuestMessageInfo::new(MessageType::REPORT_REQ, 1, 4001, OWN);
    let mut page = [0; size_of::<Page>()];
    let made = message::seal(&key_of(OWN), 1, info, &[0; 4001], &mut page);
    assert_eq!(made, Err(message::BadMessage));
    let info = GuestMessageInfo::new(MessageType::REPORT_REQ, 1, 8, OWN);
    let made = message::seal(&key_of(OWN), 1, info, &[0; 9], &mut page);
    assert_eq!(made, Err(message::BadMessage));
}

proptest! {
    #[test]
    fn one_changed_bit_is_noticed(at in 0usize..0xc0, bit in 0u8..8) {
        // The second half of the tag is not used.
        prop_assume!(!(0x10..0x20).contains(&at));
        let mut psp = processor();
        let page = good(&psp);
        let mut changed = page;
        changed[at] ^= 1 << bit;
        prop_assert_ne!(send(&mut psp, &changed), FirmwareStatus::SUCCESS);
        prop_assert_eq!(send(&mut psp, &page), FirmwareStatus::SUCCESS);
    }

    #[test]
    fn no_page_of_a_host_is_answered(mut page in proptest::collection::vec(any::<u8>(), 4096),
        is_headed: bool, size: u16)
    {
        let mut psp = processor();
        if is_headed {
            let info = GuestMessageInfo::new(MessageType::REPORT_REQ, 1, size, OWN);
            page[0x20..0x30].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            page[0x30..0x60].copy_from_slice(info.as_bytes());
        }
        let page: Page = page.try_into().unwrap();
        let status = send(&mut psp, &page);
        prop_assert_ne!(status, FirmwareStatus::SUCCESS);
        if is_headed {
            prop_assert_eq!(status, FirmwareStatus::BAD_MEASUREMENT);
        }
    }
}
