//! Port I/O.

use core::arch::asm;

/// Reads `size` bytes (1, 2 or 4) from `port`.
pub(crate) fn read(port: u16, size: u8) -> u32 {
    let value: u32;
    // SAFETY: port I/O does not touch the machine's memory. Devices that could
    // write to it by DMA are driven only with buffers that their driver owns.
    unsafe {
        match size {
            1 => asm!("xor eax, eax", "in al, dx", in("dx") port, out("eax") value,
                      options(nomem, nostack)),
            2 => asm!("xor eax, eax", "in ax, dx", in("dx") port, out("eax") value,
                      options(nomem, nostack)),
            _ => asm!("in eax, dx", in("dx") port, out("eax") value,
                      options(nomem, nostack, preserves_flags)),
        }
    }
    value
}

/// Writes the low `size` bytes (1, 2 or 4) of `value` to `port`.
pub(crate) fn write(port: u16, size: u8, value: u32) {
    // SAFETY: as for `read`. Not `nomem`: a write can start a DMA transfer that
    // reads or writes a buffer, so the compiler must have stored it before.
    unsafe {
        match size {
            1 => asm!("out dx, al", in("dx") port, in("eax") value,
                      options(nostack, preserves_flags)),
            2 => asm!("out dx, ax", in("dx") port, in("eax") value,
                      options(nostack, preserves_flags)),
            _ => asm!("out dx, eax", in("dx") port, in("eax") value,
                      options(nostack, preserves_flags)),
        }
    }
}

/// Writes one byte to `port`.
pub(crate) fn write_u8(port: u16, value: u8) {
    write(port, 1, u32::from(value));
}
