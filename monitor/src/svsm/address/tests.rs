use super::*;
use crate::testing::{World, page, page_2m};

const PAGE: u64 = World::SMALL + 0x5000;

#[test]
fn a_page_to_hand_over_is_aligned_guest_memory_validated_and_not_live() {
    let world = World::new();
    assert_eq!(world.shared.lock().check_page(PAGE), Ok(page(PAGE)));
    assert_eq!(
        world.shared.lock().check_page(World::LARGE + 0x1000),
        Ok(page(World::LARGE + 0x1000))
    );
    for misaligned in [PAGE + 1, PAGE + 8, PAGE + 0xfff, u64::MAX] {
        assert_eq!(
            world.shared.lock().check_page(misaligned),
            Err(ResultCode::INVALID_PARAMETER)
        );
    }
    for (gpa, why) in [
        (World::FIRMWARE, "the firmware's first page"),
        (World::FIRMWARE + World::FIRMWARE_SIZE - 0x1000, "its last"),
        (World::VMSA, "a live VMSA"),
        (World::CALLING_AREA, "a calling area in use"),
        (World::PENDING, "not validated"),
        (World::RAM, "behind the end of RAM"),
        (0xfee0_0000, "a hole"),
        (1 << 51 | PAGE, "the C-bit"),
        (1 << 48, "above the limit"),
        (0xffff_ffff_ffff_f000, "wraps"),
    ] {
        assert_eq!(
            world.shared.lock().check_page(gpa),
            Err(ResultCode::INVALID_ADDRESS),
            "{why}"
        );
    }
}

#[test]
fn threat_43_a_structure_stays_within_its_page() {
    let world = World::new();
    assert!(world.shared.lock().check_structure(PAGE + 0xff8, 8).is_ok());
    assert!(world.shared.lock().check_structure(PAGE, 0x1000).is_ok());
    for (gpa, len) in [
        (PAGE + 0xff8, 9),
        (PAGE, 0x1001),
        (PAGE, 0),
        (PAGE + 1, u64::MAX),
    ] {
        let result = world.shared.lock().check_structure(gpa, len);
        assert_eq!(
            result,
            Err(ResultCode::INVALID_PARAMETER),
            "{gpa:#x} {len:#x}"
        );
    }
}

#[test]
fn threat_42_a_structure_is_never_over_control_bytes() {
    let world = World::new();
    let area = World::CALLING_AREA;
    assert!(world.shared.lock().check_structure(area + 8, 4088).is_ok());
    for (gpa, len) in [(area, 8), (area + 7, 1), (area + 7, 8), (area, 1)] {
        assert_eq!(
            world.shared.lock().check_structure(gpa, len),
            Err(ResultCode::INVALID_ADDRESS)
        );
    }
    assert_eq!(
        world.shared.lock().check_structure(World::VMSA, 8),
        Err(ResultCode::INVALID_ADDRESS)
    );
    assert_eq!(
        world.shared.lock().check_structure(World::PENDING, 8),
        Err(ResultCode::INVALID_ADDRESS)
    );
    let last = 0xffff_ffff_ffff_fff8;
    assert_eq!(
        world.shared.lock().check_structure(last, 8),
        Err(ResultCode::INVALID_ADDRESS)
    );
}

#[test]
fn threat_40_validation_never_touches_a_live_page_or_the_firmware() {
    let world = World::new();
    for good in [
        page(PAGE),
        page_2m(World::PENDING),
        page(0xa_0000),
        page_2m(World::WINDOW),
    ] {
        assert_eq!(world.shared.lock().check_validatable(good.range()), Ok(()));
    }
    for bad in [
        page(World::CALLING_AREA),
        page_2m(World::CALLING_AREA),
        page(World::FIRMWARE),
        page_2m(World::FIRMWARE),
        page(World::VMSA),
        page(World::RAM),
        page_2m(World::RAM),
        page_2m(World::WINDOW - 0x20_0000),
    ] {
        assert_eq!(
            world.shared.lock().check_validatable(bad.range()),
            Err(ResultCode::INVALID_ADDRESS),
            "{bad:?}"
        );
    }
}
