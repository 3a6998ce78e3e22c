use super::*;
use crate::host::{RmpUpdate, rmpupdate};
use crate::testing::*;
use AccessKind::*;

const KINDS: [AccessKind; 6] = [
    Read,
    Write,
    ExecuteUser,
    ExecuteSupervisor,
    PageWalk,
    PageWalkUpdate,
];

fn private(kind: AccessKind) -> Access {
    Access {
        spa: SPA,
        gpa: GPA,
        encryption: Encryption::Private,
        vmpl: Vmpl::VMPL0,
        kind,
        mapping: PageSize::Size4K,
    }
}

fn fault(bits: u64) -> Result<(), AccessFault> {
    let known = [
        NestedFault::RMP,
        NestedFault::ENC,
        NestedFault::SIZE,
        NestedFault::VMPL,
    ];
    let all = known
        .into_iter()
        .filter(|b| bits & b.bits() != 0)
        .reduce(|a, b| a | b)
        .unwrap();
    assert_eq!(all.bits(), bits);
    Err(AccessFault::Nested(all))
}

#[test]
fn shared_needs_a_page_of_the_host() {
    let shared = |kind| Access {
        encryption: Encryption::Shared,
        ..private(kind)
    };
    for kind in [Read, Write] {
        assert_eq!(check(&Rmp::new(16 << 20), guest(), &shared(kind)), Ok(()));
        assert_eq!(
            check(&validated(PageSize::Size4K), guest(), &shared(kind)),
            fault(1 << 31)
        );
        assert_eq!(
            check(&validated(PageSize::Size2M), guest(), &shared(kind)),
            fault(1 << 31)
        );
    }
}

#[test]
fn shared_reaches_devices_beyond_memory() {
    let device = Access {
        spa: Spa(1 << 40),
        encryption: Encryption::Shared,
        ..private(Write)
    };
    assert_eq!(check(&Rmp::new(16 << 20), guest(), &device), Ok(()));
    let device = Access {
        encryption: Encryption::Private,
        ..device
    };
    assert_eq!(
        check(&Rmp::new(16 << 20), guest(), &device),
        fault(1 << 31 | 1 << 34)
    );
}

#[test]
fn a_large_shared_mapping_needs_512_pages_of_the_host() {
    let beside = Access {
        spa: spa_at(9),
        gpa: gpa_at(9),
        encryption: Encryption::Shared,
        ..private(Read)
    };
    let rmp = validated(PageSize::Size4K);
    assert_eq!(check(&rmp, guest(), &beside), Ok(()));
    let beside = Access {
        mapping: PageSize::Size2M,
        ..beside
    };
    assert_eq!(check(&rmp, guest(), &beside), fault(1 << 31));
}

#[test]
fn fetches_and_walks_are_private_whatever_the_c_bit() {
    let rmp = Rmp::new(16 << 20);
    for kind in [ExecuteUser, ExecuteSupervisor, PageWalk, PageWalkUpdate] {
        let access = Access {
            encryption: Encryption::Shared,
            ..private(kind)
        };
        assert_eq!(check(&rmp, guest(), &access), fault(1 << 31 | 1 << 34));
        assert_eq!(
            check(&validated(PageSize::Size4K), guest(), &access),
            Ok(())
        );
    }
}

#[test]
fn private_needs_owner_and_address() {
    let rmp = validated(PageSize::Size4K);
    let not_owned = fault(1 << 31 | 1 << 34);
    assert_eq!(check(&rmp, guest(), &private(Read)), Ok(()));
    assert_eq!(check(&rmp, other(), &private(Read)), not_owned);
    assert_eq!(
        check(
            &rmp,
            guest(),
            &Access {
                gpa: gpa_at(1),
                ..private(Read)
            }
        ),
        not_owned
    );
    assert_eq!(
        check(
            &rmp,
            guest(),
            &Access {
                spa: spa_at(1),
                ..private(Read)
            }
        ),
        not_owned
    );
    // The wrong address comes before the wrong size, and both before the #VC.
    let access = Access {
        gpa: gpa_at(1),
        mapping: PageSize::Size2M,
        ..private(Read)
    };
    assert_eq!(check(&given(PageSize::Size4K), guest(), &access), not_owned);
}

#[test]
fn the_address_counts_inside_a_large_page() {
    let rmp = validated(PageSize::Size2M);
    let inside = Access {
        spa: spa_at(77),
        gpa: gpa_at(77),
        ..private(Read)
    };
    assert_eq!(check(&rmp, guest(), &inside), Ok(()));
    let shifted = Access {
        spa: spa_at(77),
        gpa: gpa_at(78),
        ..private(Read)
    };
    assert_eq!(check(&rmp, guest(), &shifted), fault(1 << 31 | 1 << 34));
}

#[test]
fn a_mapping_is_no_larger_than_the_page() {
    let large = |kind| Access {
        mapping: PageSize::Size2M,
        ..private(kind)
    };
    let size = fault(1 << 31 | 1 << 34 | 1 << 35);
    assert_eq!(
        check(&validated(PageSize::Size4K), guest(), &large(Read)),
        size
    );
    assert_eq!(check(&given(PageSize::Size4K), guest(), &large(Read)), size);
    assert_eq!(
        check(&validated(PageSize::Size2M), guest(), &large(Read)),
        Ok(())
    );
    assert_eq!(
        check(&validated(PageSize::Size2M), guest(), &private(Read)),
        Ok(())
    );
}

#[test]
fn an_unvalidated_page_is_a_vc_before_rights_count() {
    let mut rmp = given(PageSize::Size4K);
    for vmpl in Vmpl::ALL {
        let access = Access {
            vmpl,
            ..private(Write)
        };
        assert_eq!(
            check(&rmp, guest(), &access),
            Err(AccessFault::NotValidated)
        );
    }
    rmp.modify(SPA, |e| e.set_validated(true));
    let access = Access {
        vmpl: Vmpl::VMPL2,
        ..private(Write)
    };
    assert_eq!(
        check(&rmp, guest(), &access),
        fault(1 << 31 | 1 << 34 | 1 << 36)
    );
}

#[test]
fn each_kind_needs_its_right_and_no_other() {
    for vmpl in Vmpl::ALL {
        for kind in KINDS {
            for bits in 0..16 {
                let rights = Rights::from_bits(bits).unwrap();
                let rmp = given_with(PageSize::Size4K, |e| {
                    e.set_validated(true);
                    Vmpl::ALL.iter().for_each(|v| e.set_rights(*v, !rights));
                    e.set_rights(vmpl, rights);
                });
                let needed = match kind {
                    Read | PageWalk => 1,
                    Write | PageWalkUpdate => 2,
                    ExecuteUser => 4,
                    ExecuteSupervisor => 8,
                };
                let result = check(
                    &rmp,
                    guest(),
                    &Access {
                        vmpl,
                        ..private(kind)
                    },
                );
                assert_eq!(
                    result.is_ok(),
                    bits & needed != 0,
                    "{vmpl} {kind:?} {rights:?}"
                );
            }
        }
    }
}

#[test]
fn a_vmsa_is_written_by_vmpl0_alone() {
    let mut rmp = vmsa_page();
    for vmpl in Vmpl::ALL {
        for kind in KINDS {
            let result = check(
                &rmp,
                guest(),
                &Access {
                    vmpl,
                    ..private(kind)
                },
            );
            let locked = vmpl != Vmpl::VMPL0 && matches!(kind, Write | PageWalkUpdate);
            let expected = if locked {
                fault(1 << 31 | 1 << 34)
            } else {
                Ok(())
            };
            assert_eq!(result, expected, "{vmpl} {kind:?}");
        }
    }
    rmp.modify(SPA, |e| e.set_rights(Vmpl::VMPL0, Rights::READ));
    assert_eq!(
        check(&rmp, guest(), &private(Write)),
        fault(1 << 31 | 1 << 34 | 1 << 36)
    );
}

fn mapping(
    rmp: &Rmp,
    spa: Spa,
    encryption: Encryption,
    vmpl: Vmpl,
) -> Result<Mappable, AccessFault> {
    rights_for_mapping(
        rmp,
        guest(),
        spa,
        Gpa::new(GPA.get() + spa.0 - SPA.0),
        encryption,
        vmpl,
    )
}

#[test]
fn a_mapping_says_size_and_rights() {
    let rmp = given_with(PageSize::Size2M, |e| {
        e.set_validated(true);
        e.set_rights(Vmpl::VMPL2, Rights::READ | Rights::EXECUTE_USER);
    });
    let ask = |vmpl| mapping(&rmp, spa_at(5), Encryption::Private, vmpl);
    let size = PageSize::Size2M;
    assert_eq!(
        ask(Vmpl::VMPL0),
        Ok(Mappable {
            size,
            rights: Rights::all()
        })
    );
    let rights = Rights::READ | Rights::EXECUTE_USER;
    assert_eq!(ask(Vmpl::VMPL2), Ok(Mappable { size, rights }));
    assert_eq!(
        ask(Vmpl::VMPL3).unwrap_err(),
        fault(1 << 31 | 1 << 34 | 1 << 36).unwrap_err()
    );
}

#[test]
fn a_mapping_of_a_vmsa_is_not_writable_below_vmpl0() {
    let ask = |vmpl| {
        mapping(&vmsa_page(), SPA, Encryption::Private, vmpl)
            .unwrap()
            .rights
    };
    assert_eq!(ask(Vmpl::VMPL0), Rights::all());
    assert_eq!(ask(Vmpl::VMPL1), Rights::all() - Rights::WRITE);
}

#[test]
fn a_shared_mapping_is_large_where_all_is_the_hosts() {
    let rmp = validated(PageSize::Size4K);
    let rights = Rights::READ | Rights::WRITE;
    let ask = |spa| mapping(&rmp, spa, Encryption::Shared, Vmpl::VMPL2);
    assert_eq!(
        ask(spa_at(512)),
        Ok(Mappable {
            size: PageSize::Size2M,
            rights
        })
    );
    assert_eq!(
        ask(spa_at(1)),
        Ok(Mappable {
            size: PageSize::Size4K,
            rights
        })
    );
    assert_eq!(ask(SPA), Err(AccessFault::Nested(NestedFault::RMP)));
    assert_eq!(
        ask(Spa(1 << 40)),
        Ok(Mappable {
            size: PageSize::Size4K,
            rights
        })
    );
}

/// The two ways to ask agree, in every state of a page.
#[test]
fn a_mapping_allows_exactly_what_the_check_allows() {
    let states: [fn(&mut RmpEntry); 5] = [
        |_| (),
        |e| e.set_validated(true),
        |e| {
            e.set_validated(true);
            e.set_rights(Vmpl::VMPL1, Rights::READ);
            e.set_rights(Vmpl::VMPL2, Rights::all());
            e.set_rights(Vmpl::VMPL3, Rights::WRITE | Rights::EXECUTE_SUPERVISOR);
        },
        |e| {
            e.set_validated(true);
            e.set_vmsa(true);
            e.set_rights(Vmpl::VMPL2, Rights::all());
        },
        |e| *e = RmpEntry::UNASSIGNED,
    ];
    for size in [PageSize::Size4K, PageSize::Size2M] {
        for state in states {
            let mut rmp = given_with(size, |_| ());
            let mut entry = rmp.entry(SPA);
            state(&mut entry);
            if entry.is_assigned() {
                rmp.modify(SPA, state);
            } else {
                rmpupdate(&mut rmp, SPA, RmpUpdate::to_host(size)).unwrap();
            }
            for vmpl in Vmpl::ALL {
                for encryption in [Encryption::Private, Encryption::Shared] {
                    for kind in KINDS {
                        agree(&rmp, vmpl, encryption, kind);
                    }
                }
            }
        }
    }
}

fn agree(rmp: &Rmp, vmpl: Vmpl, encryption: Encryption, kind: AccessKind) {
    if encryption == Encryption::Shared && kind.is_always_private() {
        return;
    }
    let answer = mapping(rmp, SPA, encryption, vmpl);
    let mapping = answer.map_or(PageSize::Size4K, |m| m.size);
    let checked = check(
        rmp,
        guest(),
        &Access {
            encryption,
            vmpl,
            mapping,
            ..private(kind)
        },
    );
    match answer {
        Ok(m) => assert_eq!(checked.is_ok(), m.rights.contains(kind.required())),
        Err(fault) => assert_eq!(checked, Err(fault)),
    }
}
