//! Derived keys: the same for the same, and for nothing else.

use super::*;
use crate::psp::derived_key::derive;
use proptest::prelude::*;
use protocols::snp::GuestFields;

const ALL: u64 = 0x7f;

fn key_request(fields: u64) -> KeyRequest {
    let mut request = KeyRequest::new_zeroed();
    request.fields = fields;
    request.vmpl = 2;
    request.guest_svn = 5;
    request.tcb_version = TCB;
    request.launch_mit_vector = 0b0101;
    request
}

fn key(chip: &Chip, guest: &Guest, request: &KeyRequest) -> [u8; 32] {
    derive(chip, guest, Vmpl::VMPL0, 2, request).unwrap()
}

type Change = fn(&mut Guest, &mut KeyRequest);

/// For each field, something that changes it and nothing else.
const CHANGES: [(GuestFields, Change); 7] = [
    (GuestFields::GUEST_POLICY, |guest, _| {
        guest.policy |= GuestPolicy::DEBUG
    }),
    (GuestFields::IMAGE_ID, |guest, _| {
        guest.id_block.as_mut().unwrap().image_id[15] ^= 1
    }),
    (GuestFields::FAMILY_ID, |guest, _| {
        guest.id_block.as_mut().unwrap().family_id[0] ^= 1
    }),
    (GuestFields::MEASUREMENT, |guest, _| {
        guest.measurement[47] ^= 1
    }),
    (GuestFields::GUEST_SVN, |_, request| request.guest_svn = 4),
    (GuestFields::TCB_VERSION, |_, request| {
        request.tcb_version.0 -= 1
    }),
    (GuestFields::LAUNCH_MIT_VECTOR, |_, request| {
        request.launch_mit_vector = 1
    }),
];

#[test]
fn a_key_comes_back_in_every_boot() {
    let (mut first, mut second) = (processor(), processor());
    second.guest.report_id = [9; 32];
    second.guest.host_data = [8; 32];
    let one = ask_key(&mut first, Vmpl::VMPL1, 2, &key_request(ALL));
    ask_report(&mut second, Vmpl::VMPL0, &report_request(0));
    let two = ask_key(&mut second, Vmpl::VMPL0, 2, &key_request(ALL));
    assert_eq!(one.status, FirmwareStatus::SUCCESS);
    assert_eq!(one, two);
    assert_ne!(one.key, [0; 32]);
}

#[test]
fn the_chip_and_the_level_are_in_every_key() {
    let request = key_request(0);
    let mine = key(&chip(), &guest(), &request);
    let mut other = chip();
    other.secret[0] ^= 1;
    assert_ne!(mine, key(&other, &guest(), &request));
    for vmpl in [0, 1, 3] {
        let other = KeyRequest { vmpl, ..request };
        assert_ne!(mine, key(&chip(), &guest(), &other));
    }
}

#[test]
fn an_older_message_gets_the_same_key() {
    let fields = ALL & !GuestFields::LAUNCH_MIT_VECTOR.bits();
    let mut request = key_request(fields);
    request.launch_mit_vector = 0;
    let mut psp = processor();
    let old = ask_key(&mut psp, Vmpl::VMPL0, 1, &request);
    let new = ask_key(&mut psp, Vmpl::VMPL0, 2, &request);
    assert_eq!(old.status, FirmwareStatus::SUCCESS);
    assert_eq!(old, new);
    request.fields = ALL;
    let refused = ask_key(&mut psp, Vmpl::VMPL0, 1, &request);
    assert_eq!(refused, KeyResponse::refused(FirmwareStatus::INVALID_PARAM));
}

#[test]
fn a_guest_gets_no_key_of_a_newer_self() {
    let refused = |change: fn(&mut KeyRequest)| {
        let mut request = key_request(ALL);
        change(&mut request);
        derive(&chip(), &guest(), Vmpl::VMPL0, 2, &request)
    };
    let no = Err(FirmwareStatus::INVALID_PARAM);
    assert!(refused(|request| request.guest_svn = 7).is_ok());
    assert_eq!(refused(|request| request.guest_svn = 8), no);
    // Newer in one part, though older in others.
    assert_eq!(refused(|request| request.tcb_version = TcbVersion(5)), no);
    assert_eq!(refused(|request| request.tcb_version = NEWER), no);
    assert_eq!(refused(|request| request.launch_mit_vector = 0b1000), no);
    assert_eq!(refused(|request| request.fields = 0x80), no);
    assert_eq!(refused(|request| request.fields = 1 << 63), no);
    assert_eq!(refused(|request| request.reserved = 1), no);
    assert_eq!(refused(|request| request.root_key_select = 0b1000), no);
    assert_eq!(refused(|request| request.root_key_select = 0b110), no);
    let none = Err(FirmwareStatus::INVALID_KEY);
    assert_eq!(refused(|request| request.root_key_select = 0b1), none);
    assert_eq!(refused(|request| request.root_key_select = 0b100), none);
    assert_eq!(
        refused(|request| request.root_key_select = 0b10),
        refused(|_| ())
    );
}

proptest! {
    #[test]
    fn a_key_depends_on_what_is_selected_and_on_nothing_else(fields in 0..=ALL, at in 0usize..7) {
        let (field, change) = CHANGES[at];
        let (mut changed, mut request) = (guest(), key_request(fields));
        let before = key(&chip(), &changed, &request);
        change(&mut changed, &mut request);
        let is_selected = GuestFields::from_bits_retain(fields).contains(field);
        prop_assert_eq!(before != key(&chip(), &changed, &request), is_selected);
    }

    #[test]
    fn another_selection_is_another_key(one in 0..=ALL, two in 0..=ALL) {
        let keys = [one, two].map(|fields| key(&chip(), &guest(), &key_request(fields)));
        prop_assert_eq!(one == two, keys[0] == keys[1]);
    }
}
