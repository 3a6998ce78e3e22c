use super::*;
use crate::testing::*;
use protocols::addr::PAGE_2M;
use protocols::snp::{Rights, Vmpl};

fn to_guest(size: PageSize) -> RmpUpdate {
    RmpUpdate::to_guest(guest(), GPA, size)
}

#[test]
fn rmpupdate_checks_its_operand_first() {
    let mut rmp = given_with(PageSize::Size2M, |e| *e = immutable(e));
    let misaligned = Spa(SPA.0 + 0x1000);
    assert_eq!(
        rmpupdate(&mut rmp, misaligned, RmpUpdate::to_host(PageSize::Size2M)),
        Err(HostError::Input)
    );
    assert_eq!(
        rmpupdate(
            &mut rmp,
            Spa(SPA.0 + 1),
            RmpUpdate::to_host(PageSize::Size4K)
        ),
        Err(HostError::Input)
    );
    let update = RmpUpdate::to_guest(guest(), gpa_at(1), PageSize::Size2M);
    assert_eq!(rmpupdate(&mut rmp, SPA, update), Err(HostError::Input));
    assert_eq!(
        rmpupdate(&mut rmp, Spa(16 << 20), to_guest(PageSize::Size4K)),
        Err(HostError::Input)
    );
}

#[test]
fn rmpupdate_refuses_an_immutable_entry() {
    let mut rmp = given_with(PageSize::Size4K, |e| {
        *e = immutable(e);
        e.set_in_use(true);
    });
    let before = rmp.entry(SPA);
    for update in [
        RmpUpdate::to_host(PageSize::Size4K),
        to_guest(PageSize::Size4K),
    ] {
        assert_eq!(rmpupdate(&mut rmp, SPA, update), Err(HostError::Permission));
    }
    assert_eq!(rmp.entry(SPA), before);
}

#[test]
fn rmpupdate_refuses_a_vmsa_in_use() {
    let mut rmp = vmsa_page();
    rmp.modify(SPA, |e| e.set_in_use(true));
    for size in [PageSize::Size4K, PageSize::Size2M] {
        assert_eq!(
            rmpupdate(&mut rmp, SPA, RmpUpdate::to_host(size)),
            Err(HostError::InUse)
        );
    }
    rmp.modify(SPA, |e| e.set_in_use(false));
    assert_eq!(
        rmpupdate(&mut rmp, SPA, RmpUpdate::to_host(PageSize::Size4K)),
        Ok(())
    );
}

#[test]
fn rmpupdate_never_lets_pages_overlap() {
    let mut rmp = validated(PageSize::Size4K);
    for update in [
        RmpUpdate::to_host(PageSize::Size2M),
        to_guest(PageSize::Size2M),
    ] {
        assert_eq!(rmpupdate(&mut rmp, SPA, update), Err(HostError::Overlap));
    }
    assert!(rmp.entry(SPA).is_validated());

    let mut rmp = validated(PageSize::Size2M);
    for update in [
        RmpUpdate::to_host(PageSize::Size4K),
        RmpUpdate::to_guest(guest(), gpa_at(3), PageSize::Size4K),
    ] {
        assert_eq!(
            rmpupdate(&mut rmp, spa_at(3), update),
            Err(HostError::Overlap)
        );
    }
    assert!(rmp.entry(spa_at(3)).is_validated());
    assert_eq!(HostError::Overlap.code(), RmpResult::FAIL_OVERLAP);
}

#[test]
fn rmpupdate_forgets_what_was_there() {
    for asid in [guest(), other()] {
        let mut rmp = vmsa_page();
        let update = RmpUpdate::to_guest(asid, GPA, PageSize::Size4K);
        assert_eq!(rmpupdate(&mut rmp, SPA, update), Ok(()));
        assert!(is_fresh(&rmp.entry(SPA)));
        assert_eq!(rmp.entry(SPA).asid(), Some(asid));
    }
    let mut rmp = vmsa_page();
    assert_eq!(
        rmpupdate(&mut rmp, SPA, RmpUpdate::to_host(PageSize::Size4K)),
        Ok(())
    );
    assert_eq!(rmp.entry(SPA), RmpEntry::UNASSIGNED);

    let mut rmp = validated(PageSize::Size2M);
    assert_eq!(rmpupdate(&mut rmp, SPA, to_guest(PageSize::Size2M)), Ok(()));
    assert!(is_fresh(&rmp.entry(spa_at(511))));
    assert_eq!(
        rmpupdate(&mut rmp, SPA, RmpUpdate::to_host(PageSize::Size2M)),
        Ok(())
    );
    assert_eq!(rmp.entry(spa_at(511)), RmpEntry::UNASSIGNED);
}

#[test]
fn a_page_given_for_the_launch_is_immutable() {
    let mut rmp = Rmp::new(PAGE_2M);
    assert_eq!(
        rmpupdate(&mut rmp, Spa(0), RmpUpdate::to_launch(guest(), GPA)),
        Ok(())
    );
    assert!(rmp.entry(Spa(0)).is_immutable());
    assert!(is_fresh(&rmp.entry(Spa(0))));
}

#[test]
fn psmash_answers_in_order() {
    let mut rmp = given(PageSize::Size2M);
    assert_eq!(psmash(&mut rmp, spa_at(1)), Err(HostError::Input));
    assert_eq!(psmash(&mut rmp, Spa(16 << 20)), Err(HostError::Input));
    assert_eq!(psmash(&mut rmp, Spa(0)), Err(HostError::BadAddress));
    assert_eq!(
        psmash(&mut given(PageSize::Size4K), SPA),
        Err(HostError::BadAddress)
    );
    rmp.modify(SPA, |e| *e = immutable(e));
    assert_eq!(psmash(&mut rmp, SPA), Err(HostError::Permission));
    assert_eq!(psmash(&mut given(PageSize::Size2M), SPA), Ok(()));
}

#[test]
fn psmash_keeps_validation_and_rights() {
    let mut rmp = given_with(PageSize::Size2M, |e| {
        e.set_validated(true);
        e.set_rights(Vmpl::VMPL2, Rights::READ);
    });
    assert_eq!(psmash(&mut rmp, SPA), Ok(()));
    for i in 0..512 {
        let entry = rmp.entry(spa_at(i));
        assert_eq!((entry.size(), entry.gpa()), (PageSize::Size4K, gpa_at(i)));
        assert!(entry.is_validated());
        assert_eq!(entry.rights(Vmpl::VMPL2), Rights::READ);
    }
}

fn smashed() -> Rmp {
    let mut rmp = validated(PageSize::Size2M);
    psmash(&mut rmp, SPA).unwrap();
    rmp
}

#[test]
fn unsmash_joins_what_belongs_together() {
    let mut rmp = smashed();
    assert_eq!(unsmash(&mut rmp, SPA), Ok(()));
    assert_eq!(rmp.entry(SPA), validated(PageSize::Size2M).entry(SPA));
    assert_eq!(rmp.split_regions(), 0);
}

#[test]
fn unsmash_refuses_what_does_not() {
    assert_eq!(
        unsmash(&mut smashed(), spa_at(1)),
        Err(UnsmashError::Address)
    );
    assert_eq!(
        unsmash(&mut smashed(), Spa(16 << 20)),
        Err(UnsmashError::Address)
    );
    assert_eq!(unsmash(&mut smashed(), Spa(0)), Err(UnsmashError::Size));
    assert_eq!(
        unsmash(&mut validated(PageSize::Size2M), SPA),
        Err(UnsmashError::Size)
    );

    let breaks: [fn(&mut RmpEntry); 5] = [
        |e| e.set_validated(false),
        |e| e.set_vmsa(true),
        |e| e.set_rights(Vmpl::VMPL3, Rights::READ),
        |e| *e = immutable(e),
        |e| *e = RmpEntry::assigned(other(), e.gpa(), PageSize::Size4K, false),
    ];
    for page in [1, 511] {
        for change in breaks {
            let mut rmp = smashed();
            rmp.modify(spa_at(page), change);
            assert_eq!(
                unsmash(&mut rmp, SPA),
                Err(UnsmashError::Page(spa_at(page)))
            );
        }
        let mut rmp = smashed();
        rmpupdate(&mut rmp, spa_at(page), RmpUpdate::to_host(PageSize::Size4K)).unwrap();
        assert_eq!(
            unsmash(&mut rmp, SPA),
            Err(UnsmashError::Page(spa_at(page)))
        );
    }
}

#[test]
fn unsmash_refuses_guest_addresses_out_of_line() {
    let mut rmp = Rmp::new(PAGE_2M);
    for i in 0..512 {
        let update = RmpUpdate::to_guest(guest(), gpa_at(i + 1), PageSize::Size4K);
        rmpupdate(&mut rmp, Spa(i * PAGE_4K), update).unwrap();
    }
    assert_eq!(unsmash(&mut rmp, Spa(0)), Err(UnsmashError::Page(Spa(0))));
}

fn immutable(entry: &RmpEntry) -> RmpEntry {
    RmpEntry::assigned(guest(), entry.gpa(), entry.size(), true)
}
