use proptest::prelude::*;

use super::*;
use crate::testing::cpuid_page;

fn table() -> CpuidTable {
    CpuidTable::new(cpuid_page()).unwrap()
}

#[test]
fn cpuid_is_served_from_the_page() {
    let served = decide(&table(), 0x72, [0x0f, 0xa2], 0, 0).unwrap();
    assert_eq!(served.registers.eax, 0xb);
    assert_eq!(served.length, 2);
    let unknown = decide(&table(), 0x72, [0x0f, 0xa2], 0x7fff_ffff, 9).unwrap();
    assert_eq!(unknown.registers, CpuidRegisters::default());
}

#[test]
fn threat_10_an_unvalidated_page_is_the_end_before_anything_is_decoded() {
    let end = Fatal::new(RampartReason::UnvalidatedAccess);
    assert_eq!(check_code(0x404), Err(end));
    assert_eq!(decide(&table(), 0x404, [0x0f, 0xa2], 0, 0), Err(end));
}

#[test]
fn threat_28_the_opcode_has_to_match_the_exit_code() {
    let end = Fatal::with_detail(RampartReason::ForgedVc, 0x72);
    for opcode in [
        [0x0f, 0x01],
        [0x90, 0x90],
        [0xa2, 0x0f],
        [0x0f, 0xa3],
        [0xf3, 0x0f],
    ] {
        assert_eq!(decide(&table(), 0x72, opcode, 0, 0), Err(end));
    }
}

#[test]
fn threat_28_no_other_exit_is_served() {
    for code in [
        0x7b,
        0x7c,
        0x81,
        0x400,
        0x403,
        0x6e,
        0x8000_0001,
        0x72 | 1 << 32,
        u64::MAX,
    ] {
        let end = Fatal::with_detail(RampartReason::UnexpectedException, code);
        assert_eq!(check_code(code), Err(end));
        assert_eq!(decide(&table(), code, [0x0f, 0xa2], 0, 0), Err(end));
    }
}

proptest! {
    #[test]
    fn only_cpuid_is_ever_served(code in any::<u64>(), opcode in any::<[u8; 2]>(), leaf: u32) {
        let served = decide(&table(), code, opcode, leaf, 0).is_ok();
        prop_assert_eq!(served, code == 0x72 && opcode == [0x0f, 0xa2]);
    }
}
