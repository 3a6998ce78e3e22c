//! The attack that RMP validation alone does not stop, and why firmware keeps a map
//! of the guest pages that it has validated.

use protocols::addr::{Gpa, GpaPage, PageSize};
use protocols::snp::{RmpResult, Vmpl};
use snp_model::access::Encryption::Private;
use snp_model::fault::AccessFault;
use snp_model::host::RmpUpdate;
use snp_model::pvalidate::PvalidateDone;
use snp_model::system::System;
use snp_model::types::{Asid, Spa};

const GPA: Gpa = Gpa::new(0x8000);
const A: Spa = Spa(0x1_0000);
const B: Spa = Spa(0x2_0000);

fn validate(system: &mut System) -> PvalidateDone {
    system
        .pvalidate(Vmpl::VMPL0, GPA, PageSize::Size4K, true)
        .complete()
        .unwrap()
}

/// The host gives the guest's address to a system page and maps it.
fn put_behind(system: &mut System, spa: Spa) {
    let update = RmpUpdate::to_guest(system.guest(), GPA, PageSize::Size4K);
    system.rmpupdate(spa, update).unwrap();
    switch_to(system, spa);
}

/// The host maps a system page, no more.
fn switch_to(system: &mut System, spa: Spa) {
    system.map(GpaPage::new_4k(GPA).unwrap(), spa);
}

fn write(system: &mut System, text: &[u8; 3]) {
    system.write(Vmpl::VMPL0, Private, GPA, text).unwrap();
}

fn read(system: &mut System) -> Result<[u8; 3], AccessFault> {
    let mut text = [0; 3];
    system
        .read(Vmpl::VMPL0, Private, GPA, &mut text)
        .map(|()| text)
}

fn guest_with_old_on_a() -> System {
    let mut system = System::new(1 << 30, Asid::new(1).unwrap());
    put_behind(&mut system, A);
    let first = validate(&mut system);
    assert_eq!((first.code, first.carry), (RmpResult::SUCCESS, false));
    write(&mut system, b"old");
    system
}

#[test]
fn a_second_page_behind_a_valid_address_validates_without_carry() {
    let mut system = guest_with_old_on_a();

    put_behind(&mut system, B);
    assert_eq!(read(&mut system), Err(AccessFault::NotValidated));
    let second = validate(&mut system);
    assert_eq!(second.code, RmpResult::SUCCESS);
    assert!(!second.carry, "the carry flag would give the attack away");

    // Now the host chooses which of its pages the guest reads.
    write(&mut system, b"new");
    assert_eq!(read(&mut system), Ok(*b"new"));
    switch_to(&mut system, A);
    assert_eq!(read(&mut system), Ok(*b"old"));
    switch_to(&mut system, B);
    assert_eq!(read(&mut system), Ok(*b"new"));
}

#[test]
fn a_guest_that_remembers_stops_at_the_fault() {
    let mut system = guest_with_old_on_a();
    // Its record says that the address is valid: it does not validate again, so
    // the fault is all it ever sees, until the page is back as it was.
    put_behind(&mut system, B);
    assert_eq!(read(&mut system), Err(AccessFault::NotValidated));
    switch_to(&mut system, A);
    assert_eq!(read(&mut system), Ok(*b"old"));
}

#[test]
fn the_carry_flag_shows_a_second_validation_of_the_same_page_only() {
    let mut system = guest_with_old_on_a();
    assert!(validate(&mut system).carry);
    put_behind(&mut system, A);
    assert!(!validate(&mut system).carry);
}
