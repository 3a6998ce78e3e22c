use core::mem::offset_of;

use protocols::snp::{EFER_SVME, Vmpl, Vmsa};
use protocols::svsm::{CoreCall, Request};

use super::*;
use crate::testing::{World, page};

const NEW: u64 = World::SMALL + 0x1_1000;
const AREA: u64 = World::SMALL + 0x1_2000;

fn with_ap() -> World {
    let mut world = World::new();
    world.write_vmsa(NEW, |_| ());
    let created = world.core(CoreCall::CREATE_VCPU, NEW, AREA, World::AP.into());
    assert_eq!(created, ResultCode::SUCCESS);
    world
}

fn delete(world: &mut World, vmsa: u64) -> ResultCode {
    world.core(CoreCall::DELETE_VCPU, vmsa, 0, 0)
}

#[test]
fn the_page_is_ordinary_memory_again() {
    let mut world = with_ap();
    assert_eq!(delete(&mut world, NEW), ResultCode::SUCCESS);
    assert!(world.writable(Vmpl::VMPL2, NEW));
    assert!(world.shared.lock().check_page(NEW).is_ok());
    assert!(world.shared.lock().check_page(AREA).is_ok());
    assert_eq!(world.shared.lock().vcpus.current(World::AP), None);
    let spa = world.machine.system.translate(page(NEW).gpa()).unwrap();
    assert!(world.machine.system.enter_vmsa(spa).is_err());
    // It can be made a VMSA again: a restart of the processor.
    world.write_vmsa(NEW, |_| ());
    let again = world.core(CoreCall::CREATE_VCPU, NEW, AREA, World::AP.into());
    assert_eq!(again, ResultCode::SUCCESS);
}

#[test]
fn threat_39_a_running_vmsa_is_in_use_and_stays_as_it_was() {
    let mut world = with_ap();
    let spa = world.machine.system.translate(page(NEW).gpa()).unwrap();
    world.machine.system.enter_vmsa(spa).unwrap();
    assert_eq!(delete(&mut world, NEW), ResultCode::CORE_FAIL_INUSE);
    world.machine.system.leave_vmsa(spa);
    assert_ne!(
        world.field(World::AP, offset_of!(Vmsa, efer)) & EFER_SVME,
        0
    );
    world.machine.system.enter_vmsa(spa).unwrap();
    world.machine.system.leave_vmsa(spa);
    assert_eq!(delete(&mut world, NEW), ResultCode::SUCCESS);
}

#[test]
fn threat_39_svme_already_clear_is_in_use() {
    let mut world = with_ap();
    world.set_field(World::AP, offset_of!(Vmsa, efer), 0x500);
    assert_eq!(delete(&mut world, NEW), ResultCode::CORE_FAIL_INUSE);
    assert_eq!(
        world.field(World::AP, offset_of!(Vmsa, efer)),
        0x500,
        "not ours to set"
    );
}

#[test]
fn of_two_deletes_one_succeeds() {
    let mut world = with_ap();
    assert_eq!(delete(&mut world, NEW), ResultCode::SUCCESS);
    assert_eq!(delete(&mut world, NEW), ResultCode::INVALID_PARAMETER);
}

#[test]
fn unknown_vmsas_and_the_startup_vcpu_are_refused() {
    let mut world = with_ap();
    for gpa in [
        World::VMSA,
        AREA,
        NEW + 8,
        World::CALLING_AREA,
        0,
        World::FIRMWARE,
        !0xfff,
        !0,
    ] {
        assert_eq!(
            delete(&mut world, gpa),
            ResultCode::INVALID_PARAMETER,
            "{gpa:#x}"
        );
    }
    assert!(world.shared.lock().vcpus.current(World::BSP).is_some());
}

#[test]
fn a_vcpu_that_deletes_itself_does_not_return() {
    let mut world = with_ap();
    let arguments = Arguments {
        rcx: NEW,
        ..Default::default()
    };
    world.ask(
        World::AP,
        Request::core(CoreCall::DELETE_VCPU).rax(),
        arguments,
    );
    assert_eq!(world.serve(World::AP), Ok(Next::Park));
    assert_eq!(world.serve(World::AP), Ok(Next::Park));
    assert!(world.writable(Vmpl::VMPL2, NEW));
    assert_eq!(world.peek_u64(NEW + 0xd0) & EFER_SVME, 0);
}
