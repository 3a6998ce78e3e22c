//! The floating-point state of a guest level, moved at VMPL switches only.
//!
//! The machine is built soft-float, so the registers keep the running level's
//! values while the machine works.

use core::arch::asm;

/// The FXSAVE image (APM volume 2, section 11.4.4): 512 bytes, 16-aligned.
#[derive(Clone, PartialEq, Eq)]
#[repr(C, align(16))]
pub(crate) struct FxImage(pub(crate) [u8; 512]);

impl FxImage {
    pub(crate) const fn zeroed() -> Self {
        Self([0; 512])
    }

    /// Stores the registers.
    pub(crate) fn save(&mut self) {
        // SAFETY: FXSAVE64 writes 512 bytes to the 16-aligned image.
        unsafe { asm!("fxsave64 [{}]", in(reg) self.0.as_mut_ptr(), options(nostack)) };
    }

    /// Loads the registers. Reserved MXCSR bits must be clear in the image.
    pub(crate) fn load(&self) {
        // SAFETY: FXRSTOR64 reads 512 bytes; the machine itself uses no
        // floating-point register, so nothing of its own is lost.
        unsafe { asm!("fxrstor64 [{}]", in(reg) self.0.as_ptr(), options(nostack, readonly)) };
    }
}
