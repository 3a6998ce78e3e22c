use std::vec::Vec;

use crate::apic_ids::MAX_VCPUS;
use crate::platform::GuestMemory;
use crate::services::Services;
use crate::shared::{Server, Shared};
use crate::testing::{World, page};
use crate::vcpu::{Registry, Vcpu};

/// The seats of as many vCPUs as there may be, with APIC IDs that leave gaps and come in any order.
#[test]
fn every_vcpu_of_512_finds_its_own_seat() {
    let ids: Vec<u32> = (0..MAX_VCPUS as u32).rev().map(|n| 3 * n + 1).collect();
    let world = World::new();
    let mut guest = world.shared.into_inner();
    guest.vcpus = Registry::new(&ids).unwrap();
    for (n, &apic_id) in (0u64..).zip(&ids) {
        let vcpu = Vcpu {
            vmsa: page(0x1000 * (2 * n + 1)).gpa(),
            calling_area: page(0x1000 * (2 * n + 2)).gpa(),
            apic_id,
            startup: false,
        };
        guest.vcpus.register(vcpu).unwrap();
    }
    let shared = Shared::new(guest, Services::none()).unwrap();
    for &apic_id in &ids {
        let seat = shared.seat(apic_id).unwrap();
        assert_eq!(seat.apic_id(), apic_id);
        assert_eq!(*seat.take(), shared.lock().vcpus.current(apic_id));
        assert!(shared.seat(apic_id + 1).is_none());
        // No two on a cache line.
        assert_eq!(core::ptr::from_ref(seat).addr() % 64, 0);
    }
}

#[test]
fn a_seat_that_is_taken_is_not_waited_for() {
    let world = World::new();
    let seat = world.shared.seat(World::BSP).unwrap();
    let taken = seat.take();
    assert!(seat.try_take().is_none());
    assert!(world.shared.seat(World::AP).unwrap().try_take().is_some());
    drop(taken);
    assert!(seat.try_take().is_some());
}

#[test]
fn pages_are_looked_for_when_they_have_changed_and_only_then() {
    let mut world = World::new();
    let mut caller = world.shared.lock().vcpus.current(World::BSP).unwrap();
    let mut server = Server::new(&world.shared, World::BSP).unwrap();
    let machine = &mut world.machine;
    for (searches, area) in [(2, World::SMALL), (2, World::SMALL), (4, World::LARGE)] {
        caller.calling_area = page(area).gpa();
        let pages = server.pages(machine, caller).unwrap();
        assert_eq!(pages.vmsa, machine.page(caller.vmsa).unwrap());
        assert_eq!(pages.calling_area, page(area).gpa());
        machine.pages_found -= 1;
        assert_eq!(machine.pages_found, searches);
    }
}
