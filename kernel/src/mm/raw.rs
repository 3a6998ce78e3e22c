//! Touching memory that someone else may change at the same time: by instruction, never by
//! reference. Everything that reaches guest or shared memory ends here.
//!
//! Written in assembly because Rust has no volatile copy: each byte is read or written exactly
//! once, and the compiler can neither merge nor repeat it (threat 16).

use core::arch::asm;

/// Copies `len` bytes, each read once and written once, upwards, eight at a time.
///
/// # Safety
/// `from` must be mapped readable and `to` mapped writable for `len` bytes; neither may overlap
/// memory that Rust holds a reference to, other than the caller's own buffer.
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller vouches for both ranges; the direction flag is clear by the ABI.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {rest:e}",
            "rep movsb",
            rest = in(reg) len % 8,
            inout("rcx") len / 8 => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Fills `len` bytes with zeros; `len` is a multiple of 8.
///
/// # Safety
/// `to` must be mapped writable for `len` bytes and no Rust reference to it may exist.
pub(crate) unsafe fn zero(to: *mut u8, len: usize) {
    // SAFETY: the caller vouches for the range; the direction flag is clear by the ABI.
    unsafe {
        asm!("rep stosq", in("rax") 0u64, inout("rcx") len / 8 => _, inout("rdi") to => _,
             options(nostack, preserves_flags));
    }
}

/// Reads one byte and forgets it.
///
/// # Safety
/// `at` must be mapped readable.
pub(crate) unsafe fn touch(at: *const u8) {
    // SAFETY: the caller vouches for the address.
    unsafe {
        asm!("mov {scratch}, byte ptr [{at}]", at = in(reg) at, scratch = out(reg_byte) _,
             options(nostack, preserves_flags, readonly));
    }
}

/// Atomically stores `new` and returns what was there.
///
/// # Safety
/// `at` must be mapped writable and no Rust reference to it may exist.
pub(crate) unsafe fn exchange(at: *mut u8, new: u8) -> u8 {
    let mut value = new;
    // SAFETY: the caller vouches for the address; XCHG with memory is atomic.
    unsafe {
        asm!("xchg {value}, byte ptr [{at}]", at = in(reg) at, value = inout(reg_byte) value,
             options(nostack, preserves_flags));
    }
    value
}

/// Atomically replaces the byte by (byte AND `keep`) OR `set` and returns what was there.
///
/// # Safety
/// `at` must be mapped writable and no Rust reference to it may exist.
pub(crate) unsafe fn modify(at: *mut u8, keep: u8, set: u8) -> u8 {
    let old: u8;
    // SAFETY: the caller vouches for the address. LOCK CMPXCHG compares with AL and loads AL with
    // the current value when it differs, so the loop ends with AL = what was replaced.
    unsafe {
        asm!(
            "mov al, byte ptr [{at}]",
            "2:",
            "mov {new}, al",
            "and {new}, {keep}",
            "or {new}, {set}",
            "lock cmpxchg byte ptr [{at}], {new}",
            "jne 2b",
            at = in(reg) at,
            keep = in(reg_byte) keep,
            set = in(reg_byte) set,
            new = out(reg_byte) _,
            out("al") old,
            options(nostack),
        );
    }
    old
}
