use protocols::snp::{CpuidEntry, LEAF_MEMORY_ENCRYPTION};

use super::*;
use crate::testing::{cpuid_page, registers};

fn error(page: CpuidPage) -> Option<Fatal> {
    CpuidTable::new(page).err()
}

fn with_encryption(eax: u32, ebx: u32) -> CpuidPage {
    let mut page = cpuid_page();
    page.functions[3] = CpuidEntry::new(LEAF_MEMORY_ENCRYPTION, 0, registers(eax, ebx, 0, 0));
    page
}

#[test]
fn the_page_says_what_the_firmware_needs() {
    let table = CpuidTable::new(cpuid_page()).unwrap();
    assert_eq!(table.c_bit(), 51);
    assert_eq!(table.physical_limit(), 1 << 48);
    assert!(table.needs_eviction());
    assert_eq!(table.apic_id(), 5);
    assert_eq!(table.cpuid(0, 0), registers(0xb, 1, 2, 3));
    let coherent = CpuidTable::new(with_encryption(0x3a, 51 | 1 << 31)).unwrap();
    assert!(!coherent.needs_eviction());
}

#[test]
fn threat_9_invlpgb_is_there_only_if_the_page_says_so() {
    assert!(!CpuidTable::new(cpuid_page()).unwrap().has_invlpgb());
    let mut page = cpuid_page();
    let widths = page.address_widths().unwrap().0;
    let with = registers(widths.eax, widths.ebx | 1 << 3, widths.ecx, widths.edx);
    for entry in &mut page.functions {
        if entry.eax_in == LEAF_ADDRESS_WIDTHS {
            *entry = CpuidEntry::new(LEAF_ADDRESS_WIDTHS, 0, with);
        }
    }
    assert!(CpuidTable::new(page).unwrap().has_invlpgb());
}

#[test]
fn an_x2apic_id_wins_over_the_eight_bits_of_leaf_1() {
    let mut page = cpuid_page();
    page.functions[4] = CpuidEntry::new(0xb, 0, registers(0, 1, 0, 0x1234));
    page.count = 5;
    assert_eq!(CpuidTable::new(page).unwrap().apic_id(), 0x1234);
    // A leaf of zeros is none.
    let mut page = cpuid_page();
    page.functions[4] = CpuidEntry::new(0xb, 0, registers(0, 0, 0, 0x1234));
    page.count = 5;
    assert_eq!(CpuidTable::new(page).unwrap().apic_id(), 5);
}

#[test]
fn threat_23_a_count_above_64_ends_the_machine() {
    for count in [65, 1000, u32::MAX] {
        let mut page = cpuid_page();
        page.count = count;
        let detail = u64::from(count);
        let end = Fatal::with_detail(RampartReason::CpuidPageMalformed, detail);
        assert_eq!(error(page), Some(end));
    }
}

#[test]
fn threat_23_an_unknown_leaf_is_zeros_and_entries_behind_the_count_are_none() {
    let mut page = cpuid_page();
    page.functions[4] = CpuidEntry::new(0x1234, 0, registers(1, 1, 1, 1));
    let table = CpuidTable::new(page).unwrap();
    assert_eq!(table.cpuid(0x1234, 0), CpuidRegisters::default());
    assert_eq!(table.cpuid(0, 1), CpuidRegisters::default());
    assert_eq!(table.cpuid(u32::MAX, u32::MAX), CpuidRegisters::default());
}

#[test]
fn threat_23_order_does_not_matter() {
    let mut page = cpuid_page();
    page.functions[..4].reverse();
    assert_eq!(CpuidTable::new(page).unwrap().c_bit(), 51);
}

#[test]
fn threat_12_a_page_without_a_usable_c_bit_ends_the_machine() {
    for (eax, ebx) in [
        (0x3a, 0),
        (0x3a, 31),
        (0x3a, 63),
        (0, 51),
        (0x2a, 51),
        (0x32, 51),
    ] {
        assert!(error(with_encryption(eax, ebx)).is_some(), "{eax:#x} {ebx}");
    }
    let mut page = cpuid_page();
    page.count = 3;
    assert!(error(page).is_some());
}

#[test]
fn threat_14_the_limit_is_never_above_the_c_bit() {
    let mut page = with_encryption(0x3a, 40);
    page.functions[2] = CpuidEntry::new(LEAF_ADDRESS_WIDTHS, 0, registers(0x3034, 0, 0, 0));
    assert_eq!(CpuidTable::new(page).unwrap().physical_limit(), 1 << 40);
    for bits in [0, 31, 53, 255] {
        let mut page = cpuid_page();
        page.functions[2] = CpuidEntry::new(LEAF_ADDRESS_WIDTHS, 0, registers(bits, 0, 0, 0));
        assert!(error(page).is_some(), "{bits}");
    }
}
