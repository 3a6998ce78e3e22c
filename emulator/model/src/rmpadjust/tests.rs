use super::*;
use crate::fault::NestedFault;
use crate::testing::*;
use crate::types::Spa;

const VA_2M: u64 = 0x7fff_ffe0_0000;

fn attributes(target: Vmpl, rights: Rights) -> RmpAttributes {
    RmpAttributes::new(target, rights, false)
}

fn decode(own: Vmpl, size: PageSize, rdx: RmpAttributes) -> Rmpadjust {
    Rmpadjust::decode(Caller::kernel(own), VA_2M, size.encoding(), rdx.bits()).unwrap()
}

fn run(rmp: &mut Rmp, own: Vmpl, size: PageSize, rdx: RmpAttributes) -> Outcome<RmpResult> {
    decode(own, size, rdx).execute(rmp, here())
}

/// At VMPL0, 4 KiB.
fn run_0(rmp: &mut Rmp, rdx: RmpAttributes) -> Outcome<RmpResult> {
    run(rmp, Vmpl::VMPL0, PageSize::Size4K, rdx)
}

fn code(code: RmpResult) -> Outcome<RmpResult> {
    Outcome::Complete(code)
}

#[test]
fn outside_snp_there_is_no_such_instruction() {
    let caller = Caller {
        snp: false,
        cpl: 3,
        vmpl: Vmpl::VMPL2,
    };
    assert_eq!(
        Rmpadjust::decode(caller, 1, 1, !0),
        Err(Outcome::InvalidOpcode)
    );
}

#[test]
fn only_a_kernel_may() {
    for cpl in 1..4 {
        let caller = Caller {
            cpl,
            vmpl: Vmpl::VMPL0,
            snp: true,
        };
        assert_eq!(
            Rmpadjust::decode(caller, 1, 1, !0),
            Err(Outcome::GeneralProtection)
        );
    }
}

#[test]
fn operands_are_checked_before_the_walk() {
    let bad = Err(code(RmpResult::FAIL_INPUT));
    let decode = |va, rcx, rdx| Rmpadjust::decode(Caller::kernel(Vmpl::VMPL0), va, rcx, rdx);
    assert_eq!(decode(VA_2M + 0x1000, 1, 2), bad);
    assert!(decode(VA_2M + 0x1000, 0, 2).is_ok());
    assert_eq!(decode(VA_2M, 2, 2), bad);
    assert_eq!(decode(VA_2M, 1 << 63, 2), bad);
    assert_eq!(decode(VA_2M, 0, 4), bad);
    assert_eq!(decode(VA_2M, 0, 0xff), bad);
    for bit in 12..64 {
        assert_eq!(
            decode(VA_2M, 0, 2 | 1 << bit).is_err(),
            bit != 16,
            "bit {bit}"
        );
    }
}

#[test]
fn a_page_of_somebody_else_is_the_hosts_to_explain() {
    let foreign = Outcome::Nested(NestedFault::RMP | NestedFault::ENC);
    let mut rmp = given(PageSize::Size2M);
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
        for size in [PageSize::Size4K, PageSize::Size2M] {
            let op = decode(Vmpl::VMPL0, size, attributes(Vmpl::VMPL0, RW));
            assert_eq!(op.execute(&mut rmp, at), foreign);
        }
    }
}

#[test]
fn the_size_is_checked_before_validation() {
    let rdx = attributes(Vmpl::VMPL0, RW);
    let end = run(
        &mut given(PageSize::Size2M),
        Vmpl::VMPL0,
        PageSize::Size4K,
        rdx,
    );
    assert_eq!(
        end,
        Outcome::Nested(NestedFault::RMP | NestedFault::ENC | NestedFault::SIZE)
    );
    let end = run(
        &mut given(PageSize::Size4K),
        Vmpl::VMPL0,
        PageSize::Size2M,
        rdx,
    );
    assert_eq!(end, code(RmpResult::FAIL_SIZEMISMATCH));
}

#[test]
fn validation_is_checked_before_permission() {
    let end = run_0(&mut given(PageSize::Size4K), attributes(Vmpl::VMPL0, RW));
    assert_eq!(end, Outcome::NotValidated);
}

#[test]
fn only_a_less_privileged_level_can_be_the_target() {
    for own in Vmpl::ALL {
        for target in Vmpl::ALL {
            let mut rmp = validated(PageSize::Size4K);
            let before = rmp.entry(SPA);
            let end = run(
                &mut rmp,
                own,
                PageSize::Size4K,
                attributes(target, Rights::empty()),
            );
            let expected = if target > own {
                RmpResult::SUCCESS
            } else {
                RmpResult::FAIL_PERMISSION
            };
            assert_eq!(end, code(expected), "{own} to {target}");
            assert_eq!(rmp.entry(SPA), before);
        }
    }
}

#[test]
fn nobody_gives_what_he_has_not() {
    for own in 0..16 {
        for given in 0..16 {
            let mut rmp = given_with(PageSize::Size4K, |e| {
                e.set_validated(true);
                e.set_rights(Vmpl::VMPL1, Rights::from_bits(own).unwrap());
            });
            let rdx = attributes(Vmpl::VMPL3, Rights::from_bits(given).unwrap());
            let end = run(&mut rmp, Vmpl::VMPL1, PageSize::Size4K, rdx);
            let may = given & !own == 0;
            let expected = if may {
                RmpResult::SUCCESS
            } else {
                RmpResult::FAIL_PERMISSION
            };
            assert_eq!(end, code(expected));
            let now = if may { given } else { 0 };
            assert_eq!(rmp.entry(SPA).rights(Vmpl::VMPL3).bits(), now);
        }
    }
}

#[test]
fn permission_is_checked_before_use() {
    let mut rmp = vmsa_page();
    rmp.modify(SPA, |e| e.set_in_use(true));
    let before = rmp.entry(SPA);
    let end = run_0(&mut rmp, attributes(Vmpl::VMPL0, RW));
    assert_eq!(end, code(RmpResult::FAIL_PERMISSION));
    for vmsa in [false, true] {
        let rdx = RmpAttributes::new(Vmpl::VMPL1, Rights::empty(), vmsa);
        assert_eq!(run_0(&mut rmp, rdx), code(RmpResult::FAIL_INUSE));
    }
    assert_eq!(rmp.entry(SPA), before);
}

#[test]
fn a_vmsa_has_4_kib() {
    let mut rmp = validated(PageSize::Size2M);
    let rdx = RmpAttributes::new(Vmpl::VMPL1, Rights::empty(), true);
    let end = run(&mut rmp, Vmpl::VMPL0, PageSize::Size2M, rdx);
    assert_eq!(end, code(RmpResult::FAIL_INPUT));
    assert!(!rmp.entry(SPA).is_vmsa());
}

#[test]
fn success_replaces_the_rights_of_one_level_and_the_vmsa_bit() {
    for size in [PageSize::Size4K, PageSize::Size2M] {
        let mut rmp = validated(size);
        let mut run = |target, rights| {
            let end = run(&mut rmp, Vmpl::VMPL0, size, attributes(target, rights));
            assert_eq!(end, code(RmpResult::SUCCESS));
            Vmpl::ALL.map(|v| rmp.entry(SPA).rights(v))
        };
        let (all, none) = (Rights::all(), Rights::empty());
        assert_eq!(run(Vmpl::VMPL2, RW), [all, none, RW, none]);
        assert_eq!(run(Vmpl::VMPL1, all), [all, all, RW, none]);
        assert_eq!(
            run(Vmpl::VMPL2, Rights::READ),
            [all, all, Rights::READ, none]
        );
    }
    let mut rmp = validated(PageSize::Size4K);
    for vmsa in [true, true, false] {
        let rdx = RmpAttributes::new(Vmpl::VMPL1, Rights::empty(), vmsa);
        assert_eq!(run_0(&mut rmp, rdx), code(RmpResult::SUCCESS));
        assert_eq!(rmp.entry(SPA).is_vmsa(), vmsa);
    }
}

#[test]
fn below_vmpl0_the_vmsa_bit_is_out_of_reach() {
    for was in [false, true] {
        for asked in [false, true] {
            let mut rmp = vmsa_page();
            rmp.modify(SPA, |e| e.set_vmsa(was));
            let rdx = RmpAttributes::new(Vmpl::VMPL3, RW, asked);
            let end = run(&mut rmp, Vmpl::VMPL2, PageSize::Size4K, rdx);
            assert_eq!(end, code(RmpResult::SUCCESS));
            assert_eq!(rmp.entry(SPA).is_vmsa(), was);
            assert_eq!(rmp.entry(SPA).rights(Vmpl::VMPL3), RW);
        }
    }
}

/// How Linux finds out whether it is at VMPL0.
#[test]
fn the_probe_for_vmpl0() {
    for own in Vmpl::ALL {
        let end = run(
            &mut validated(PageSize::Size4K),
            own,
            PageSize::Size4K,
            attributes(Vmpl::VMPL1, Rights::empty()),
        );
        let expected = if own == Vmpl::VMPL0 {
            RmpResult::SUCCESS
        } else {
            RmpResult::FAIL_PERMISSION
        };
        assert_eq!(end, code(expected));
    }
}
