use super::*;
use crate::access::Encryption::{Private, Shared};
use crate::host::{HostError, RmpUpdate};
use crate::launch::{Launch, LaunchPage, VMSA_GPA};
use crate::vmsa::EntryRefused;
use alloc::vec;
use protocols::addr::{GpaPage, PAGE_2M};
use protocols::snp::{EFER_SVME, GuestPolicy, LaunchPageType, Rights};

const OK: RmpResult = RmpResult::SUCCESS;

fn system() -> System {
    System::new(64 << 30, Asid::new(1).unwrap())
}

fn page_4k(gpa: u64) -> GpaPage {
    GpaPage::new_4k(Gpa::new(gpa)).unwrap()
}

fn page_2m(gpa: u64) -> GpaPage {
    GpaPage::new_2m(Gpa::new(gpa)).unwrap()
}

fn validate(system: &mut System, page: GpaPage) -> PvalidateDone {
    system
        .pvalidate(Vmpl::VMPL0, page.gpa(), page.size(), true)
        .complete()
        .unwrap()
}

/// A private, validated page.
fn own(system: &mut System, page: GpaPage) {
    system.page_state_change(page, PageState::Private).unwrap();
    let done = validate(system, page);
    assert_eq!((done.code, done.carry), (OK, false));
}

fn read(system: &mut System, gpa: u64) -> Result<[u8; 4], AccessFault> {
    let mut to = [0; 4];
    system
        .read(Vmpl::VMPL0, Private, Gpa::new(gpa), &mut to)
        .map(|()| to)
}

#[test]
fn ranges_cross_pages_and_stop_at_the_first_fault() {
    let mut system = system();
    own(&mut system, page_4k(0x1000));
    own(&mut system, page_4k(0x2000));
    let text: vec::Vec<u8> = (0..0x1800u32).map(|i| i as u8).collect();
    let at = Gpa::new(0x1400);
    assert_eq!(system.write(Vmpl::VMPL0, Private, at, &text), Ok(()));
    let mut back = vec![0; text.len()];
    assert_eq!(system.read(Vmpl::VMPL0, Private, at, &mut back), Ok(()));
    assert_eq!(back, text);

    let over = Gpa::new(0x2ffe);
    let fault = Err(AccessFault::Nested(NestedFault::RMP | NestedFault::ENC));
    assert_eq!(system.write(Vmpl::VMPL0, Private, over, &[7; 4]), fault);
    assert_eq!(read(&mut system, 0x2ffc).unwrap()[2..], [7, 7]);
}

#[test]
fn what_is_private_is_noise_to_the_host_and_the_reverse() {
    let mut system = system();
    let page = page_4k(0x1000);
    own(&mut system, page);
    assert_ne!(read(&mut system, 0x1000), Ok([0; 4]));
    system
        .write(Vmpl::VMPL0, Private, page.gpa(), b"text")
        .unwrap();
    let mut seen = [0; 4];
    system.host_read(Spa(0x1000), &mut seen);
    assert_ne!(&seen, b"text");
    assert_eq!(system.host_write(Spa(0x1000), b"lies"), Err(HostWriteFault));

    // In place the noise is good again; elsewhere it never is.
    for (spa, is_good) in [(0x1000, true), (0x5000, false)] {
        let mut system = system.clone();
        system
            .rmpupdate(Spa(0x1000), RmpUpdate::to_host(PageSize::Size4K))
            .unwrap();
        system.host_write(Spa(spa), &seen).unwrap();
        system.map(page, Spa(spa));
        own(&mut system, page);
        assert_eq!(read(&mut system, 0x1000) == Ok(*b"text"), is_good);
    }
}

#[test]
fn shared_pages_are_plain_to_both() {
    let mut system = system();
    system
        .write(Vmpl::VMPL2, Shared, Gpa::new(0x3000), b"text")
        .unwrap();
    let mut seen = [0; 4];
    system.host_read(Spa(0x3000), &mut seen);
    assert_eq!(&seen, b"text");
    system.host_write(Spa(0x3000), b"back").unwrap();
    system
        .read(Vmpl::VMPL0, Shared, Gpa::new(0x3000), &mut seen)
        .unwrap();
    assert_eq!(&seen, b"back");
}

#[test]
fn a_large_page_costs_one_of_each() {
    let mut system = system();
    let page = page_2m(32 << 30);
    own(&mut system, page);
    let attributes = RmpAttributes::new(Vmpl::VMPL2, Rights::all(), false);
    let end = system.rmpadjust(Vmpl::VMPL0, page.gpa(), page.size(), attributes);
    assert_eq!(end, Outcome::Complete(OK));
    assert_eq!(system.rmp().split_regions(), 0);
    let expected = Counters {
        pvalidate_2m: 1,
        rmpadjust_2m: 1,
        rmpupdate: 1,
        ..Counters::default()
    };
    assert_eq!(system.counters(), &expected);
    assert_eq!(
        system.write(Vmpl::VMPL2, Private, page.gpa(), b"text"),
        Ok(())
    );
}

#[test]
fn the_host_splits_a_large_page_for_a_small_request() {
    let mut system = system();
    let page = page_2m(PAGE_2M);
    system.page_state_change(page, PageState::Private).unwrap();
    let mut strict = system.clone();
    strict.leave_size_faults();

    assert_eq!(validate(&mut system, page_4k(PAGE_2M + 0x1000)).code, OK);
    assert_eq!(
        (system.counters().psmash, system.counters().size_faults),
        (1, 1)
    );
    assert_eq!(system.counters().pvalidate_4k, 1);
    // The nested mapping is still large: the access has the host split it.
    assert!(read(&mut system, PAGE_2M + 0x1000).is_ok());
    assert_eq!(read(&mut system, PAGE_2M), Err(AccessFault::NotValidated));
    let end = system
        .pvalidate(Vmpl::VMPL0, page.gpa(), page.size(), true)
        .complete()
        .unwrap();
    assert_eq!(end.code, RmpResult::FAIL_SIZEMISMATCH);

    let end = strict.pvalidate(Vmpl::VMPL0, page.gpa(), PageSize::Size4K, true);
    let size = NestedFault::RMP | NestedFault::ENC | NestedFault::SIZE;
    assert_eq!(end, Outcome::Nested(size));
    assert_eq!(strict.counters().psmash, 0);
}

#[test]
fn sharing_a_part_of_a_large_page_splits_it() {
    let mut system = system();
    own(&mut system, page_2m(0));
    system
        .write(Vmpl::VMPL0, Private, Gpa::new(0), b"keep")
        .unwrap();
    system
        .page_state_change(page_4k(0x5000), PageState::Shared)
        .unwrap();
    assert_eq!(system.rmp().assigned_in_region(Spa(0)), 511);
    assert_eq!(read(&mut system, 0), Ok(*b"keep"));
    assert_eq!(
        system.write(Vmpl::VMPL0, Shared, Gpa::new(0x5000), b"open"),
        Ok(())
    );
    let fault = AccessFault::Nested(NestedFault::RMP);
    assert_eq!(
        system.write(Vmpl::VMPL0, Shared, Gpa::new(0x4000), b"open"),
        Err(fault)
    );

    // Back to private in one request: 512 small pages, none of them validated.
    system
        .page_state_change(page_2m(0), PageState::Private)
        .unwrap();
    assert_eq!(system.rmp().assigned_in_region(Spa(0)), 512);
    assert_eq!(read(&mut system, 0), Err(AccessFault::NotValidated));
}

#[test]
fn page_state_changes_tell_what_the_host_met() {
    let mut system = system();
    system.unmap(page_4k(0x1000));
    assert_eq!(
        system.page_state_change(page_4k(0x1000), PageState::Private),
        Err(None)
    );
    let update = RmpUpdate::to_launch(system.guest(), Gpa::new(0x2000));
    system.rmpupdate(Spa(0x2000), update).unwrap();
    let end = system.page_state_change(page_4k(0x2000), PageState::Shared);
    assert_eq!(end, Err(Some(HostError::Permission)));
}

#[test]
fn holes_are_faults_without_rmp_bits() {
    let mut system = system();
    own(&mut system, page_4k(0x1000));
    system.unmap(page_4k(0x1000));
    let fault = AccessFault::Nested(NestedFault::NOT_PRESENT);
    assert_eq!(read(&mut system, 0x1000), Err(fault));
    assert_eq!(read(&mut system, 64 << 30), Err(fault));
    let end = system.pvalidate(Vmpl::VMPL0, Gpa::new(0x1000), PageSize::Size4K, true);
    assert_eq!(end, Outcome::Nested(NestedFault::NOT_PRESENT));
    system.map(page_4k(0x1000), Spa(0x1000));
    assert!(read(&mut system, 0x1000).is_ok());
    system.unmap(page_2m(PAGE_2M));
    assert_eq!(read(&mut system, PAGE_2M + 0x1000), Err(fault));
}

#[test]
fn swapped_pages_are_faults() {
    let mut system = system();
    for gpa in [0x1000, 0x2000] {
        own(&mut system, page_4k(gpa));
    }
    system.swap(Gpa::new(0x1000), Gpa::new(0x2000));
    let fault = AccessFault::Nested(NestedFault::RMP | NestedFault::ENC);
    assert_eq!(read(&mut system, 0x1000), Err(fault));
    assert_eq!(read(&mut system, 0x2000), Err(fault));
    system.swap(Gpa::new(0x1000), Gpa::new(0x2000));
    assert!(read(&mut system, 0x1000).is_ok());
}

#[test]
fn a_small_mapping_in_a_large_one_and_back() {
    let mut system = system();
    system.map(page_4k(PAGE_2M + 0x3000), Spa(0x7000));
    assert_eq!(
        system.translate(Gpa::new(PAGE_2M + 0x3123)),
        Some(Spa(0x7123))
    );
    assert_eq!(
        system.translate(Gpa::new(PAGE_2M + 0x4123)),
        Some(Spa(PAGE_2M + 0x4123))
    );
    system.map(page_2m(PAGE_2M), Spa(4 * PAGE_2M));
    assert_eq!(
        system.translate(Gpa::new(PAGE_2M + 0x3123)),
        Some(Spa(4 * PAGE_2M + 0x3123))
    );
}

#[test]
fn memory_need_not_end_at_a_large_boundary() {
    let mut system = System::new(PAGE_2M + 0x3000, Asid::new(1).unwrap());
    own(&mut system, page_4k(PAGE_2M + 0x2000));
    assert!(read(&mut system, PAGE_2M + 0x2000).is_ok());
    let end = system.page_state_change(page_2m(PAGE_2M), PageState::Private);
    assert_eq!(end, Err(None));
}

#[test]
fn a_launched_guest_has_its_pages() {
    let mut system = system();
    let mut launch = Launch::start(system.guest(), GuestPolicy::MUST_BE_ONE).unwrap();
    let mut contents = [0; 4096];
    contents[..4].copy_from_slice(b"boot");
    let page = LaunchPage {
        rights: [Rights::empty(), Rights::READ, Rights::empty()],
        ..LaunchPage::new(Spa(0x9000), Gpa::new(0x20_0000), LaunchPageType::NORMAL)
    };
    system.launch_update(&mut launch, page, &contents).unwrap();
    contents[0xd0..0xd8].copy_from_slice(&EFER_SVME.to_le_bytes());
    let vmsa = LaunchPage::new(Spa(0xa000), VMSA_GPA, LaunchPageType::VMSA);
    system.launch_update(&mut launch, vmsa, &contents).unwrap();
    assert_eq!(launch.finish().pages, 2);

    assert_eq!(read(&mut system, 0x20_0000), Ok(*b"boot"));
    let mut to = [0; 4];
    assert_eq!(system.read(Vmpl::VMPL2, Private, page.gpa, &mut to), Ok(()));
    assert!(
        system
            .write(Vmpl::VMPL2, Private, page.gpa, b"text")
            .is_err()
    );
    assert!(read(&mut system, VMSA_GPA.get()).is_err());

    assert_eq!(system.enter_vmsa(Spa(0xa000)), Ok(()));
    assert_eq!(system.enter_vmsa(Spa(0xa000)), Err(EntryRefused::Busy));
    system.leave_vmsa(Spa(0xa000));
    assert_eq!(system.enter_vmsa(Spa(0x9000)), Err(EntryRefused::Invalid));
}

/// The life of a VMSA that firmware makes for a lower level.
#[test]
fn firmware_makes_and_deletes_a_vmsa() {
    let mut system = system();
    let page = page_4k(0x20_1000);
    own(&mut system, page);
    let adjust = |system: &mut System, vmsa| {
        let attributes = RmpAttributes::new(Vmpl::VMPL2, Rights::empty(), vmsa);
        system
            .rmpadjust(Vmpl::VMPL0, page.gpa(), page.size(), attributes)
            .complete()
            .unwrap()
    };
    let spa = system.translate(page.gpa()).unwrap();
    let efer = Gpa::new(page.gpa().get() + 0xd0);
    system
        .write(Vmpl::VMPL0, Private, page.gpa(), &[0; 4096])
        .unwrap();
    assert_eq!(adjust(&mut system, true), OK);
    assert_eq!(system.enter_vmsa(spa), Err(EntryRefused::Invalid));
    system
        .write(Vmpl::VMPL0, Private, efer, &EFER_SVME.to_le_bytes())
        .unwrap();
    assert_eq!(system.enter_vmsa(spa), Ok(()));
    assert_eq!(adjust(&mut system, false), RmpResult::FAIL_INUSE);
    let update = RmpUpdate::to_host(PageSize::Size4K);
    assert_eq!(system.rmpupdate(spa, update), Err(HostError::InUse));
    system.leave_vmsa(spa);
    assert_eq!(adjust(&mut system, false), OK);
    assert_eq!(system.enter_vmsa(spa), Err(EntryRefused::Invalid));
    assert_eq!(system.counters().vmsa_at_2m_boundary, 0);
}

#[test]
fn a_vmsa_at_a_large_boundary_is_counted() {
    let mut system = system();
    let page = page_4k(PAGE_2M);
    own(&mut system, page);
    let attributes = RmpAttributes::new(Vmpl::VMPL1, Rights::empty(), true);
    let end = system.rmpadjust(Vmpl::VMPL0, page.gpa(), page.size(), attributes);
    assert_eq!(end, Outcome::Complete(OK));
    assert_eq!(system.counters().vmsa_at_2m_boundary, 1);
}

#[test]
fn rmpquery_reads_what_rmpadjust_wrote() {
    let mut system = system();
    let page = page_4k(0x1000);
    own(&mut system, page);
    let attributes = RmpAttributes::new(Vmpl::VMPL3, Rights::READ, false);
    let end = system.rmpadjust(Vmpl::VMPL0, page.gpa(), page.size(), attributes);
    assert_eq!(end, Outcome::Complete(OK));
    let done = system
        .rmpquery(Vmpl::VMPL2, page.gpa(), Vmpl::VMPL3)
        .complete()
        .unwrap();
    assert_eq!(done.found.unwrap().rdx(), attributes.bits());
    assert_eq!(system.counters().rmpquery, 1);
}
