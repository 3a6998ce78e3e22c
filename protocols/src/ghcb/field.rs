//! The fields of the GHCB page that count only when marked valid (AMD
//! publication 56421, GHCB layout).

/// A field that has a bit in the valid bitmap, by its offset in the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GhcbField(
    /// Offset in bytes.
    pub u16,
);

impl GhcbField {
    /// CPL, the one field of one byte.
    pub const CPL: Self = Self(0xcb);
    /// XSS.
    pub const XSS: Self = Self(0x140);
    /// DR7.
    pub const DR7: Self = Self(0x160);
    /// RIP.
    pub const RIP: Self = Self(0x178);
    /// RSP.
    pub const RSP: Self = Self(0x1d8);
    /// RAX.
    pub const RAX: Self = Self(0x1f8);
    /// RCX.
    pub const RCX: Self = Self(0x308);
    /// RDX.
    pub const RDX: Self = Self(0x310);
    /// RBX.
    pub const RBX: Self = Self(0x318);
    /// RBP.
    pub const RBP: Self = Self(0x328);
    /// RSI.
    pub const RSI: Self = Self(0x330);
    /// RDI.
    pub const RDI: Self = Self(0x338);
    /// R8.
    pub const R8: Self = Self(0x340);
    /// R9.
    pub const R9: Self = Self(0x348);
    /// R10.
    pub const R10: Self = Self(0x350);
    /// R11.
    pub const R11: Self = Self(0x358);
    /// R12.
    pub const R12: Self = Self(0x360);
    /// R13.
    pub const R13: Self = Self(0x368);
    /// R14.
    pub const R14: Self = Self(0x370);
    /// R15.
    pub const R15: Self = Self(0x378);
    /// SW_EXITCODE.
    pub const EXIT_CODE: Self = Self(0x390);
    /// SW_EXITINFO1.
    pub const EXIT_INFO1: Self = Self(0x398);
    /// SW_EXITINFO2.
    pub const EXIT_INFO2: Self = Self(0x3a0);
    /// SW_SCRATCH: GPA of the data of the request.
    pub const SCRATCH: Self = Self(0x3a8);
    /// XCR0.
    pub const XCR0: Self = Self(0x3e8);

    /// Every field with a constant, by offset.
    pub const ALL: [Self; 25] = [
        Self::CPL,
        Self::XSS,
        Self::DR7,
        Self::RIP,
        Self::RSP,
        Self::RAX,
        Self::RCX,
        Self::RDX,
        Self::RBX,
        Self::RBP,
        Self::RSI,
        Self::RDI,
        Self::R8,
        Self::R9,
        Self::R10,
        Self::R11,
        Self::R12,
        Self::R13,
        Self::R14,
        Self::R15,
        Self::EXIT_CODE,
        Self::EXIT_INFO1,
        Self::EXIT_INFO2,
        Self::SCRATCH,
        Self::XCR0,
    ];

    /// Byte and mask of the field's bit in the valid bitmap.
    pub(super) const fn bit(self) -> (usize, u8) {
        let index = self.0 as usize / 8;
        (index / 8, 1 << (index % 8))
    }
}
