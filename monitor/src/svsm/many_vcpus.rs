//! As many vCPUs as there may be.

use core::mem::offset_of;
use std::vec::Vec;

use protocols::addr::PAGE_4K;
use protocols::snp::{EFER_SVME, Vmsa};
use protocols::svsm::{CoreCall, ProtocolQuery, Request, ResultCode};

use super::request::Arguments;
use crate::apic_ids::MAX_VCPUS;
use crate::testing::World;

/// APIC IDs as a host with several sockets has them: with gaps.
fn apic_ids() -> Vec<u32> {
    let ids = (0..MAX_VCPUS as u32).map(|n| n % 96 + 128 * (n / 96));
    assert_eq!(ids.clone().next(), Some(World::BSP));
    ids.collect()
}

/// VMSA and calling area of the vCPU at that place in the list. A VMSA is not 2 MiB-aligned.
fn pages(at: usize) -> (u64, u64) {
    let area = World::PENDING + 2 * PAGE_4K * at as u64;
    (area + PAGE_4K, area)
}

/// The steps of a call, and its result.
fn steps(world: &mut World, apic_id: u32, call: CoreCall, arguments: [u64; 3]) -> (usize, u64) {
    let [rcx, rdx, r8] = arguments;
    let arguments = Arguments {
        rcx,
        rdx,
        r8,
        r9: 0,
    };
    world.ask(apic_id, Request::core(call).rax(), arguments);
    world.machine.take_events();
    let _ = world.serve(apic_id).unwrap();
    let steps = world.machine.take_events().len();
    let vmsa = world.shared.lock().vcpus.current(apic_id);
    let rax = vmsa.map(|vcpu| world.peek_u64(vcpu.vmsa.get() + offset_of!(Vmsa, rax) as u64));
    (steps, rax.unwrap_or(ResultCode::SUCCESS.0))
}

#[test]
fn a_call_takes_as_many_steps_with_512_vcpus_as_with_one() {
    let ids = apic_ids();
    let mut world = World::many(&ids, 2 * MAX_VCPUS as u64);
    let query = [ProtocolQuery::answer(0, 1), 0, 0];
    let alone = steps(&mut world, World::BSP, CoreCall::QUERY_PROTOCOL, query);
    let done = ResultCode::SUCCESS.0;
    assert_eq!(alone.1, done);

    let mut cost = Vec::new();
    for (at, &apic_id) in ids.iter().enumerate().skip(1) {
        let (vmsa, area) = pages(at);
        world.write_vmsa(vmsa, |_| ());
        let arguments = [vmsa, area, apic_id.into()];
        cost.push(steps(
            &mut world,
            World::BSP,
            CoreCall::CREATE_VCPU,
            arguments,
        ));
    }
    assert!(cost.iter().all(|made| *made == (cost[0].0, done)));

    for (at, &apic_id) in ids.iter().enumerate().skip(1) {
        let asked = steps(&mut world, apic_id, CoreCall::QUERY_PROTOCOL, query);
        assert_eq!(asked, alone, "{apic_id}");
        let current = world.shared.lock().vcpus.current(apic_id).unwrap();
        let (vmsa, area) = pages(at);
        assert_eq!(
            (current.vmsa.get(), current.calling_area.get()),
            (vmsa, area)
        );
    }

    // Each is deleted by the one before it, the last first.
    cost.clear();
    for at in (1..ids.len()).rev() {
        let arguments = [pages(at).0, 0, 0];
        cost.push(steps(
            &mut world,
            ids[at - 1],
            CoreCall::DELETE_VCPU,
            arguments,
        ));
        assert_eq!(world.shared.lock().vcpus.current(ids[at]), None);
    }
    assert!(cost.iter().all(|gone| *gone == (cost[0].0, done)));
    assert!(!world.shared.lock().vcpus.others_run(World::BSP));
    assert_ne!(
        world.field(World::BSP, offset_of!(Vmsa, efer)) & EFER_SVME,
        0
    );
}

#[test]
fn every_vcpu_moves_its_calling_area_into_the_one_before() {
    let ids = apic_ids();
    let mut world = World::many(&ids, 2 * MAX_VCPUS as u64);
    for (at, &apic_id) in ids.iter().enumerate().skip(1) {
        let (vmsa, area) = pages(at);
        world.write_vmsa(vmsa, |_| ());
        let arguments = [vmsa, area, apic_id.into()];
        let made = steps(&mut world, World::BSP, CoreCall::CREATE_VCPU, arguments);
        assert_eq!(made.1, ResultCode::SUCCESS.0);
    }
    // The boot vCPU's first, which lies elsewhere and leaves its own free.
    let mut free = pages(0).1;
    for (at, &apic_id) in ids.iter().enumerate() {
        let taken = [pages(at).1 + 2 * PAGE_4K, 0, 0];
        if at + 1 < ids.len() {
            let refused = steps(&mut world, apic_id, CoreCall::REMAP_CA, taken);
            assert_eq!(refused.1, ResultCode::INVALID_ADDRESS.0, "{apic_id}");
        }
        let moved = steps(&mut world, apic_id, CoreCall::REMAP_CA, [free, 0, 0]);
        assert_eq!(moved.1, ResultCode::SUCCESS.0, "{apic_id}");
        free = match at {
            0 => World::CALLING_AREA,
            _ => pages(at).1,
        };
    }
    assert!(world.shared.lock().check_page(free).is_ok());
}
