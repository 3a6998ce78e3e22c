use super::*;
use crate::fault::NestedFault;
use crate::testing::*;
use crate::types::Spa;

const VA_2M: u64 = 0x7fff_ffe0_0000;

fn kernel() -> Caller {
    Caller::kernel(Vmpl::VMPL0)
}

fn done(code: RmpResult, carry: bool) -> Outcome<PvalidateDone> {
    Outcome::Complete(PvalidateDone { code, carry })
}

fn run(rmp: &mut Rmp, at: Translation, size: PageSize, validate: bool) -> Outcome<PvalidateDone> {
    Pvalidate::decode(kernel(), VA_2M, size.encoding() as u32, u32::from(validate))
        .unwrap()
        .execute(rmp, at)
}

#[test]
fn outside_snp_there_is_no_such_instruction() {
    let caller = Caller {
        snp: false,
        cpl: 3,
        vmpl: Vmpl::VMPL2,
    };
    assert_eq!(
        Pvalidate::decode(caller, 1, 1, 1),
        Err(Outcome::InvalidOpcode)
    );
}

#[test]
fn only_a_kernel_at_vmpl0_may() {
    for vmpl in Vmpl::ALL {
        for cpl in 0..4 {
            let caller = Caller {
                cpl,
                vmpl,
                snp: true,
            };
            // Misaligned, too: the level is checked first.
            let end = Pvalidate::decode(caller, 0x1000, 1, 1);
            let expected = if cpl == 0 && vmpl == Vmpl::VMPL0 {
                done(RmpResult::FAIL_INPUT, false)
            } else {
                Outcome::GeneralProtection
            };
            assert_eq!(end, Err(expected));
        }
    }
}

#[test]
fn a_large_page_begins_at_a_large_boundary() {
    for va in [VA_2M + 0x1000, VA_2M + 0x10_0000, 0x1000] {
        let end = Pvalidate::decode(kernel(), va, 1, 1);
        assert_eq!(end, Err(done(RmpResult::FAIL_INPUT, false)));
        assert!(Pvalidate::decode(kernel(), va, 0, 1).is_ok());
    }
    let op = Pvalidate::decode(kernel(), VA_2M, 1, 0).unwrap();
    assert_eq!((op.address(), op.size()), (VA_2M, PageSize::Size2M));
    let op = Pvalidate::decode(kernel(), VA_2M + 0x1fff, 0, 0).unwrap();
    assert_eq!(
        (op.address(), op.size()),
        (VA_2M + 0x1000, PageSize::Size4K)
    );
}

#[test]
fn a_page_of_somebody_else_is_the_hosts_to_explain() {
    let foreign = Outcome::Nested(NestedFault::RMP | NestedFault::ENC);
    for size in [PageSize::Size4K, PageSize::Size2M] {
        let mut rmp = given(size);
        let wrong = [
            Translation {
                asid: other(),
                ..here()
            },
            Translation {
                gpa: gpa_at(1),
                ..here()
            },
            Translation {
                spa: Spa(0),
                ..here()
            },
        ];
        for at in wrong {
            for asked in [PageSize::Size4K, PageSize::Size2M] {
                assert_eq!(run(&mut rmp, at, asked, true), foreign);
            }
        }
        assert!(!rmp.entry(SPA).is_validated());
    }
}

#[test]
fn a_small_request_on_a_large_page_waits_for_the_host() {
    let mut rmp = given(PageSize::Size2M);
    let end = run(&mut rmp, here(), PageSize::Size4K, true);
    let size = NestedFault::RMP | NestedFault::ENC | NestedFault::SIZE;
    assert_eq!(end, Outcome::Nested(size));
    assert_eq!(size.bits(), 1 << 31 | 1 << 34 | 1 << 35);
    assert!(!rmp.entry(SPA).is_validated());
    crate::host::psmash(&mut rmp, SPA).unwrap();
    assert_eq!(
        run(&mut rmp, here(), PageSize::Size4K, true),
        done(RmpResult::SUCCESS, false)
    );
    assert!(rmp.entry(SPA).is_validated());
    assert!(!rmp.entry(spa_at(1)).is_validated());
}

#[test]
fn a_large_request_on_small_pages_fails() {
    let mut rmp = given(PageSize::Size4K);
    let end = run(&mut rmp, here(), PageSize::Size2M, true);
    assert_eq!(end, done(RmpResult::FAIL_SIZEMISMATCH, false));
    assert!(!rmp.entry(SPA).is_validated());
}

#[test]
fn a_large_request_inside_a_large_page_fails() {
    let mut rmp = given(PageSize::Size2M);
    let at = Translation {
        spa: spa_at(4),
        gpa: gpa_at(4),
        ..here()
    };
    let end = run(&mut rmp, at, PageSize::Size2M, true);
    assert_eq!(end, done(RmpResult::FAIL_SIZEMISMATCH, false));
    assert!(!rmp.entry(SPA).is_validated());
}

#[test]
fn a_vmsa_in_use_does_not_change() {
    let mut rmp = vmsa_page();
    rmp.modify(SPA, |e| e.set_in_use(true));
    let end = run(&mut rmp, here(), PageSize::Size4K, false);
    assert_eq!(end, done(RmpResult::FAIL_INUSE, false));
    assert!(rmp.entry(SPA).is_validated());
}

#[test]
fn the_carry_flag_says_that_nothing_changed() {
    for size in [PageSize::Size4K, PageSize::Size2M] {
        let mut rmp = given(size);
        for (validate, carry) in [
            (false, true),
            (true, false),
            (true, true),
            (false, false),
            (false, true),
        ] {
            let end = run(&mut rmp, here(), size, validate);
            assert_eq!(end, done(RmpResult::SUCCESS, carry));
            assert_eq!(rmp.entry(SPA).is_validated(), validate);
        }
    }
}

#[test]
fn rights_stay_and_do_not_matter() {
    let mut rmp = given_with(PageSize::Size4K, |e| {
        e.set_rights(Vmpl::VMPL0, RW);
        e.set_rights(Vmpl::VMPL2, RW);
    });
    assert_eq!(
        run(&mut rmp, here(), PageSize::Size4K, true),
        done(RmpResult::SUCCESS, false)
    );
    assert_eq!(rmp.entry(SPA).rights(Vmpl::VMPL2), RW);
}
