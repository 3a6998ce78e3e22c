use protocols::ghcb::RampartReason;
use protocols::snp::Vmpl;

use super::*;
use crate::testing::{Event, World, page};

const OWN: u64 = World::FIRMWARE + 0x3000;

#[test]
fn a_sealed_vmsa_is_out_of_every_other_level_s_reach() {
    let mut world = World::before_launch();
    seal_vmsa(&mut world.machine, page(OWN)).unwrap();
    for level in [Vmpl::VMPL1, Vmpl::VMPL2, Vmpl::VMPL3] {
        assert!(!world.readable(level, OWN) && !world.writable(level, OWN));
    }
    assert!(world.readable(Vmpl::VMPL0, OWN));
}

#[test]
fn pages_are_invalidated_before_the_host_is_asked_to_share_them() {
    let mut world = World::before_launch();
    let pages = [page(OWN), page(OWN + 0x5000)];
    let mut host = crate::testing::Machine::new();
    share(
        &mut world.machine,
        &mut host,
        &mut Ghcb::zeroed(),
        pages.into_iter(),
    )
    .unwrap();
    assert_eq!(
        world.machine.take_events(),
        pages.map(|page| Event::Pvalidate(page, false))
    );
    assert!(!world.readable(Vmpl::VMPL0, OWN));
}

#[test]
fn a_page_that_was_never_validated_is_the_end() {
    let mut world = World::before_launch();
    world.private(page(0x9000));
    let shared = share(
        &mut world.machine,
        &mut crate::testing::Machine::new(),
        &mut Ghcb::zeroed(),
        core::iter::once(page(0x9000)),
    );
    assert!(matches!(
        shared,
        Err(Fatal::Rampart(RampartReason::PvalidateUnchanged, _))
    ));
}
