//! What the host does in between, and what a failure leaves.

use protocols::ghcb::RampartReason;
use protocols::snp::RmpAttributes;
use snp_model::system::PageState as Assigned;

use super::*;

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
    assert!(world.shared.lock().pages.is_valid(page_2m(P).range()));
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
    assert_eq!(
        world.shared.lock().pages.state(large),
        Some(PageState::Invalid)
    );
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
        assert_eq!(
            world.shared.lock().pages.state(large),
            Some(PageState::Valid)
        );
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
    assert_eq!(
        world.shared.lock().pages.state(large),
        Some(PageState::Invalid)
    );
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
    assert_eq!(
        world.shared.lock().pages.state(target),
        Some(PageState::Invalid)
    );
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
    world.shared.lock().pages = PageMap::new(
        Layout::new(&ram, range(0xffc0_0000, 0x40_0000)),
        FrameStore::new(0),
    );
    let end = Fatal::new(RampartReason::PageMapMemory);
    assert_eq!(do_validate(&mut world, page_2m(P), false), fatal(end));
}
