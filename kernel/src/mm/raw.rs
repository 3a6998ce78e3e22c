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

/// Reads a quadword, once.
///
/// # Safety
/// `at` must be aligned and mapped readable.
pub(crate) unsafe fn load(at: *const u64) -> u64 {
    let value;
    // SAFETY: the caller vouches for the address.
    unsafe {
        asm!("mov {value}, qword ptr [{at}]", at = in(reg) at, value = out(reg) value,
             options(nostack, preserves_flags, readonly));
    }
    value
}

/// Writes a quadword, once.
///
/// # Safety
/// `at` must be aligned and mapped writable and no Rust reference to it may exist.
pub(crate) unsafe fn store(at: *mut u64, value: u64) {
    // SAFETY: the caller vouches for the address.
    unsafe {
        asm!("mov qword ptr [{at}], {value}", at = in(reg) at, value = in(reg) value,
             options(nostack, preserves_flags));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_and_not_a_byte_more() {
        let from: Vec<u8> = (1..=64).collect();
        for len in 0..=40 {
            let mut to = [0u8; 64];
            // SAFETY: both buffers are longer than `len`.
            unsafe { copy(to.as_mut_ptr(), from.as_ptr(), len) };
            assert_eq!(to[..len], from[..len]);
            assert!(to[len..].iter().all(|byte| *byte == 0), "{len}");
        }
    }

    #[test]
    fn zeroing_stops_where_it_should() {
        let mut bytes = [7u8; 24];
        // SAFETY: the buffer is longer than 16 bytes.
        unsafe { zero(bytes.as_mut_ptr(), 16) };
        assert_eq!(bytes, [[0; 8], [0; 8], [7; 8]].concat()[..]);
    }

    #[test]
    fn byte_operations_return_what_was_there() {
        let mut byte = 0b1010_0110u8;
        let at = &raw mut byte;
        // SAFETY: a local byte.
        unsafe {
            assert_eq!(exchange(at, 0b1111_0000), 0b1010_0110);
            assert_eq!(modify(at, 0b0011_1111, 0b0000_0001), 0b1111_0000);
            assert_eq!(at.read(), 0b0011_0001);
            touch(at);
        }
    }
}
