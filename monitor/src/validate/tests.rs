use protocols::addr::Gpa;
use protocols::snp::Vmpl;
use snp_model::access::Encryption::Private;
use snp_model::host::RmpUpdate;
use snp_model::types::{Asid, Spa};

use super::*;
use crate::platform::Rmp;
use crate::testing::{Event, Machine, World, page, page_2m};

const NONE: Rights = Rights::empty();
const ALL: Rights = Rights::all();

fn one(page: GpaPage, ignore: bool) -> impl Iterator<Item = Run> + Clone {
    core::iter::once(Run::one(page, ignore))
}

fn do_validate(world: &mut World, page: GpaPage, ignore: bool) -> Result<(), CallError> {
    let guest = &mut *world.shared.lock();
    let done = validate(
        &mut world.machine,
        &mut guest.pages,
        guest.policy,
        one(page, ignore),
    );
    assert_eq!(done.pages, u16::from(done.result.is_ok()));
    done.result
}

fn do_rescind(world: &mut World, page: GpaPage, ignore: bool) -> Result<(), CallError> {
    let guest = &mut *world.shared.lock();
    let done = rescind(
        &mut world.machine,
        &mut guest.pages,
        guest.policy,
        one(page, ignore),
    );
    assert_eq!(done.pages, u16::from(done.result.is_ok()));
    done.result
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
    assert_eq!(
        world.shared.lock().pages.state(large),
        Some(PageState::Valid)
    );
    assert_eq!(entry(&world.machine, P), (ALL, ALL, NONE, true));
}

#[test]
fn the_guest_s_level_is_a_choice_of_the_image() {
    for (level, granted) in [(Vmpl::VMPL1, 1), (Vmpl::VMPL3, 3)] {
        let mut world = World::new();
        world.shared.lock().policy.guest = level;
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
    world.shared.lock().policy.evict = false;
    do_validate(&mut world, page_2m(P), false).unwrap();
    assert!(
        !world
            .machine
            .take_events()
            .contains(&Event::Evict(page_2m(P)))
    );
    world.shared.lock().policy.evict = true;
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
    assert_eq!(
        world.shared.lock().pages.state(large),
        Some(PageState::Invalid)
    );
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
    assert_eq!(
        world.shared.lock().pages.state(invalid),
        Some(PageState::Invalid)
    );
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
fn threat_03_the_legacy_window_is_zeroed_like_all_memory() {
    let mut world = World::new();
    for gpa in [0xa_0000, 0xc_0000, 0xf_f000] {
        world.private(page(gpa));
        do_validate(&mut world, page(gpa), false).unwrap();
        let events = world.machine.take_events();
        assert!(events.contains(&Event::Zero(page(gpa))), "{gpa:#x}");
    }
}

#[test]
fn threat_03_threat_53_a_firmware_page_remapped_into_the_legacy_window_is_zeroed() {
    let mut world = World::new();
    let target = page(0xa_0000);
    let secret = World::FIRMWARE + 0x60_0000;
    world.poke(secret, b"VMPCK0");
    let spa = world.machine.system.translate(Gpa::new(secret)).unwrap();
    // Whether the page was part of a large one is all the same.
    let _ = world.machine.system.psmash(spa);
    let guest = Asid::new(1).unwrap();
    let update = RmpUpdate::to_guest(guest, target.gpa(), PageSize::Size4K);
    world.machine.system.rmpupdate(spa, update).unwrap();
    world.machine.system.map(target, spa);
    do_validate(&mut world, target, false).unwrap();
    let mut seen = [1; 6];
    world
        .machine
        .system
        .read(Vmpl::VMPL2, Private, target.gpa(), &mut seen)
        .unwrap();
    assert_eq!(seen, [0; 6]);
}

mod interference;
