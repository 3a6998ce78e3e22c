use protocols::addr::Gpa;
use protocols::ghcb::RampartReason;
use protocols::snp::{RmpAttributes, Vmpl};
use snp_model::access::Encryption::Private;
use snp_model::host::RmpUpdate;
use snp_model::system::PageState as Assigned;
use snp_model::types::{Asid, Spa};
use std::vec::Vec;

use super::*;
use crate::platform::Rmp;
use crate::testing::{Event, Machine, World, page, page_2m};

const NONE: Rights = Rights::empty();
const ALL: Rights = Rights::all();

fn do_validate(world: &mut World, page: GpaPage, ignore: bool) -> Result<(), CallError> {
    let policy = world.guest.policy;
    validate(
        &mut world.machine,
        &mut world.guest.pages,
        policy,
        page,
        ignore,
    )
}

fn do_rescind(world: &mut World, page: GpaPage, ignore: bool) -> Result<(), CallError> {
    let policy = world.guest.policy;
    rescind(
        &mut world.machine,
        &mut world.guest.pages,
        policy,
        page,
        ignore,
    )
}

fn result(code: ResultCode) -> Result<(), CallError> {
    Err(CallError::Result(code))
}

fn fatal(fatal: Fatal) -> Result<(), CallError> {
    Err(CallError::Fatal(fatal))
}

/// The rights of VMPL1, 2 and 3 to a page, and whether it is validated.
fn entry(machine: &Machine, gpa: u64) -> (Rights, Rights, Rights, bool) {
    let spa = machine.system.translate(Gpa::new(gpa)).unwrap();
    let entry = machine.system.rmp().entry(spa);
    let of = |vmpl| entry.rights(vmpl);
    (
        of(Vmpl::VMPL1),
        of(Vmpl::VMPL2),
        of(Vmpl::VMPL3),
        entry.is_validated(),
    )
}

const P: u64 = World::PENDING;

#[test]
fn the_order_is_validate_touch_zero_grant() {
    let mut world = World::new();
    let large = page_2m(P);
    do_validate(&mut world, large, false).unwrap();
    assert_eq!(
        world.machine.take_events(),
        [
            Event::Pvalidate(large, true),
            Event::Evict(large),
            Event::Zero(large),
            Event::Rmpadjust(large, Vmpl::VMPL1, ALL, false),
            Event::Rmpadjust(large, Vmpl::VMPL2, ALL, false),
        ]
    );
    assert_eq!(world.guest.pages.state(large), Some(PageState::Valid));
    assert_eq!(entry(&world.machine, P), (ALL, ALL, NONE, true));
}

#[test]
fn the_guest_s_level_is_a_choice_of_the_image() {
    for (level, granted) in [(Vmpl::VMPL1, 1), (Vmpl::VMPL3, 3)] {
        let mut world = World::new();
        world.guest.policy.guest = level;
        do_validate(&mut world, page_2m(P), false).unwrap();
        let grants = |event: &&Event| matches!(event, Event::Rmpadjust(..));
        assert_eq!(
            world.machine.take_events().iter().filter(grants).count(),
            granted
        );
    }
}

#[test]
fn threat_11_pages_are_touched_unless_the_processor_needs_no_help() {
    let mut world = World::new();
    world.guest.policy.evict = false;
    do_validate(&mut world, page_2m(P), false).unwrap();
    assert!(
        !world
            .machine
            .take_events()
            .contains(&Event::Evict(page_2m(P)))
    );
    world.guest.policy.evict = true;
    do_validate(&mut world, page_2m(P + 0x20_0000), false).unwrap();
    let events = world.machine.take_events();
    let place = |wanted| events.iter().position(|event| *event == wanted).unwrap();
    let touched = place(Event::Evict(page_2m(P + 0x20_0000)));
    assert!(place(Event::Pvalidate(page_2m(P + 0x20_0000), true)) < touched);
    assert!(touched < place(Event::Zero(page_2m(P + 0x20_0000))));
}

#[test]
fn threat_09_the_order_is_revoke_flush_rescind() {
    let mut world = World::new();
    let large = page_2m(World::LARGE);
    do_rescind(&mut world, large, false).unwrap();
    assert_eq!(
        world.machine.take_events(),
        [
            Event::Rmpadjust(large, Vmpl::VMPL1, NONE, false),
            Event::Rmpadjust(large, Vmpl::VMPL2, NONE, false),
            Event::Flush,
            Event::Pvalidate(large, false),
        ]
    );
    assert_eq!(world.guest.pages.state(large), Some(PageState::Invalid));
    assert_eq!(
        entry(&world.machine, World::LARGE),
        (NONE, NONE, NONE, false)
    );
}

#[test]
fn threat_01_double_validation() {
    let mut world = World::new();
    let victim = page(World::SMALL + 0x3000);
    world.poke(victim.gpa().get(), b"first");
    // A second system page behind the guest page: PVALIDATE there would succeed
    // with CF clear, so only the map can tell.
    let other = Spa(0x8000_0000);
    let guest = Asid::new(1).unwrap();
    let update = RmpUpdate::to_guest(guest, victim.gpa(), PageSize::Size4K);
    world.machine.system.rmpupdate(other, update).unwrap();
    world.machine.system.map(victim, other);
    assert_eq!(
        do_validate(&mut world, victim, false),
        result(ResultCode::CORE_NO_CHANGE)
    );
    assert_eq!(do_validate(&mut world, victim, true), Ok(()));
    assert_eq!(
        world.machine.take_events(),
        [],
        "no instruction was executed"
    );
    assert!(!world.machine.system.rmp().entry(other).is_validated());
}

#[test]
fn threat_01_the_same_for_a_part_of_a_large_page() {
    let mut world = World::new();
    assert_eq!(
        do_validate(&mut world, page(World::LARGE + 0x5000), false),
        result(ResultCode::CORE_NO_CHANGE)
    );
    do_rescind(&mut world, page(World::LARGE + 0x5000), false).unwrap();
    world.machine.take_events();
    assert_eq!(
        do_validate(&mut world, page_2m(World::LARGE), false),
        result(ResultCode::CORE_SIZEMISMATCH)
    );
    assert_eq!(world.machine.take_events(), []);
}

#[test]
fn threat_02_ignoring_the_flag_is_allowed_only_where_the_map_says_so() {
    let mut world = World::new();
    let (valid, invalid) = (page(World::SMALL + 0x1000), page_2m(P));
    assert_eq!(do_validate(&mut world, valid, true), Ok(()));
    assert_eq!(do_rescind(&mut world, invalid, true), Ok(()));
    assert_eq!(world.machine.take_events(), []);
    // Validated behind the map's back: the flag is set, the map says no.
    assert_eq!(
        world.machine.pvalidate(invalid, true),
        PvalidateOutcome::Changed
    );
    assert_eq!(
        do_validate(&mut world, invalid, true),
        result(ResultCode::CORE_UNEXPECTED)
    );
    assert_eq!(
        do_validate(&mut world, invalid, false),
        result(ResultCode::CORE_NO_CHANGE)
    );
    assert_eq!(world.guest.pages.state(invalid), Some(PageState::Invalid));
    assert_eq!(entry(&world.machine, P).1, NONE);
}

#[test]
fn threat_02_ping_pong() {
    let mut world = World::new();
    let victim = page(World::SMALL + 0x3000);
    // The host exchanges the page between the revocation and the PVALIDATE.
    let guest = Asid::new(1).unwrap();
    let update = RmpUpdate::to_guest(guest, victim.gpa(), PageSize::Size4K);
    world.machine.intrude(move |event, system| {
        if event == Event::Pvalidate(victim, false) {
            system.rmpupdate(Spa(0x8000_0000), update).unwrap();
            system.map(victim, Spa(0x8000_0000));
        }
    });
    assert_eq!(
        do_rescind(&mut world, victim, true),
        fatal(Fatal::page_lost(victim.gpa()))
    );
}

#[test]
fn threat_03_a_firmware_page_remapped_into_a_guest_address_is_zeroed_before_the_grant() {
    let mut world = World::new();
    let target = page_2m(P);
    let secret = World::FIRMWARE + 0x60_0000;
    world.poke(secret, b"secret");
    let spa = world.machine.system.translate(Gpa::new(secret)).unwrap();
    let guest = Asid::new(1).unwrap();
    let update = RmpUpdate::to_guest(guest, target.gpa(), PageSize::Size2M);
    world.machine.system.rmpupdate(spa, update).unwrap();
    world.machine.system.map(target, spa);
    world.machine.intrude(move |event, system| {
        if matches!(event, Event::Rmpadjust(..)) {
            let mut bytes = [1; 6];
            system
                .read(Vmpl::VMPL0, Private, target.gpa(), &mut bytes)
                .unwrap();
            assert_eq!(bytes, [0; 6], "zero before any right is granted");
        }
    });
    do_validate(&mut world, target, false).unwrap();
    assert!(world.readable(Vmpl::VMPL2, P));
}

#[test]
fn threat_03_the_legacy_window_is_accepted_and_left_alone() {
    let mut world = World::new();
    for gpa in [0xa_0000, 0xc_0000, 0xf_f000] {
        world.private(page(gpa));
        do_validate(&mut world, page(gpa), false).unwrap();
    }
    let touched = |event: &Event| matches!(event, Event::Zero(_) | Event::Evict(_));
    assert!(!world.machine.take_events().iter().any(touched));
    // Its neighbours are not left alone.
    for gpa in [0x9_f000, 0x10_0000] {
        world.private(page(gpa));
        do_validate(&mut world, page(gpa), false).unwrap();
    }
    let events = world.machine.take_events();
    assert!(events.contains(&Event::Zero(page(0x9_f000))));
    assert!(events.contains(&Event::Zero(page(0x10_0000))));
}

#[test]
fn threat_03_a_large_page_over_the_legacy_window_is_zeroed_around_it() {
    let mut world = World::new();
    world.private(page_2m(0));
    do_validate(&mut world, page_2m(0), false).unwrap();
    let zeroed: Vec<u64> = world
        .machine
        .take_events()
        .iter()
        .filter_map(|event| match event {
            Event::Zero(page) => Some(page.gpa().get()),
            _ => None,
        })
        .collect();
    assert_eq!(zeroed.len(), 512 - 96);
    assert!(
        zeroed
            .iter()
            .all(|gpa| !(0xa_0000..0x10_0000).contains(gpa))
    );
}

#[test]
fn threat_06_a_size_mismatch_is_the_guest_s_to_handle() {
    let mut world = World::new();
    world.machine.system.psmash(Spa(P)).unwrap();
    assert_eq!(
        do_validate(&mut world, page_2m(P), false),
        result(ResultCode::CORE_SIZEMISMATCH)
    );
    assert_eq!(
        world.machine.take_events(),
        [Event::Pvalidate(page_2m(P), true)]
    );
    // As the guests do it: each page by itself, and none is skipped.
    for small in page_2m(P).split() {
        do_validate(&mut world, small, false).unwrap();
    }
    assert!(world.guest.pages.is_valid(page_2m(P).range()));
    assert_eq!(entry(&world.machine, P + 0x1f_f000), (ALL, ALL, NONE, true));
}

#[test]
fn threat_06_a_split_between_validation_and_grant_is_undone() {
    let mut world = World::new();
    let large = page_2m(P);
    world.machine.intrude(move |event, system| {
        if event == Event::Rmpadjust(large, Vmpl::VMPL2, ALL, false) {
            system.psmash(Spa(P)).unwrap();
        }
    });
    assert_eq!(
        do_validate(&mut world, large, false),
        result(ResultCode::CORE_SIZEMISMATCH)
    );
    assert_eq!(world.guest.pages.state(large), Some(PageState::Invalid));
    for small in large.split() {
        assert_eq!(
            entry(&world.machine, small.gpa().get()),
            (NONE, NONE, NONE, false)
        );
    }
}

#[test]
fn threat_06_a_split_before_the_rescission_leaves_the_page_as_it_was() {
    let mut world = World::new();
    let large = page_2m(World::LARGE);
    for trigger in [
        Event::Rmpadjust(large, Vmpl::VMPL1, NONE, false),
        Event::Rmpadjust(large, Vmpl::VMPL2, NONE, false),
        Event::Pvalidate(large, false),
    ] {
        let mut world = World::new();
        world.machine.intrude(move |event, system| {
            if event == trigger {
                system.psmash(Spa(World::LARGE)).unwrap();
            }
        });
        assert_eq!(
            do_rescind(&mut world, large, false),
            result(ResultCode::CORE_SIZEMISMATCH)
        );
        assert_eq!(world.guest.pages.state(large), Some(PageState::Valid));
        for small in large.split() {
            assert_eq!(
                entry(&world.machine, small.gpa().get()),
                (ALL, ALL, NONE, true)
            );
        }
    }
    // The guest then takes it in small pages.
    for small in large.split() {
        do_rescind(&mut world, small, false).unwrap();
    }
    assert_eq!(world.guest.pages.state(large), Some(PageState::Invalid));
}

#[test]
fn a_page_that_is_not_private_ends_the_machine() {
    let mut world = World::new();
    let shared = page(0x30_0000);
    assert_eq!(
        do_validate(&mut world, shared, false),
        fatal(Fatal::page_lost(shared.gpa()))
    );
    let mut world = World::new();
    let stolen = page(World::SMALL + 0x4000);
    world
        .machine
        .system
        .page_state_change(stolen, Assigned::Shared)
        .unwrap();
    assert_eq!(
        do_rescind(&mut world, stolen, false),
        fatal(Fatal::page_lost(stolen.gpa()))
    );
}

#[test]
fn threat_44_rights_are_never_given_to_a_page_that_the_host_exchanged() {
    let mut world = World::new();
    let target = page(World::SMALL + 0x1_0000);
    do_rescind(&mut world, target, false).unwrap();
    let guest = Asid::new(1).unwrap();
    let update = RmpUpdate::to_guest(guest, target.gpa(), PageSize::Size4K);
    world.machine.intrude(move |event, system| {
        if event == Event::Rmpadjust(target, Vmpl::VMPL1, ALL, false) {
            system.rmpupdate(Spa(0x8000_0000), update).unwrap();
            system.map(target, Spa(0x8000_0000));
        }
    });
    assert_eq!(
        do_validate(&mut world, target, false),
        fatal(Fatal::page_lost(target.gpa()))
    );
    assert_eq!(
        entry(&world.machine, target.gpa().get()),
        (NONE, NONE, NONE, false)
    );
}

#[test]
fn a_refused_grant_takes_the_validation_back() {
    let mut world = World::new();
    // A vCPU in the page makes every RMPADJUST fail with FAIL_INUSE; a host could
    // only bring that about by a page that was a VMSA before.
    let target = page(World::SMALL + 0x1_0000);
    do_rescind(&mut world, target, false).unwrap();
    world.machine.intrude(move |event, system| {
        if event == Event::Rmpadjust(target, Vmpl::VMPL2, ALL, false) {
            // The model has no other refusal; a VMSA that runs is one.
            let vmsa = RmpAttributes::new(Vmpl::VMPL1, Rights::empty(), true);
            system
                .write(
                    Vmpl::VMPL0,
                    Private,
                    Gpa::new(target.gpa().get() + 0xd0),
                    &[0, 0x10],
                )
                .unwrap();
            let done = system.rmpadjust(Vmpl::VMPL0, target.gpa(), PageSize::Size4K, vmsa);
            assert!(done.complete().is_some());
            let spa = system.translate(target.gpa()).unwrap();
            system.enter_vmsa(spa).unwrap();
        }
        if event == Event::Rmpadjust(target, Vmpl::VMPL1, NONE, false) {
            let spa = system.translate(target.gpa()).unwrap();
            system.leave_vmsa(spa);
        }
    });
    assert_eq!(
        do_validate(&mut world, target, false),
        result(ResultCode::CORE_FAIL_INUSE)
    );
    assert_eq!(world.guest.pages.state(target), Some(PageState::Invalid));
    assert_eq!(
        entry(&world.machine, target.gpa().get()),
        (NONE, NONE, NONE, false)
    );
}

#[test]
fn memory_that_the_map_does_not_cover_is_no_address() {
    let mut world = World::new();
    let outside = page(World::RAM);
    assert_eq!(
        do_validate(&mut world, outside, false),
        result(ResultCode::INVALID_ADDRESS)
    );
    assert_eq!(
        do_rescind(&mut world, outside, true),
        result(ResultCode::INVALID_ADDRESS)
    );
}

#[test]
fn a_map_without_memory_ends_the_machine() {
    use crate::page_map::{Layout, PageMap};
    use crate::ranges::RangeList;
    use crate::testing::{FrameStore, range};
    let mut world = World::new();
    let mut ram = RangeList::new();
    ram.insert(range(0, World::RAM)).unwrap();
    world.guest.pages = PageMap::new(
        Layout::new(&ram, range(0xffc0_0000, 0x40_0000)),
        FrameStore::new(0),
    );
    let end = Fatal::new(RampartReason::PageMapMemory);
    assert_eq!(do_validate(&mut world, page_2m(P), false), fatal(end));
}
