use std::vec::Vec;

use protocols::addr::{Gpa, GpaPage, PAGE_2M};
use protocols::snp::Vmpl;
use protocols::svsm::{CoreCall, DepositHeader};
use snp_model::types::Spa;
use zerocopy::IntoBytes;

use super::*;
use crate::page_map::PageState;
use crate::testing::{Event, World, page, page_2m};

const NONE: Rights = Rights::empty();
const LIST: u64 = World::SMALL + 0x6000;
const GIVEN: u64 = World::SMALL + 0x8000;

fn deposit_at(world: &mut World, gpa: u64, entries: &[DepositEntry]) -> (ResultCode, u16) {
    world.poke(gpa, DepositHeader::new(entries.len() as u16).as_bytes());
    world.poke(gpa + 8, entries.as_bytes());
    let result = world.core(CoreCall::DEPOSIT_MEM, gpa, 0, 0);
    (result, u16::from_le_bytes(world.peek(gpa + 2)))
}

fn deposit(world: &mut World, pages: &[GpaPage]) -> (ResultCode, u16) {
    let entries: Vec<_> = pages.iter().map(|page| DepositEntry::new(*page)).collect();
    deposit_at(world, LIST, &entries)
}

fn deposited(world: &World) -> u64 {
    world.shared.lock().pages.deposited()
}

fn rights(world: &World, gpa: u64) -> [Rights; 3] {
    let spa = world.machine.system.translate(Gpa::new(gpa)).unwrap();
    let entry = world.machine.system.rmp().entry(spa);
    [Vmpl::VMPL1, Vmpl::VMPL2, Vmpl::VMPL3].map(|level| entry.rights(level))
}

#[test]
fn threat_09_rights_are_revoked_then_flushed_once_then_the_pages_are_zeroed() {
    let mut world = World::new();
    let pages = [page(GIVEN), page(GIVEN + 0x3000), page_2m(World::LARGE)];
    world.poke(GIVEN, b"the guest's");
    assert_eq!(deposit(&mut world, &pages), (ResultCode::SUCCESS, 3));
    let mut expected = Vec::new();
    for page in pages {
        for level in [Vmpl::VMPL1, Vmpl::VMPL2, Vmpl::VMPL3] {
            expected.push(Event::Rmpadjust(page, level, NONE, false));
        }
    }
    expected.push(Event::Flush);
    expected.extend(pages.map(Event::Zero));
    let steps =
        |event: &Event| matches!(event, Event::Rmpadjust(..) | Event::Flush | Event::Zero(_));
    let events = world.machine.take_events();
    assert_eq!(
        events.into_iter().filter(steps).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(world.peek(GIVEN), [0; 11]);
    assert_eq!(deposited(&world), 2 + 512);
}

#[test]
fn threat_45_a_deposited_page_is_out_of_every_level_s_reach() {
    let mut world = World::new();
    // The guest has given VMPL3 rights of its own.
    let attributes = protocols::snp::RmpAttributes::new(Vmpl::VMPL3, Rights::READ, false);
    let system = &mut world.machine.system;
    let _ = system.rmpadjust(
        Vmpl::VMPL2,
        Gpa::new(GIVEN),
        protocols::addr::PageSize::Size4K,
        attributes,
    );
    assert!(world.readable(Vmpl::VMPL3, GIVEN));
    assert_eq!(deposit(&mut world, &[page(GIVEN)]).0, ResultCode::SUCCESS);
    assert_eq!(rights(&world, GIVEN), [NONE; 3]);
    for level in [Vmpl::VMPL1, Vmpl::VMPL2, Vmpl::VMPL3] {
        assert!(!world.readable(level, GIVEN));
    }
    assert!(
        world.writable(Vmpl::VMPL2, GIVEN + 0x1000),
        "its neighbour is the guest's"
    );
}

#[test]
fn no_call_can_name_a_deposited_page() {
    let mut world = World::new();
    let pages = [page(GIVEN), page_2m(World::LARGE)];
    assert_eq!(deposit(&mut world, &pages), (ResultCode::SUCCESS, 2));
    let refused = ResultCode::INVALID_ADDRESS;
    for gpa in [GIVEN, World::LARGE, World::LARGE + PAGE_2M - 0x1000] {
        let named = page(gpa);
        assert_eq!(deposit(&mut world, &[named]), (refused, 0), "again");
        for validate in [true, false] {
            let entry = protocols::svsm::PvalidateEntry::new(named, validate);
            assert_eq!(world.pvalidate(&[entry]), (refused, 0));
            assert_eq!(world.pvalidate(&[entry.ignoring_cf()]), (refused, 0));
        }
        assert_eq!(world.core(CoreCall::REMAP_CA, gpa, 0, 0), refused);
        for call in [
            CoreCall::PVALIDATE,
            CoreCall::DEPOSIT_MEM,
            CoreCall::WITHDRAW_MEM,
        ] {
            assert_eq!(world.core(call, gpa, 0, 0), refused, "{call:?}");
        }
        let (free, ap) = (World::SMALL + 0xa000, u64::from(World::AP));
        assert_eq!(world.core(CoreCall::CREATE_VCPU, gpa, free, ap), refused);
        assert_eq!(world.core(CoreCall::CREATE_VCPU, free, gpa, ap), refused);
    }
    let whole = protocols::svsm::PvalidateEntry::new(page_2m(World::LARGE), false);
    assert_eq!(world.pvalidate(&[whole]), (refused, 0));
    assert_eq!(deposited(&world), 513);
}

#[test]
fn a_large_page_may_be_validated_in_small_ones_and_split_by_the_host() {
    let mut world = World::new();
    world.machine.system.psmash(Spa(World::LARGE)).unwrap();
    assert_eq!(
        deposit(&mut world, &[page_2m(World::LARGE)]),
        (ResultCode::SUCCESS, 1)
    );
    for small in page_2m(World::LARGE).split() {
        assert_eq!(rights(&world, small.gpa().get()), [NONE; 3]);
    }
    // One page of the region is not validated.
    let mut world = World::new();
    let hole = page(World::LARGE + 0x5000);
    let entry = protocols::svsm::PvalidateEntry::new(hole, false);
    assert_eq!(world.pvalidate(&[entry]).0, ResultCode::SUCCESS);
    assert_eq!(
        deposit(&mut world, &[page_2m(World::LARGE)]),
        (ResultCode::INVALID_ADDRESS, 0)
    );
    assert!(world.writable(Vmpl::VMPL2, World::LARGE));
}

#[test]
fn each_fault_of_an_entry_has_its_result_and_the_earlier_ones_are_done() {
    let address = ResultCode::INVALID_ADDRESS;
    for (bits, expected) in [
        (World::CALLING_AREA, address),
        (World::VMSA, address),
        (World::FIRMWARE, address),
        (World::FIRMWARE | 1, address),
        (World::RAM, address),
        (World::PENDING | 1, address),
        (World::PENDING + 0x1000, address),
        (World::SMALL | 1, address),
        (LIST, address),
        (GIVEN, address),
        (GIVEN | 1 << 51, address),
        (0xa_0000, address),
        (!0xfff, address),
        ((World::LARGE + 0x1000) | 1, ResultCode::INVALID_PARAMETER),
    ] {
        let mut world = World::new();
        let first = DepositEntry::new(page(GIVEN));
        let entries = [
            first,
            DepositEntry(bits),
            DepositEntry::new(page(GIVEN + 0x1000)),
        ];
        assert_eq!(
            deposit_at(&mut world, LIST, &entries),
            (expected, 1),
            "{bits:#x}"
        );
        assert_eq!(deposited(&world), 1);
        assert_eq!(rights(&world, GIVEN), [NONE; 3]);
        assert!(world.writable(Vmpl::VMPL2, GIVEN + 0x1000));
    }
}

#[test]
fn threat_43_a_list_of_wrong_form_changes_nothing() {
    let good = DepositEntry::new(page(GIVEN)).0;
    for (gpa, entries, next, reserved, entry) in [
        (LIST, 0, 0, 0, good),
        (LIST, 1, 1, 0, good),
        (LIST, 1, 0, 1, good),
        (LIST, 512, 0, 0, good),
        (LIST + 8, 511, 0, 0, good),
        (LIST + 0xff8, 1, 0, 0, good),
        (LIST + 4, 1, 0, 0, good),
        (LIST, 1, 0, 0, good | 4),
        (LIST, 1, 0, 0, good | 0x800),
        (LIST, 1, 0, 0, good | 2),
        (LIST, 1, 0, 0, good | 3),
    ] {
        let mut world = World::new();
        let header = DepositHeader {
            entries,
            next,
            reserved,
        };
        world.poke(gpa, header.as_bytes());
        world.poke(gpa + 8, entry.as_bytes());
        world.machine.take_events();
        let result = world.core(CoreCall::DEPOSIT_MEM, gpa, 0, 0);
        assert_eq!(result, ResultCode::INVALID_PARAMETER, "{gpa:#x} {entry:#x}");
        let changed = |event: &Event| matches!(event, Event::Rmpadjust(..) | Event::Zero(_));
        assert!(!world.machine.take_events().iter().any(changed));
        assert_eq!(world.peek(gpa + 2), next.to_le_bytes(), "next is untouched");
        assert_eq!(deposited(&world), 0);
    }
}

#[test]
fn threat_44_a_page_exchanged_by_the_host_ends_the_machine() {
    let mut world = World::new();
    let victim = page(GIVEN);
    let guest = snp_model::types::Asid::new(1).unwrap();
    let update = snp_model::host::RmpUpdate::to_guest(guest, victim.gpa(), victim.size());
    world
        .machine
        .system
        .rmpupdate(Spa(0x8000_0000), update)
        .unwrap();
    world.machine.system.map(victim, Spa(0x8000_0000));
    world.poke(LIST, DepositHeader::new(1).as_bytes());
    world.poke(LIST + 8, DepositEntry::new(victim).as_bytes());
    let request = protocols::svsm::Request::core(CoreCall::DEPOSIT_MEM).rax();
    let arguments = Arguments {
        rcx: LIST,
        ..Arguments::default()
    };
    world.ask(World::BSP, request, arguments);
    assert_eq!(world.serve(World::BSP), Err(Fatal::page_lost(victim.gpa())));
}

#[test]
fn the_startup_vcpu_s_calling_area_says_that_there_is_memory() {
    let mut world = World::new();
    let flag = World::CALLING_AREA + CA_MEM_AVAILABLE as u64;
    assert_eq!(world.peek(flag), [0]);
    assert_eq!(deposit(&mut world, &[page(GIVEN)]).0, ResultCode::SUCCESS);
    assert_eq!(world.peek(flag), [1]);
}

#[test]
fn the_map_still_has_the_page_as_validated() {
    let mut world = World::new();
    assert_eq!(deposit(&mut world, &[page(GIVEN)]).0, ResultCode::SUCCESS);
    let guest = world.shared.lock();
    assert_eq!(guest.pages.state(page(GIVEN)), Some(PageState::Valid));
    assert!(
        !guest.pages.is_valid(page(GIVEN).range()),
        "and not as the guest's"
    );
}
