//! Requests of two vCPUs between each other, step by step on the model.

use core::mem::offset_of;

use protocols::addr::Gpa;
use protocols::snp::{EFER_SVME, Vmpl, Vmsa};
use protocols::svsm::{CoreCall, ProtocolQuery, Request, ResultCode};

use super::request::{Arguments, Next, disable, enable};
use crate::shared::Server;
use crate::testing::{Event, World, page};

const VMSAS: [u64; 2] = [World::SMALL + 0x1_1000, World::SMALL + 0x1_3000];
const AREAS: [u64; 2] = [World::SMALL + 0x1_2000, World::SMALL + 0x1_4000];
const OTHER_AREA: u64 = World::SMALL + 0x1_5000;

fn create(world: &mut World, at: usize) -> ResultCode {
    world.write_vmsa(VMSAS[at], |_| ());
    world.core(
        CoreCall::CREATE_VCPU,
        VMSAS[at],
        AREAS[at],
        World::AP.into(),
    )
}

fn delete(world: &mut World, at: usize) -> ResultCode {
    world.core(CoreCall::DELETE_VCPU, VMSAS[at], 0, 0)
}

fn with_ap() -> World {
    let mut world = World::new();
    assert_eq!(create(&mut world, 0), ResultCode::SUCCESS);
    world
}

fn runnable(world: &mut World, apic_id: u32) -> bool {
    world.field(apic_id, offset_of!(Vmsa, efer)) & EFER_SVME != 0
}

#[test]
fn threat_47_a_vcpu_that_the_guest_has_made_no_vmsa_for_waits() {
    let mut world = World::new();
    assert_eq!(world.serve(World::AP), Ok(Next::Park));
    assert!(world.shared.lock().vcpus.others_run(World::AP));
    assert!(!world.shared.lock().vcpus.others_run(World::BSP));
    // And one that the machine has not got.
    assert!(world.shared.seat(77).is_none());
}

#[test]
fn threat_26_a_vcpu_woken_before_its_vmsa_is_started_changes_nothing() {
    let mut world = with_ap();
    let before = world.peek::<0x670>(VMSAS[0]);
    assert_eq!(world.serve(World::AP), Ok(Next::Enter));
    assert_eq!(world.peek::<0x670>(VMSAS[0]), before);
    assert!(world.shared.lock().vcpus.others_run(World::BSP));
}

#[test]
fn threat_32_a_vmsa_that_has_never_run_can_be_entered_while_vmpl0_looks_at_it() {
    let mut world = with_ap();
    world.machine.take_events();
    assert_eq!(world.serve(World::AP), Ok(Next::Enter));
    let unrunnable = |event: &Event| matches!(event, Event::And(_));
    assert!(!world.machine.take_events().iter().any(unrunnable));
}

#[test]
fn threat_32_a_request_that_came_while_vmpl0_was_about_to_rest_is_seen() {
    let mut world = World::new();
    assert_eq!(world.serve(World::AP), Ok(Next::Park));
    assert_eq!(world.is_waiting(World::AP), Ok(false), "nobody is there");
    // Before it rests, another vCPU makes a VMSA for it, which the host runs at once.
    assert_eq!(create(&mut world, 0), ResultCode::SUCCESS);
    assert_eq!(world.is_waiting(World::AP), Ok(false), "it has not run");
    world.ask(World::AP, !0, Arguments::default());
    assert_eq!(world.is_waiting(World::AP), Ok(true));
    assert_eq!(world.serve(World::AP), Ok(Next::Enter));
    assert_eq!(world.is_waiting(World::AP), Ok(false), "it was served");
    let before = world.field(World::AP, offset_of!(Vmsa, rax));
    assert_eq!(before, ResultCode::UNSUPPORTED_PROTOCOL.0);
}

#[test]
fn only_the_guests_first_vmsa_has_to_be_there() {
    let mut world = with_ap();
    let runs_startup = |world: &World, apic_id| {
        Server::new(&world.shared, apic_id).map(|server: Server<'_, _, Gpa>| server.runs_startup())
    };
    assert_eq!(runs_startup(&world, World::BSP), Some(true));
    assert_eq!(runs_startup(&world, World::AP), Some(false));
    assert_eq!(delete(&mut world, 0), ResultCode::SUCCESS);
    assert_eq!(runs_startup(&world, World::AP), Some(false));
}

#[test]
fn two_requests_at_once_get_an_answer_each() {
    let core = Arguments {
        rcx: ProtocolQuery::answer(0, 1),
        ..Default::default()
    };
    for order in [[World::BSP, World::AP], [World::AP, World::BSP]] {
        let mut world = with_ap();
        world.ask(
            World::BSP,
            Request::core(CoreCall::QUERY_PROTOCOL).rax(),
            core,
        );
        world.ask(World::AP, !0, Arguments::default());
        for apic_id in order {
            assert_eq!(world.serve(apic_id), Ok(Next::Enter));
        }
        let rax = offset_of!(Vmsa, rax);
        assert_eq!(world.field(World::BSP, rax), ResultCode::SUCCESS.0);
        assert_eq!(
            world.field(World::AP, rax),
            ResultCode::UNSUPPORTED_PROTOCOL.0
        );
    }
}

#[test]
fn threat_39_a_vmsa_whose_request_is_being_served_is_in_use() {
    let mut world = with_ap();
    let vmsa = page(VMSAS[0]).gpa();
    // The other vCPU's loop has taken it, and has not answered yet.
    assert_eq!(disable(&mut world.machine, vmsa), Ok(true));
    assert_eq!(delete(&mut world, 0), ResultCode::CORE_FAIL_INUSE);
    assert!(!runnable(&mut world, World::AP), "it is not ours to enable");
    enable(&mut world.machine, vmsa).unwrap();
    assert_eq!(delete(&mut world, 0), ResultCode::SUCCESS);
    assert_eq!(world.serve(World::AP), Ok(Next::Park));
}

/// The vCPU is at work for ever.
fn at_work(world: &World, apic_id: u32) {
    core::mem::forget(world.shared.seat(apic_id).unwrap().take());
}

#[test]
fn a_vcpu_at_work_gets_no_other_vmsa() {
    let mut world = with_ap();
    at_work(&world, World::AP);
    world.write_vmsa(VMSAS[1], |_| ());
    let (call, ap) = (CoreCall::CREATE_VCPU, World::AP.into());
    let created = world.core(call, VMSAS[1], OTHER_AREA, ap);
    assert_eq!(created, ResultCode::BUSY);
    assert!(world.writable(Vmpl::VMPL2, VMSAS[1]), "and keeps the page");
    assert!(world.shared.lock().check_page(VMSAS[1]).is_ok());
    assert!(world.shared.lock().check_page(OTHER_AREA).is_ok());
    let current = world.shared.lock().vcpus.current(World::AP).unwrap();
    assert_eq!(current.vmsa.get(), VMSAS[0]);
}

#[test]
fn threat_39_a_vmsa_whose_vcpu_is_at_work_is_in_use_and_an_older_one_is_not() {
    let mut world = with_ap();
    world.write_vmsa(VMSAS[1], |_| ());
    let (call, ap) = (CoreCall::CREATE_VCPU, World::AP.into());
    let created = world.core(call, VMSAS[1], AREAS[0], ap);
    assert_eq!(created, ResultCode::SUCCESS);
    at_work(&world, World::AP);
    assert_eq!(delete(&mut world, 1), ResultCode::CORE_FAIL_INUSE);
    assert!(runnable(&mut world, World::AP));
    assert_eq!(delete(&mut world, 0), ResultCode::SUCCESS);
}

#[test]
fn a_processor_goes_and_comes_again_and_again() {
    let mut world = with_ap();
    // More often than the registry has room for: what is deleted is gone. As Linux
    // does it: the new VMSA first, with the same calling area, then the old one goes.
    for round in 1..40 {
        let (new, old) = (round % 2, (round + 1) % 2);
        world.write_vmsa(VMSAS[new], |_| ());
        let (call, ap) = (CoreCall::CREATE_VCPU, World::AP.into());
        let created = world.core(call, VMSAS[new], AREAS[0], ap);
        assert_eq!(created, ResultCode::SUCCESS, "{round}");
        assert_eq!(delete(&mut world, old), ResultCode::SUCCESS, "{round}");
        let current = world.shared.lock().vcpus.current(World::AP).unwrap();
        assert_eq!(current.vmsa.get(), VMSAS[new]);
        assert_eq!(world.serve(World::AP), Ok(Next::Enter));
        assert!(runnable(&mut world, World::AP));
        let live = world.shared.lock().vcpus.is_live(page(AREAS[0]).gpa());
        assert!(live, "the area stays the newer one's");
    }
    assert_eq!(delete(&mut world, 1), ResultCode::SUCCESS);
    assert!(!world.shared.lock().vcpus.is_live(page(AREAS[0]).gpa()));
}

#[test]
fn a_vcpu_that_deleted_itself_is_made_again_by_another() {
    let mut world = with_ap();
    let own = Arguments {
        rcx: VMSAS[0],
        ..Default::default()
    };
    world.ask(World::AP, Request::core(CoreCall::DELETE_VCPU).rax(), own);
    assert_eq!(world.serve(World::AP), Ok(Next::Park));
    assert!(!world.shared.lock().vcpus.others_run(World::BSP));
    assert_eq!(create(&mut world, 0), ResultCode::SUCCESS);
    assert_eq!(world.serve(World::AP), Ok(Next::Enter));
}

#[test]
fn each_vcpu_moves_its_own_calling_area() {
    let mut world = with_ap();
    let to = |rcx| Arguments {
        rcx,
        ..Default::default()
    };
    let remap = Request::core(CoreCall::REMAP_CA).rax();
    let moved = world.call_on(World::AP, remap, to(OTHER_AREA));
    assert_eq!(moved.result, ResultCode::SUCCESS);
    // The other one's is not for the taking, nor the VMSA of either.
    for gpa in [OTHER_AREA, VMSAS[0], World::VMSA] {
        let refused = world.call_on(World::BSP, remap, to(gpa));
        assert_eq!(refused.result, ResultCode::INVALID_ADDRESS, "{gpa:#x}");
    }
    let area = |world: &World, apic_id| {
        let vcpu = world.shared.lock().vcpus.current(apic_id).unwrap();
        vcpu.calling_area.get()
    };
    assert_eq!(area(&world, World::BSP), World::CALLING_AREA);
    assert_eq!(area(&world, World::AP), OTHER_AREA);
    let moved = world.call_on(World::BSP, remap, to(AREAS[0]));
    assert_eq!(moved.result, ResultCode::SUCCESS, "the old one is free");
}
