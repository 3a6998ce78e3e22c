use snp_model::host::RmpUpdate;
use snp_model::types::{Asid, Spa};
use std::vec::Vec;

use super::*;
use crate::testing::{Event, World, page, page_2m, range};

const P: u64 = World::PENDING;

fn accept(world: &mut World, range: GpaRange) -> Result<(), Fatal> {
    let policy = world.shared.lock().policy;
    accept_range(
        &mut world.machine,
        &mut world.shared.lock().pages,
        policy,
        range,
    )
}

#[test]
fn large_pages_are_taken_where_they_can_be() {
    let mut world = World::new();
    world.private(page(P - 0x1000));
    accept(&mut world, range(P - 0x1000, 0x20_1000)).unwrap();
    let counted: Vec<GpaPage> = world
        .machine
        .take_events()
        .iter()
        .filter_map(|event| match event {
            Event::Pvalidate(page, true) => Some(*page),
            _ => None,
        })
        .collect();
    assert_eq!(counted, [page(P - 0x1000), page_2m(P)]);
    assert_eq!(
        world.shared.lock().pages.state(page_2m(P)),
        Some(PageState::Valid)
    );
    assert!(
        !world.readable(protocols::snp::Vmpl::VMPL2, P),
        "nothing is granted yet"
    );
    grant_range(
        &mut world.machine,
        world.shared.lock().policy,
        range(P - 0x1000, 0x20_1000),
    )
    .unwrap();
    assert!(world.readable(protocols::snp::Vmpl::VMPL2, P - 0x1000));
    assert_eq!(world.peek(P + 0x1f_fff8), [0; 8]);
}

#[test]
fn threat_06_a_size_mismatch_falls_back_to_small_pages_and_skips_none() {
    let mut world = World::new();
    world.machine.system.psmash(Spa(P)).unwrap();
    accept(&mut world, range(P, 0x40_0000)).unwrap();
    assert_eq!(
        world.shared.lock().pages.state(page_2m(P)),
        Some(PageState::Split)
    );
    assert_eq!(
        world.shared.lock().pages.state(page_2m(P + 0x20_0000)),
        Some(PageState::Valid)
    );
    assert!(world.shared.lock().pages.is_valid(range(P, 0x40_0000)));
    let validations = world.machine.take_events();
    let count = validations
        .iter()
        .filter(|e| matches!(e, Event::Pvalidate(..)))
        .count();
    assert_eq!(count, 1 + 512 + 1);
    grant_range(
        &mut world.machine,
        world.shared.lock().policy,
        range(P, 0x40_0000),
    )
    .unwrap();
    for small in page_2m(P).split() {
        assert!(world.readable(protocols::snp::Vmpl::VMPL2, small.gpa().get()));
    }
}

#[test]
fn threat_05_memory_that_is_valid_already_is_refused() {
    let mut world = World::new();
    for wanted in [
        range(World::SMALL, 0x1000),
        range(World::LARGE + 0x3000, 0x1000),
        range(World::LARGE, 0x20_0000),
        range(World::FIRMWARE, 0x1000),
    ] {
        let end = Fatal::already_validated(wanted.start());
        assert_eq!(accept(&mut world, wanted), Err(end));
        assert_eq!(
            world.machine.take_events(),
            [],
            "no instruction was executed"
        );
    }
}

#[test]
fn threat_01_a_page_that_the_processor_has_as_valid_ends_the_machine() {
    let mut world = World::new();
    let (first, last) = (page_2m(P), page(P + 0x20_0000 + 0x1f_f000));
    assert_eq!(
        world.machine.pvalidate(first, true),
        PvalidateOutcome::Changed
    );
    let end = Fatal::already_validated(first.gpa());
    assert_eq!(accept(&mut world, first.range()), Err(end));
    // The last of 512 small pages counts as much as the first.
    world.machine.system.psmash(Spa(P + 0x20_0000)).unwrap();
    assert_eq!(
        world.machine.pvalidate(last, true),
        PvalidateOutcome::Changed
    );
    let end = Fatal::already_validated(last.gpa());
    assert_eq!(
        accept(&mut world, range(P + 0x20_0000, 0x20_0000)),
        Err(end)
    );
}

#[test]
fn threat_07_a_page_state_change_that_was_not_done_ends_the_machine() {
    let mut world = World::new();
    let shared = page_2m(0x20_0000);
    assert_eq!(
        accept(&mut world, shared.range()),
        Err(Fatal::page_lost(shared.gpa()))
    );
}

#[test]
fn a_grant_follows_a_split() {
    let mut world = World::new();
    accept(&mut world, range(P, 0x20_0000)).unwrap();
    world.machine.system.psmash(Spa(P)).unwrap();
    grant_range(
        &mut world.machine,
        world.shared.lock().policy,
        range(P, 0x20_0000),
    )
    .unwrap();
    assert!(world.readable(protocols::snp::Vmpl::VMPL1, P + 0x1f_f000));
    assert!(world.readable(protocols::snp::Vmpl::VMPL2, P + 0x1f_f000));
}

#[test]
fn threat_44_a_grant_of_an_exchanged_page_ends_the_machine() {
    let mut world = World::new();
    accept(&mut world, range(P, 0x20_0000)).unwrap();
    let update = RmpUpdate::to_guest(Asid::new(1).unwrap(), page_2m(P).gpa(), PageSize::Size2M);
    world
        .machine
        .system
        .rmpupdate(Spa(0x8000_0000), update)
        .unwrap();
    world.machine.system.map(page_2m(P), Spa(0x8000_0000));
    let end = Err(Fatal::page_lost(page_2m(P).gpa()));
    assert_eq!(
        grant_range(
            &mut world.machine,
            world.shared.lock().policy,
            range(P, 0x20_0000)
        ),
        end
    );
}
