//! Copies to and from physical memory, and the machine's own frames.
//!
//! Everything here is by copy: no reference to guest memory or to a device
//! ever exists, because both can change at any time.

use core::sync::atomic::{AtomicU64, Ordering};

use super::layout::{DIRECT_MAP, DIRECT_MAP_SIZE, IMAGE_VMA, RESERVE};

static BASE: AtomicU64 = AtomicU64::new(0);

/// Records where the reset code put the machine.
pub(crate) fn init(base: u64) {
    BASE.store(base, Ordering::Relaxed);
}

/// First byte of the machine's own memory (its end is `RESERVE` later).
pub(crate) fn machine_base() -> u64 {
    BASE.load(Ordering::Relaxed)
}

/// Whether `[address, address + len)` touches the machine's own memory.
pub(crate) fn is_machine(address: u64, len: u64) -> bool {
    let base = machine_base();
    address < base + RESERVE && address.saturating_add(len) > base
}

/// The physical address of something in the machine's image or heap.
pub(crate) fn of<T: ?Sized>(pointer: *const T) -> u64 {
    (pointer.cast::<u8>() as u64)
        .wrapping_sub(IMAGE_VMA)
        .wrapping_add(machine_base())
}

/// The virtual address at which the direct map has a physical one.
pub(crate) fn virtual_address(address: u64) -> u64 {
    DIRECT_MAP + address
}

fn pointer(address: u64, len: u64) -> Option<*mut u8> {
    let end = address.checked_add(len)?;
    (end <= DIRECT_MAP_SIZE).then_some((DIRECT_MAP + address) as *mut u8)
}

/// An integer that is read or written in one access.
pub(crate) trait Word: Copy + Default {}
impl Word for u8 {}
impl Word for u16 {}
impl Word for u32 {}
impl Word for u64 {}

/// Reads one integer at `address`. Outside the direct map the answer is zero.
pub(crate) fn read<T: Word>(address: u64) -> T {
    match pointer(address, size_of::<T>() as u64) {
        // SAFETY: the direct map covers the address; a volatile read of an
        // integer is defined whatever the guest or a device does to it.
        Some(p) => unsafe { p.cast::<T>().read_unaligned_volatile() },
        None => T::default(),
    }
}

/// Writes one integer at `address`; outside the direct map nothing happens.
pub(crate) fn write<T: Word>(address: u64, value: T) {
    if let Some(p) = pointer(address, size_of::<T>() as u64) {
        // SAFETY: as for `read`. Callers write guest memory, devices or frames
        // that the machine handed out for the purpose, never its own objects.
        unsafe { p.cast::<T>().write_unaligned_volatile(value) }
    }
}

/// Sets bits of the aligned word at `address`, which was `known` a moment ago.
/// Another processor may change the word meanwhile, and its change stays.
pub(crate) fn set_bits(address: u64, known: u64, bits: u64) {
    if known & bits == bits || !address.is_multiple_of(8) {
        return;
    }
    if let Some(p) = pointer(address, 8) {
        // SAFETY: the direct map covers the address, it is aligned, and every
        // processor's access to it is atomic.
        unsafe { AtomicU64::from_ptr(p.cast()) }.fetch_or(bits, Ordering::Relaxed);
    }
}

/// Copies `buffer.len()` bytes from `address`.
pub(crate) fn read_bytes(address: u64, buffer: &mut [u8]) {
    if let Some(p) = pointer(address, buffer.len() as u64) {
        // SAFETY: the source is in the direct map, the target is ours, and
        // guest memory never overlaps a live object of the machine.
        unsafe { core::ptr::copy_nonoverlapping(p, buffer.as_mut_ptr(), buffer.len()) }
    }
}

/// Copies little-endian words from `address`.
pub(crate) fn read_words(address: u64, words: &mut [u64]) {
    if let Some(p) = pointer(address, size_of_val(words) as u64) {
        // SAFETY: as for `read_bytes`, and any bytes are words.
        unsafe { core::ptr::copy_nonoverlapping(p.cast(), words.as_mut_ptr(), words.len()) }
    }
}

/// Copies `bytes` to `address`.
pub(crate) fn write_bytes(address: u64, bytes: &[u8]) {
    if let Some(p) = pointer(address, bytes.len() as u64) {
        // SAFETY: as for `read_bytes`.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), p, bytes.len()) }
    }
}

/// Fills `len` bytes at `address`.
pub(crate) fn fill(address: u64, len: u64, value: u8) {
    if let Some(p) = pointer(address, len) {
        // SAFETY: as for `write`.
        unsafe { core::ptr::write_bytes(p, value, len as usize) }
    }
}

trait UnalignedVolatile<T> {
    unsafe fn read_unaligned_volatile(self) -> T;
    unsafe fn write_unaligned_volatile(self, value: T);
}

impl<T: Word> UnalignedVolatile<T> for *mut T {
    unsafe fn read_unaligned_volatile(self) -> T {
        if self.is_aligned() {
            // SAFETY: aligned; the caller vouches for the rest.
            unsafe { self.read_volatile() }
        } else {
            // SAFETY: the caller vouches that the bytes are mapped.
            unsafe { self.read_unaligned() }
        }
    }

    unsafe fn write_unaligned_volatile(self, value: T) {
        if self.is_aligned() {
            // SAFETY: aligned; the caller vouches for the rest.
            unsafe { self.write_volatile(value) }
        } else {
            // SAFETY: the caller vouches that the bytes are mapped.
            unsafe { self.write_unaligned(value) }
        }
    }
}
