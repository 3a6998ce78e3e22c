use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use zerocopy::IntoBytes;

use super::*;
use crate::testing::{Device, Machine, cases, entry};

const NAME: &[u8] = b"opt/a/file";

fn content() -> Vec<u8> {
    (0..0x7123u32).map(|i| (i ^ (i >> 7)) as u8).collect()
}

fn device() -> Device {
    Device::new(&[(b"etc/other", b"no"), (NAME, &content()), (b"last", b"x")])
}

fn machine(device: &Device) -> Machine {
    let mut machine = Machine::new();
    machine.host.on_page(device.script());
    machine
}

fn find(device: &Device, name: &[u8]) -> Result<Option<File>, Fatal> {
    let mut pages = device.clone();
    FwCfg::new(&mut pages).find(&mut machine(device), &mut Ghcb::zeroed(), name)
}

/// Reads `len` bytes of the file with that name, in pieces of so many bytes.
fn read(device: &Device, len: usize, piece: usize) -> Result<Vec<u8>, Fatal> {
    let (mut pages, mut machine, ghcb) = (device.clone(), machine(device), &mut Ghcb::zeroed());
    let mut client = FwCfg::new(&mut pages);
    let file = client.find(&mut machine, ghcb, NAME)?.unwrap();
    let (mut all, mut piece) = (Vec::new(), vec![0; piece]);
    client.read(&mut machine, ghcb, file, len, &mut piece, |_, bytes| {
        all.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(all)
}

fn reason(fatal: Fatal) -> (RampartReason, u64) {
    match fatal {
        Fatal::Rampart(reason, detail) => (reason, detail),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_is_found_by_its_name() {
    let found = find(&device(), NAME).unwrap().unwrap();
    assert_eq!((found.selector, found.size), (0x21, 0x7123));
    assert_eq!(find(&device(), b"last").unwrap().unwrap().selector, 0x22);
    assert_eq!(find(&device(), b"opt/a/fil"), Ok(None));
    assert_eq!(find(&Device::new(&[]), NAME), Ok(None));
}

#[test]
fn a_file_comes_whole_in_few_transfers_and_each_byte_is_read_once() {
    let device = device();
    device.host().after_transfer = None;
    assert_eq!(read(&device, 0x7123, 0x1000).unwrap(), content());
    // The directory first, of which as much is asked for as has room.
    assert_eq!(device.host().transfers, [0x3000, 0x3000, 0x3000, 0x1123]);
    assert!(device.host().reads[0x1000..0x2123].iter().all(|n| *n == 1));
    assert!(device.host().reads[0x2123..].iter().all(|n| *n == 0));
    for piece in [1, 7, 0x1001, 0x10000] {
        assert_eq!(read(&device, 0x7123, piece).unwrap(), content(), "{piece}");
    }
}

#[test]
fn a_start_is_read_and_nothing_of_nothing() {
    assert_eq!(read(&device(), 5, 0x1000).unwrap(), content()[..5]);
    assert_eq!(read(&device(), 0, 0x1000).unwrap(), []);
    // Memory of no size to work in: an error, not a loop without end.
    assert_eq!(read(&device(), 1, 0), Err(Fatal::INTERNAL));
}

#[test]
fn behind_the_end_of_a_file_there_are_zeros() {
    let read = read(&device(), 0x8000, 0x1000).unwrap();
    assert_eq!(read[..0x7123], content());
    assert!(read[0x7123..].iter().all(|byte| *byte == 0));
}

#[test]
fn threat_24_an_absurd_number_of_files_is_refused() {
    for count in [MAX_FILES + 1, 0x8000_0000, u32::MAX] {
        let device = device();
        device.host().directory[..4].copy_from_slice(&count.to_be_bytes());
        let refused = find(&device, b"not there").unwrap_err();
        assert_eq!(
            reason(refused),
            (RampartReason::FwCfgFailed, u64::from(count))
        );
    }
}

#[test]
fn threat_24_a_directory_that_claims_more_than_it_has_ends_with_the_pages() {
    let device = device();
    device.host().directory[..4].copy_from_slice(&MAX_FILES.to_be_bytes());
    assert_eq!(find(&device, b"not there"), Ok(None));
}

#[test]
fn threat_24_a_selector_that_leads_nowhere_brings_nothing() {
    let device = Device::new(&[]);
    let mut directory = 1u32.to_be_bytes().to_vec();
    directory.extend_from_slice(entry(NAME, 0xffff, 8).as_bytes());
    device.host().directory = directory;
    assert_eq!(read(&device, 8, 8).unwrap(), [0; 8]);
}

#[test]
fn a_failed_transfer_ends_the_machine() {
    let device = device();
    device.host().after_transfer = Some(std::boxed::Box::new(|number, pages| {
        if number == 1 {
            pages[..4].copy_from_slice(&1u32.to_be_bytes());
        }
    }));
    let failed = read(&device, 0x100, 0x100).unwrap_err();
    assert_eq!(reason(failed), (RampartReason::FwCfgFailed, 1));
}

#[test]
fn threat_24_a_device_that_never_answers_is_not_waited_for() {
    let device = device();
    device.host().dead = true;
    let failed = find(&device, NAME).unwrap_err();
    assert_eq!(reason(failed).0, RampartReason::FwCfgFailed);
}

proptest! {
    #![proptest_config(cases(64))]

    /// Whatever the directory holds: an answer, and never a panic or a read outside.
    #[test]
    fn threat_24_any_directory_is_survived(
        directory in prop::collection::vec(any::<u8>(), 0..0x400),
        small in any::<bool>(),
    ) {
        let device = device();
        let mut directory = directory;
        if small && let Some(count) = directory.first_chunk_mut::<4>() {
            *count = 7u32.to_be_bytes();
        }
        device.host().directory = directory;
        match find(&device, NAME) {
            Ok(_) => {}
            Err(fatal) => prop_assert_eq!(reason(fatal).0, RampartReason::FwCfgFailed),
        }
    }
}
