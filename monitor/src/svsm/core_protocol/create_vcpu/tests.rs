use protocols::addr::GpaPage;
use protocols::snp::{EFER_SVME, Rights, RmpResult, Vmpl};
use protocols::svsm::CoreCall;
use snp_model::access::Encryption::Private;
use std::vec::Vec;

use super::*;
use crate::testing::{Event, World, page};

const NEW: u64 = World::SMALL + 0x1_1000;
const AREA: u64 = World::SMALL + 0x1_2000;
const AP: u64 = World::AP as u64;

fn create(world: &mut World, vmsa: u64, area: u64, apic_id: u64) -> ResultCode {
    world.core(CoreCall::CREATE_VCPU, vmsa, area, apic_id)
}

fn is_vmsa(world: &World, page: GpaPage) -> bool {
    let spa = world.machine.system.translate(page.gpa()).unwrap();
    world.machine.system.rmp().entry(spa).is_vmsa()
}

/// The page is what it was before the call.
fn assert_ordinary(world: &mut World, gpa: u64) {
    assert!(!is_vmsa(world, page(gpa)));
    assert!(world.writable(Vmpl::VMPL2, gpa + 0xfff));
    assert!(world.writable(Vmpl::VMPL1, gpa + 0xfff));
    assert!(world.shared.lock().check_page(gpa).is_ok());
}

#[test]
fn a_page_becomes_a_vmsa() {
    let mut world = World::new();
    world.write_vmsa(NEW, |_| ());
    assert_eq!(create(&mut world, NEW, AREA, AP), ResultCode::SUCCESS);
    assert!(is_vmsa(&world, page(NEW)));
    // OVMF reads VMPL and SEV_FEATURES of the VMSA that it has just made.
    for (level, readable) in [
        (Vmpl::VMPL1, true),
        (Vmpl::VMPL2, true),
        (Vmpl::VMPL3, false),
    ] {
        assert_eq!(world.readable(level, NEW), readable, "{level}");
        assert!(!world.writable(level, NEW), "{level}");
    }
    let vcpu = world.shared.lock().vcpus.current(World::AP).unwrap();
    assert_eq!((vcpu.vmsa.get(), vcpu.calling_area.get()), (NEW, AREA));
    let spa = world.machine.system.translate(vcpu.vmsa).unwrap();
    world.machine.system.enter_vmsa(spa).unwrap();
}

#[test]
fn threat_37_the_order_is_revoke_flush_read_set() {
    let mut world = World::new();
    world.write_vmsa(NEW, |_| ());
    world.machine.take_events();
    create(&mut world, NEW, AREA, AP)
        .is_success()
        .then_some(())
        .unwrap();
    let events = world.machine.take_events();
    let none = Rights::empty();
    let wanted = [
        Event::Rmpadjust(page(NEW), Vmpl::VMPL1, none, false),
        Event::Rmpadjust(page(NEW), Vmpl::VMPL2, none, false),
        Event::Rmpadjust(page(NEW), Vmpl::VMPL3, none, false),
        Event::Flush,
        Event::Read(page(NEW).gpa(), size_of::<Vmsa>()),
        Event::Rmpadjust(page(NEW), Vmpl::VMPL1, Rights::READ, false),
        Event::Rmpadjust(page(NEW), Vmpl::VMPL2, Rights::READ, true),
    ];
    let about: Vec<Event> = events
        .into_iter()
        .filter(|event| wanted.contains(event))
        .collect();
    assert_eq!(about, wanted);
}

#[test]
fn threat_37_a_vmsa_changed_during_the_check_is_not_changed() {
    let mut world = World::new();
    world.write_vmsa(NEW, |_| ());
    world.machine.intrude(|event, system| {
        if event == Event::Read(page(NEW).gpa(), size_of::<Vmsa>())
            || event == Event::Rmpadjust(page(NEW), Vmpl::VMPL2, Rights::READ, true)
        {
            for level in [Vmpl::VMPL1, Vmpl::VMPL2, Vmpl::VMPL3] {
                let at = protocols::addr::Gpa::new(NEW + 0xca);
                assert!(system.write(level, Private, at, &[0]).is_err());
            }
        }
    });
    assert_eq!(create(&mut world, NEW, AREA, AP), ResultCode::SUCCESS);
    assert_eq!(world.peek(NEW + 0xca), [2]);
}

#[test]
fn threat_38_only_the_guest_s_level_its_features_and_a_runnable_vmsa() {
    let changes: [fn(&mut Vmsa); 8] = [
        |vmsa| vmsa.vmpl = 0,
        |vmsa| vmsa.vmpl = 1,
        |vmsa| vmsa.vmpl = 3,
        |vmsa| vmsa.vmpl = 0x82,
        |vmsa| vmsa.efer &= !EFER_SVME,
        |vmsa| vmsa.sev_features = 0,
        |vmsa| vmsa.sev_features |= 1 << 5,
        |vmsa| vmsa.sev_features |= 1 << 63,
    ];
    for change in changes {
        let mut world = World::new();
        world.write_vmsa(NEW, change);
        assert_eq!(
            create(&mut world, NEW, AREA, AP),
            ResultCode::INVALID_PARAMETER
        );
        assert_ordinary(&mut world, NEW);
        assert_eq!(world.shared.lock().vcpus.current(World::AP), None);
    }
}

#[test]
fn threat_40_a_page_is_a_vmsa_once() {
    let mut world = World::new();
    world.write_vmsa(NEW, |_| ());
    assert_eq!(create(&mut world, NEW, AREA, AP), ResultCode::SUCCESS);
    let other = World::SMALL + 0x1_4000;
    world.write_vmsa(other, |_| ());
    for (vmsa, area) in [
        (NEW, other),
        (NEW, AREA),
        (other, NEW),
        (AREA, other),
        (World::VMSA, other),
        (other, World::VMSA),
        (other, World::CALLING_AREA),
        (World::CALLING_AREA, other),
    ] {
        assert_eq!(
            create(&mut world, vmsa, area, AP),
            ResultCode::INVALID_ADDRESS
        );
    }
    let stolen = create(&mut world, other, AREA, World::LAUNCHED.into());
    assert_eq!(stolen, ResultCode::INVALID_ADDRESS);
    let callers = create(&mut world, other, World::CALLING_AREA, World::BSP.into());
    assert_eq!(callers, ResultCode::INVALID_ADDRESS);
    assert!(is_vmsa(&world, page(NEW)));
    assert_ordinary(&mut world, other);
    // And PVALIDATE takes neither it nor its calling area.
    use protocols::svsm::PvalidateEntry;
    for live in [NEW, AREA] {
        for validate in [true, false] {
            let entry = PvalidateEntry::new(page(live), validate).ignoring_cf();
            assert_eq!(world.pvalidate(&[entry]), (ResultCode::INVALID_ADDRESS, 0));
        }
    }
}

#[test]
fn threat_41_a_2_mib_aligned_vmsa_is_refused() {
    let mut world = World::new();
    world.write_vmsa(World::LARGE, |_| ());
    assert_eq!(
        create(&mut world, World::LARGE, AREA, AP),
        ResultCode::INVALID_PARAMETER
    );
    assert!(world.writable(Vmpl::VMPL2, World::LARGE));
    assert_eq!(world.machine.system.counters().vmsa_at_2m_boundary, 0);
    // Any other page of a large page will do: the host splits it.
    world.write_vmsa(World::LARGE + 0x1000, |_| ());
    assert_eq!(
        create(&mut world, World::LARGE + 0x1000, AREA, AP),
        ResultCode::SUCCESS
    );
    assert!(world.writable(Vmpl::VMPL2, World::LARGE + 0x2000));
}

#[test]
fn each_wrong_address_has_its_result() {
    let mut world = World::new();
    world.write_vmsa(NEW, |_| ());
    for (vmsa, area, expected) in [
        (NEW + 8, AREA, ResultCode::INVALID_PARAMETER),
        (NEW, AREA + 8, ResultCode::INVALID_PARAMETER),
        (NEW, NEW, ResultCode::INVALID_PARAMETER),
        (World::FIRMWARE + 0x1000, AREA, ResultCode::INVALID_ADDRESS),
        (NEW, World::FIRMWARE, ResultCode::INVALID_ADDRESS),
        (World::PENDING + 0x1000, AREA, ResultCode::INVALID_ADDRESS),
        (NEW, World::PENDING, ResultCode::INVALID_ADDRESS),
        (World::RAM + 0x1000, AREA, ResultCode::INVALID_ADDRESS),
        (NEW | 1 << 51, AREA, ResultCode::INVALID_ADDRESS),
        (NEW, AREA | 1 << 51, ResultCode::INVALID_ADDRESS),
        (!0xfff, AREA, ResultCode::INVALID_ADDRESS),
    ] {
        assert_eq!(
            create(&mut world, vmsa, area, AP),
            expected,
            "{vmsa:#x} {area:#x}"
        );
    }
    assert_ordinary(&mut world, NEW);
}

#[test]
fn threat_47_only_apic_ids_of_the_machine_and_the_newest_vmsa_counts() {
    let mut world = World::new();
    let other = World::SMALL + 0x1_5000;
    world.write_vmsa(NEW, |_| ());
    world.write_vmsa(other, |_| ());
    for apic_id in [2, 0xff, u64::from(u32::MAX), 1 << 32 | AP, u64::MAX] {
        assert_eq!(
            create(&mut world, NEW, AREA, apic_id),
            ResultCode::INVALID_PARAMETER
        );
    }
    assert_ordinary(&mut world, NEW);
    assert_eq!(create(&mut world, NEW, AREA, AP), ResultCode::SUCCESS);
    // The OS starts the processor again with a VMSA of its own.
    assert_eq!(
        create(&mut world, other, other + 0x1000, AP),
        ResultCode::SUCCESS
    );
    assert_eq!(
        world
            .shared
            .lock()
            .vcpus
            .current(World::AP)
            .unwrap()
            .vmsa
            .get(),
        other
    );
    // The old one is no calling vCPU any longer: nothing reads its requests.
    assert!(world.shared.lock().vcpus.is_live(page(NEW).gpa()));
}

#[test]
fn threat_48_a_flood_of_vmsas_ends_in_a_refusal() {
    let mut world = World::new();
    let mut created = 0;
    let mut gpa = World::LARGE + 0x1000;
    let refusal = loop {
        world.write_vmsa(gpa, |_| ());
        match create(&mut world, gpa, gpa + 0x1000, AP) {
            ResultCode::SUCCESS => created += 1,
            refusal => break refusal,
        }
        gpa += 0x2000;
    };
    assert_eq!(refusal, ResultCode::INVALID_REQUEST);
    // Eight for each of three vCPUs; the startup vCPU's VMSA is one of them.
    assert_eq!(created, 23);
    assert_ordinary(&mut world, gpa);
}

#[test]
fn a_refused_vmsa_bit_makes_the_page_ordinary_again() {
    let mut world = World::new();
    world.write_vmsa(NEW, |_| ());
    // The page is entered as a VMSA behind the firmware's back: FAIL_INUSE.
    let set = Event::Rmpadjust(page(NEW), Vmpl::VMPL2, Rights::READ, true);
    let first = Event::Rmpadjust(page(NEW), Vmpl::VMPL1, Rights::all(), false);
    world.machine.intrude(move |event, system| {
        let spa = system.translate(page(NEW).gpa()).unwrap();
        if event == set {
            let bits = protocols::snp::RmpAttributes::new(Vmpl::VMPL2, Rights::READ, true);
            let size = PageSize::Size4K;
            let done = system.rmpadjust(Vmpl::VMPL0, page(NEW).gpa(), size, bits);
            assert_eq!(done.complete(), Some(RmpResult::SUCCESS));
            system.enter_vmsa(spa).unwrap();
        } else if event == first {
            system.leave_vmsa(spa);
        }
    });
    assert_eq!(
        create(&mut world, NEW, AREA, AP),
        ResultCode::CORE_FAIL_INUSE
    );
    assert_ordinary(&mut world, NEW);
}

#[test]
fn threat_44_a_page_that_the_host_exchanged_ends_the_machine() {
    use crate::fatal::Fatal;
    use protocols::svsm::Request;
    use snp_model::host::RmpUpdate;
    use snp_model::types::{Asid, Spa};
    let mut world = World::new();
    world.write_vmsa(NEW, |_| ());
    let update = RmpUpdate::to_guest(Asid::new(1).unwrap(), page(NEW).gpa(), PageSize::Size4K);
    world
        .machine
        .system
        .rmpupdate(Spa(0x8000_0000), update)
        .unwrap();
    world.machine.system.map(page(NEW), Spa(0x8000_0000));
    let arguments = Arguments {
        rcx: NEW,
        rdx: AREA,
        r8: AP,
        r9: 0,
    };
    world.ask(
        World::BSP,
        Request::core(CoreCall::CREATE_VCPU).rax(),
        arguments,
    );
    assert_eq!(
        world.serve(World::BSP),
        Err(Fatal::page_lost(page(NEW).gpa()))
    );
}
