//! Requests that a guest should not make.

use proptest::prelude::*;

use super::*;

/// Addresses that no buffer may have, each of 4 KiB.
fn unusable() -> Vec<u64> {
    vec![
        World::FIRMWARE,
        World::FIRMWARE + World::FIRMWARE_SIZE - PAGE_4K,
        World::VMSA,
        World::CALLING_AREA,
        World::RAM,
        World::PENDING,
        1 << 51 | REPORT,
        1 << 63 | REPORT,
        u64::MAX - 0xfff,
        1 << 47,
    ]
}

/// The call is refused with this result, nothing is written and nothing sent.
fn refused(scene: &mut Scene, request: AttestServices, result: ResultCode) {
    let sent = scene.sent();
    let answer = scene.services(request);
    assert_eq!(answer, (result, preset(REQUEST)), "{request:x?}");
    assert!(scene.is_blank(), "{request:x?}");
    assert_eq!(scene.sent(), sent);
}

type Change = fn(&mut AttestServices) -> &mut u64;

#[test]
fn no_buffer_may_lie_where_there_is_no_memory_of_the_guest() {
    let places: [Change; 4] = [
        |r| &mut r.report.gpa,
        |r| &mut r.manifest.gpa,
        |r| &mut r.certificates.gpa,
        |r| &mut r.nonce.gpa,
    ];
    let mut scene = Scene::new(true);
    for place in places {
        for gpa in unusable() {
            let mut request = linux();
            *place(&mut request) = gpa;
            refused(&mut scene, request, ResultCode::INVALID_ADDRESS);
        }
    }
}

#[test]
fn a_buffer_may_not_reach_where_it_may_not_begin() {
    let mut scene = Scene::new(true);
    let last = World::SMALL + World::SMALL_SIZE - PAGE_4K;
    for (gpa, size) in [
        (last, 0x4000),
        (World::FIRMWARE - PAGE_4K, 0x2000),
        (World::LARGE + 0x20_0000 - 2 * PAGE_4K, 0x4000),
    ] {
        let mut request = linux();
        request.certificates = buffer(gpa, size);
        refused(&mut scene, request, ResultCode::INVALID_ADDRESS);
    }
    // Past the end of all addresses.
    let mut request = linux();
    request.report = buffer(u64::MAX - 0xffff, u32::MAX);
    request.report.gpa &= !0xfff;
    refused(&mut scene, request, ResultCode::INVALID_ADDRESS);
    // Of a buffer only what is written counts.
    let mut request = linux();
    request.certificates = buffer(last, PAGE_4K as u32);
    request.report.size = u32::MAX;
    assert_eq!(scene.services(request).0, ResultCode::SUCCESS);
}

#[test]
fn buffers_begin_at_pages_and_a_nonce_stays_in_one() {
    let mut scene = Scene::new(true);
    let changes: [fn(&mut AttestServices); 6] = [
        |r| r.report.gpa += 8,
        |r| r.manifest.gpa += 1,
        |r| r.certificates.gpa += 0x800,
        |r| r.nonce.gpa += 1,
        |r| r.nonce.gpa = World::FIRMWARE + 0xfc1,
        |r| r.nonce.gpa = u64::MAX - 10,
    ];
    for change in changes {
        let mut request = linux();
        change(&mut request);
        refused(&mut scene, request, ResultCode::INVALID_PARAMETER);
    }
}

#[test]
fn reserved_bytes_are_zero() {
    let mut scene = Scene::new(true);
    let zero = [0xc..0x10, 0x1a..0x20, 0x2c..0x30, 0x3c..0x40];
    for at in zero.into_iter().flatten() {
        let mut request = linux();
        request.as_mut_bytes()[at] = 1;
        refused(&mut scene, request, ResultCode::INVALID_PARAMETER);
    }
    let mut request = single(GUID_VTPM_SERVICE, 0);
    request.reserved = 1;
    let answer = scene.call(AttestationCall::SINGLE_SERVICE, &request);
    assert_eq!(answer, (ResultCode::INVALID_PARAMETER, preset(REQUEST)));
}

#[test]
fn the_request_itself_lies_in_one_page_of_the_guest() {
    let mut scene = Scene::new(true);
    for call in [AttestationCall::SERVICES, AttestationCall::SINGLE_SERVICE] {
        let invalid = ResultCode::INVALID_PARAMETER;
        for (rcx, result) in [
            (REQUEST + 4, invalid),
            (World::SMALL + 0x2000 - 0x38, invalid),
            (u64::MAX - 7, invalid),
            (World::FIRMWARE, ResultCode::INVALID_ADDRESS),
            (World::CALLING_AREA, ResultCode::INVALID_ADDRESS),
            (World::PENDING, ResultCode::INVALID_ADDRESS),
            (u64::MAX - 0xfff, ResultCode::INVALID_ADDRESS),
        ] {
            assert_eq!(scene.call_at(call, rcx), (result, preset(rcx)), "{rcx:#x}");
        }
    }
    assert_eq!(scene.sent(), 0);
    // The longer request of a single service does not fit where the other one does.
    let at = World::SMALL + 0x2000 - 0x40;
    scene.world.poke(at, linux().as_bytes());
    assert_eq!(
        scene.call_at(AttestationCall::SERVICES, at).0,
        ResultCode::SUCCESS
    );
    let result = scene.call_at(AttestationCall::SINGLE_SERVICE, at).0;
    assert_eq!(result, ResultCode::INVALID_PARAMETER);
}

/// A live VMSA in the middle of a buffer, and another vCPU's calling area.
#[test]
fn a_buffer_may_not_cover_a_vmsa_or_a_calling_area() {
    let mut scene = Scene::new(true);
    let (vmsa, area) = (CERTIFICATES + PAGE_4K, CERTIFICATES + 2 * PAGE_4K);
    scene.world.write_vmsa(vmsa, |_| ());
    let create = protocols::svsm::CoreCall::CREATE_VCPU;
    let made = scene.world.core(create, vmsa, area, World::AP.into());
    assert_eq!(made, ResultCode::SUCCESS);
    for gpa in [CERTIFICATES, vmsa, area] {
        let mut request = linux();
        request.certificates = buffer(gpa, 0x2000);
        assert_eq!(scene.services(request).0, ResultCode::INVALID_ADDRESS);
    }
    assert_eq!(scene.sent(), 0);
}

fn address() -> impl Strategy<Value = u64> {
    let near = prop::sample::select([unusable(), vec![REPORT, MANIFEST, CERTIFICATES]].concat());
    prop_oneof![
        4 => prop::sample::select(vec![REPORT, MANIFEST, CERTIFICATES, NONCE]),
        2 => (near, -0x2000i64..0x2000).prop_map(|(gpa, by)| gpa.wrapping_add_signed(by)),
        1 => any::<u64>(),
    ]
}

fn size() -> impl Strategy<Value = u32> {
    prop_oneof![
        3 => prop::sample::select(vec![0x1000, 0x4000, 0, 64, 0x4a0, u32::MAX]),
        1 => any::<u32>(),
    ]
}

proptest! {
    #![proptest_config(crate::testing::cases(256))]

    #[test]
    fn no_request_writes_anything_unless_it_is_done(
        (report, manifest, certificates, nonce) in (address(), address(), address(), address()),
        sizes in (size(), size(), size(), any::<bool>()),
        single_service: bool,
        reserved in prop_oneof![8 => Just(0), 1 => any::<u32>()],
        table_len in 0usize..0x3000,
    ) {
        let mut scene = Scene::new(true);
        scene.courier.post().certificates = table(table_len);
        let whole = pages(World::SMALL + PAGE_4K, World::SMALL + World::SMALL_SIZE);
        let mut request = single(GUID_VTPM_SERVICE, 0);
        request.services.report = buffer(report, sizes.0);
        request.services.manifest = buffer(manifest, sizes.1);
        request.services.certificates = buffer(certificates, sizes.2);
        request.services.certificates.reserved = reserved;
        request.services.nonce.gpa = nonce;
        request.services.nonce.size = if sizes.3 { 64 } else { sizes.0 as u16 };
        let before: [u8; 0x3_f000] = scene.world.peek(whole.start().get());
        let call = match single_service {
            true => AttestationCall::SINGLE_SERVICE,
            false => AttestationCall::SERVICES,
        };
        let (result, registers) = scene.call(call, &request);
        let after: [u8; 0x3_f000] = scene.world.peek(whole.start().get());
        match result {
            ResultCode::SUCCESS => prop_assert_eq!(registers.r8, 0x4a0),
            ResultCode::INVALID_PARAMETER | ResultCode::INVALID_ADDRESS => {
                prop_assert!(before == after);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
