//! Memory by its guest physical address, which is its linear address: pages of the launch, the
//! calling area, the GHCB, and RAM for the checks. Never the program's own.

use core::sync::atomic::{AtomicU8, Ordering};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::layout::{
    MAPPED_END, PAGE_TABLES, PAGE_TABLES_END, PROGRAM, PROGRAM_END, STACK_SIZE, STACKS, STACKS_END,
};

/// Panics unless the bytes are mapped and belong to neither the program nor the page tables: what
/// makes the accesses below sound.
pub(crate) fn assert_foreign(gpa: u64, len: usize) {
    let end = gpa.saturating_add(len as u64);
    let apart = |from, to| end <= from || to <= gpa;
    let foreign = end <= MAPPED_END
        && apart(PROGRAM, PROGRAM_END)
        && apart(PAGE_TABLES, PAGE_TABLES_END)
        && apart(STACKS, STACKS_END)
        && gpa != 0;
    assert!(foreign, "{gpa:#x} is the program's own or not mapped");
}

/// Copies a value out of memory that the host or the SVSM may change at any time.
pub(crate) fn read<T: FromBytes + IntoBytes>(gpa: u64) -> T {
    let mut value = T::new_zeroed();
    read_into(gpa, &mut value);
    value
}

/// The same into a place that is there already: a page by value would be on the stack twice.
pub(crate) fn read_into<T: FromBytes + IntoBytes>(gpa: u64, value: &mut T) {
    let bytes = value.as_mut_bytes();
    assert_foreign(gpa, bytes.len());
    for (address, byte) in (gpa..).zip(bytes) {
        // SAFETY: mapped, and no object of the program lies there.
        *byte = unsafe { (address as *const u8).read_volatile() };
    }
}

/// Copies a value into such memory.
pub(crate) fn write<T: IntoBytes + Immutable + ?Sized>(gpa: u64, value: &T) {
    let bytes = value.as_bytes();
    assert_foreign(gpa, bytes.len());
    for (address, byte) in (gpa..).zip(bytes) {
        // SAFETY: mapped, and no object of the program lies there.
        unsafe { (address as *mut u8).write_volatile(*byte) };
    }
}

/// Sets each quadword of a range, whose bounds are multiples of 8.
pub(crate) fn fill(gpa: u64, len: u64, value: u64) {
    assert_foreign(gpa, len as usize);
    for address in (gpa..gpa + len).step_by(8) {
        // SAFETY: mapped, and no object of the program lies there.
        unsafe { (address as *mut u64).write_volatile(value) };
    }
}

/// The first quadword of a range that is not `value`, if there is one.
pub(crate) fn find_other(gpa: u64, len: u64, value: u64) -> Option<u64> {
    assert_foreign(gpa, len as usize);
    (gpa..gpa + len).step_by(8).find_map(|address| {
        // SAFETY: mapped, and no object of the program lies there.
        let found = unsafe { (address as *const u64).read_volatile() };
        (found != value).then_some(found)
    })
}

/// Sets a byte and gives what it was, at once.
pub(crate) fn exchange_byte(gpa: u64, value: u8) -> u8 {
    assert_foreign(gpa, 1);
    // SAFETY: mapped, and no object of the program lies there.
    unsafe { AtomicU8::from_ptr(gpa as *mut u8) }.swap(value, Ordering::SeqCst)
}

unsafe extern "C" {
    #[link_name = "__stack_top_1"]
    static STACK_TOP_1: u8;
    #[link_name = "__stack_top_2"]
    static STACK_TOP_2: u8;
}

/// Ends of the two stacks. The VMSA of the launch runs on the first.
pub(crate) fn stacks() -> [u64; 2] {
    [
        (&raw const STACK_TOP_1).addr() as u64,
        (&raw const STACK_TOP_2).addr() as u64,
    ]
}

/// Ends of the two stacks of another vCPU.
pub(crate) fn stacks_of(vcpu: usize) -> [u64; 2] {
    [0, 1].map(|life| STACKS + (2 * vcpu as u64 + life + 1) * STACK_SIZE)
}
