use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use protocols::addr::PageSize;
use protocols::snp::Vmpl;
use snp_model::access::Encryption::Private;

use super::*;
use crate::testing::{Device, Event, World, range};

const SIZE: usize = 0x6000;

fn firmware() -> Vec<u8> {
    (0..SIZE as u32)
        .map(|i| ((i * 31) ^ (i >> 5)) as u8)
        .collect()
}

fn hash_of(bytes: &[u8]) -> FirmwareHash {
    Sha384::digest(bytes).into()
}

/// A world whose ROM is open, and a host with this file.
struct Given {
    world: World,
    device: Device,
    rom: GpaRange,
}

impl Given {
    fn new(file: &[u8]) -> Self {
        let rom = range((1 << 32) - SIZE as u64, SIZE as u64);
        let mut world = World::before_launch();
        for page in rom.pages(PageSize::Size4K) {
            world.private(page);
            let _ = crate::accept::claim(&mut world.machine, page).unwrap();
        }
        let device = Device::new(&[(b"etc/e820", &[0; 20]), (FIRMWARE_FILE, file)]);
        world.machine.host.on_page(device.script());
        world.machine.take_events();
        Self { world, device, rom }
    }

    fn place(&mut self) -> Result<(), Fatal> {
        place(
            &mut self.world.machine,
            &mut Ghcb::zeroed(),
            &mut self.device.clone(),
            self.rom,
            &hash_of(&firmware()),
            &mut [0; 0x1000],
        )
    }

    fn placed(&mut self) -> Vec<u8> {
        let (mut bytes, start) = (vec![0; SIZE], self.rom.start());
        let system = &mut self.world.machine.system;
        system
            .read(Vmpl::VMPL0, Private, start, &mut bytes)
            .unwrap();
        bytes
    }

    fn refused(&mut self) -> (RampartReason, u64) {
        match self.place() {
            Err(Fatal::Rampart(reason, detail)) => (reason, detail),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_firmware_with_the_hash_is_placed() {
    let mut given = Given::new(&firmware());
    assert_eq!(given.place(), Ok(()));
    assert_eq!(given.placed(), firmware());
}

#[test]
fn one_bit_more_or_less_is_another_firmware() {
    for bit in [0, SIZE * 8 / 2 + 3, SIZE * 8 - 1] {
        let mut other = firmware();
        other[bit / 8] ^= 1 << (bit % 8);
        let begin = u64::from_be_bytes(hash_of(&other)[..8].try_into().unwrap());
        assert_eq!(
            Given::new(&other).refused(),
            (RampartReason::FirmwareHashMismatch, begin)
        );
    }
}

#[test]
fn threat_24_none_a_shorter_and_a_longer_one_are_refused_for_what_they_are() {
    let mut none = Given::new(&firmware());
    none.device.host().directory[..4].copy_from_slice(&1u32.to_be_bytes());
    assert_eq!(none.refused(), (RampartReason::FirmwareMissing, 0));
    for size in [0, SIZE - 1, SIZE + 1] {
        let mut file = firmware();
        file.resize(size, 0);
        let mut given = Given::new(&file);
        assert_eq!(
            given.refused(),
            (RampartReason::FirmwareSizeMismatch, size as u64)
        );
        // Not a byte of it was asked for.
        assert_eq!(given.device.host().transfers.len(), 1);
    }
}

#[test]
fn a_firmware_that_is_shorter_than_the_directory_says_is_another_one() {
    let mut given = Given::new(&firmware()[..SIZE - 1]);
    let size = (SIZE as u32).to_be_bytes();
    // The second entry's first field.
    given.device.host().directory[4 + 64..][..4].copy_from_slice(&size);
    assert_eq!(given.refused().0, RampartReason::FirmwareHashMismatch);
}

#[test]
fn threat_24_what_the_host_changes_after_a_byte_was_read_changes_nothing() {
    let mut given = Given::new(&firmware());
    given.device.host().after_read = Some(Box::new(|pages, start, len| {
        pages[start..][..len].fill(0xcc);
    }));
    assert_eq!(given.place(), Ok(()));
    assert_eq!(given.placed(), firmware());
}

#[test]
fn threat_24_what_the_host_changes_before_a_byte_is_read_is_found_by_the_hash() {
    let mut given = Given::new(&firmware());
    let mut changed = false;
    given.device.host().after_read = Some(Box::new(move |pages, start, len| {
        // The next piece of a transfer, while the one before it is being copied.
        if (start, len) == (0x1000, 0x1000) && !changed {
            pages[0x2000] ^= 0x80;
            changed = true;
        }
    }));
    assert_eq!(given.refused().0, RampartReason::FirmwareHashMismatch);
}

#[test]
fn the_hash_is_of_private_memory_after_the_last_byte_came() {
    let mut given = Given::new(&firmware());
    given.place().unwrap();
    let (start, end) = (given.rom.start(), given.rom.end());
    let events = given.world.machine.take_events();
    let own = |gpa: Gpa| start <= gpa && gpa < end;
    let written = |event: &Event| matches!(event, Event::Write(gpa, _) if own(*gpa));
    let hashed = |event: &Event| matches!(event, Event::Read(gpa, _) if own(*gpa));
    let exit = |event: &Event| matches!(event, Event::PageRequest(_));
    let first_hashed = events.iter().position(hashed).unwrap();
    assert!(!events[first_hashed..].iter().any(written));
    assert!(!events[first_hashed..].iter().any(exit));
    assert_eq!(events.iter().filter(|e| hashed(e)).count(), SIZE / 0x1000);
    // And nobody got a right to it.
    let granted = |event: &Event| matches!(event, Event::Rmpadjust(..));
    assert!(!events.iter().any(granted));
}

#[test]
fn memory_that_changes_after_it_was_written_is_found_as_well() {
    // No host can do this to private memory; that it would be seen shows what is hashed.
    let mut given = Given::new(&firmware());
    let (start, mut done) = (given.rom.start(), false);
    given.world.machine.intrude(move |event, system| {
        if matches!(event, Event::Read(gpa, _) if gpa == start) && !done {
            done = true;
            let write = system.write(Vmpl::VMPL0, Private, start, &[0xee]);
            write.unwrap();
        }
    });
    assert_eq!(given.refused().0, RampartReason::FirmwareHashMismatch);
}
