use protocols::svsm::{CoreCall, ResultCode};

use crate::testing::World;

const OLD: u64 = World::CALLING_AREA;
const NEW: u64 = World::SMALL + 0x9000;

fn remap(world: &mut World, to: u64) -> ResultCode {
    world.core(CoreCall::REMAP_CA, to, 0, 0)
}

#[test]
fn the_calling_area_moves_and_pending_is_clear_in_both() {
    let mut world = World::new();
    world.poke(NEW, &[1, 2, 3]);
    assert_eq!(remap(&mut world, NEW), ResultCode::SUCCESS);
    assert_eq!(world.peek(OLD), [0]);
    assert_eq!(world.peek(NEW), [0, 2, 3]);
    assert_eq!(
        world
            .shared
            .lock()
            .vcpus
            .current(World::BSP)
            .unwrap()
            .calling_area
            .get(),
        NEW
    );
    // The next call comes through the new area, and the old one is ordinary memory.
    assert_eq!(remap(&mut world, NEW), ResultCode::SUCCESS);
    assert!(world.shared.lock().check_page(OLD).is_ok());
    assert_eq!(remap(&mut world, OLD), ResultCode::SUCCESS);
}

#[test]
fn the_area_in_use_is_a_success() {
    let mut world = World::new();
    assert_eq!(remap(&mut world, OLD), ResultCode::SUCCESS);
    assert_eq!(
        world
            .shared
            .lock()
            .vcpus
            .current(World::BSP)
            .unwrap()
            .calling_area
            .get(),
        OLD
    );
}

#[test]
fn what_cannot_be_a_calling_area_is_refused_and_nothing_moves() {
    let mut world = World::new();
    for (gpa, expected) in [
        (NEW + 8, ResultCode::INVALID_PARAMETER),
        (OLD + 1, ResultCode::INVALID_PARAMETER),
        (World::VMSA, ResultCode::INVALID_ADDRESS),
        (World::FIRMWARE, ResultCode::INVALID_ADDRESS),
        (World::PENDING, ResultCode::INVALID_ADDRESS),
        (World::RAM, ResultCode::INVALID_ADDRESS),
        (NEW | 1 << 51, ResultCode::INVALID_ADDRESS),
        (!0xfff, ResultCode::INVALID_ADDRESS),
    ] {
        assert_eq!(remap(&mut world, gpa), expected, "{gpa:#x}");
        assert_eq!(
            world
                .shared
                .lock()
                .vcpus
                .current(World::BSP)
                .unwrap()
                .calling_area
                .get(),
            OLD
        );
    }
}

#[test]
fn threat_42_another_vcpu_s_area_is_refused() {
    let mut world = World::new();
    let (vmsa, area) = (World::SMALL + 0x1_1000, World::SMALL + 0x1_2000);
    world.write_vmsa(vmsa, |_| ());
    assert_eq!(
        world.core(CoreCall::CREATE_VCPU, vmsa, area, World::AP.into()),
        ResultCode::SUCCESS
    );
    assert_eq!(remap(&mut world, area), ResultCode::INVALID_ADDRESS);
    assert_eq!(remap(&mut world, vmsa), ResultCode::INVALID_ADDRESS);
}
