use std::vec::Vec;

use protocols::addr::GpaPage;
use protocols::snp::Vmpl;
use protocols::svsm::{CA_MEM_AVAILABLE, CoreCall, DepositEntry, DepositHeader};

use super::*;
use crate::testing::{Event, World, page, page_2m};

const LIST: u64 = World::SMALL + 0x6000;
const GIVEN: u64 = World::SMALL + 0x8000;

fn deposit(world: &mut World, pages: &[GpaPage]) {
    let entries: Vec<_> = pages.iter().map(|page| DepositEntry::new(*page)).collect();
    world.poke(LIST, DepositHeader::new(entries.len() as u16).as_bytes());
    world.poke(LIST + 8, entries.as_bytes());
    let result = world.core(CoreCall::DEPOSIT_MEM, LIST, 0, 0);
    assert_eq!(result, ResultCode::SUCCESS);
    world.machine.take_events();
}

/// The addresses that came back.
fn withdraw(world: &mut World, gpa: u64) -> Vec<u64> {
    let result = world.core(CoreCall::WITHDRAW_MEM, gpa, 0, 0);
    assert_eq!(result, ResultCode::SUCCESS);
    let count = u64::from(u16::from_le_bytes(world.peek(gpa)));
    (0..count)
        .map(|index| world.peek_u64(gpa + 8 + index * 8))
        .collect()
}

fn available(world: &mut World) -> bool {
    world.peek(World::CALLING_AREA + CA_MEM_AVAILABLE as u64) == [1]
}

#[test]
fn threat_45_what_was_given_comes_back_zeroed_and_is_the_guest_s() {
    let mut world = World::new();
    deposit(&mut world, &[page(GIVEN + 0x1000), page(GIVEN)]);
    assert!(available(&mut world));
    // What the firmware would have left there.
    world.poke(GIVEN, b"secret");
    assert_eq!(withdraw(&mut world, LIST), [GIVEN, GIVEN + 0x1000]);
    assert!(!available(&mut world));
    let events = world.machine.take_events();
    assert_eq!(world.peek(GIVEN), [0; 6]);
    for gpa in [GIVEN, GIVEN + 0x1000] {
        assert!(world.writable(Vmpl::VMPL2, gpa));
        assert!(world.writable(Vmpl::VMPL1, gpa));
        assert!(!world.readable(Vmpl::VMPL3, gpa));
        let place = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(wanted).unwrap();
        let zeroed = place(&|event| *event == Event::Zero(page(gpa)));
        let granted = place(&|event| matches!(event, Event::Rmpadjust(p, ..) if *p == page(gpa)));
        assert!(zeroed < granted, "threat 45");
    }
    assert_eq!(withdraw(&mut world, LIST), [], "only once");
    let entry = protocols::svsm::PvalidateEntry::new(page(GIVEN), false);
    assert_eq!(
        world.pvalidate(&[entry]),
        (ResultCode::SUCCESS, 1),
        "ordinary memory"
    );
}

#[test]
fn a_list_ends_with_its_page_and_the_flag_says_that_there_is_more() {
    let mut world = World::new();
    deposit(&mut world, &[page_2m(World::LARGE), page(GIVEN)]);
    let first = withdraw(&mut world, LIST);
    assert_eq!(first.len(), 511);
    assert!(available(&mut world));
    let second = withdraw(&mut world, LIST + 0xff0);
    assert_eq!(second.len(), 1);
    assert!(available(&mut world));
    let third = withdraw(&mut world, World::CALLING_AREA + 8);
    assert_eq!(third.len(), 1);
    assert!(!available(&mut world));
    let mut all: Vec<_> = [first, second, third].concat();
    all.sort_unstable();
    let mut expected: Vec<_> = page_2m(World::LARGE)
        .split()
        .map(|p| p.gpa().get())
        .collect();
    expected.insert(0, GIVEN);
    assert_eq!(all, expected);
    assert!(world.writable(Vmpl::VMPL2, World::LARGE + 0x1f_f000));
}

#[test]
fn an_empty_list_leaves_what_lies_behind_its_head() {
    let mut world = World::new();
    world.poke(LIST, &[0xff; 16]);
    assert_eq!(withdraw(&mut world, LIST), []);
    assert_eq!(world.peek(LIST), [0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(world.peek(LIST + 8), [0xff; 8]);
}

#[test]
fn a_place_that_cannot_hold_a_list_is_refused_and_nothing_comes_back() {
    let mut world = World::new();
    deposit(&mut world, &[page(GIVEN)]);
    for (gpa, expected) in [
        (LIST + 0xff8, ResultCode::INVALID_PARAMETER),
        (LIST + 4, ResultCode::INVALID_PARAMETER),
        (World::CALLING_AREA, ResultCode::INVALID_ADDRESS),
        (World::FIRMWARE, ResultCode::INVALID_ADDRESS),
        (World::PENDING, ResultCode::INVALID_ADDRESS),
        (World::VMSA, ResultCode::INVALID_ADDRESS),
        (World::RAM, ResultCode::INVALID_ADDRESS),
        (GIVEN, ResultCode::INVALID_ADDRESS),
        (!7, ResultCode::INVALID_PARAMETER),
        (!0xfff, ResultCode::INVALID_ADDRESS),
    ] {
        assert_eq!(
            world.core(CoreCall::WITHDRAW_MEM, gpa, 0, 0),
            expected,
            "{gpa:#x}"
        );
        assert!(!world.readable(Vmpl::VMPL2, GIVEN));
    }
    assert_eq!(withdraw(&mut world, LIST), [GIVEN]);
}

#[test]
fn pages_can_be_given_and_taken_back_again_and_again() {
    let mut world = World::new();
    for _ in 0..3 {
        deposit(&mut world, &[page(GIVEN), page_2m(World::LARGE)]);
        assert_eq!(withdraw(&mut world, LIST).len(), 511);
        assert_eq!(withdraw(&mut world, LIST).len(), 2);
        assert_eq!(world.shared.lock().pages.deposited(), 0);
    }
}
