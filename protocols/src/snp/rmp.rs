//! VMPLs, their rights, and the operands and results of the RMP instructions
//! (APM volume 3: PVALIDATE, RMPADJUST, RMPQUERY; volume 2, section 15.36.7).

use bitflags::bitflags;

/// A virtual machine privilege level, 0 (most privileged) to 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vmpl(u8);

impl Vmpl {
    /// The firmware's level.
    pub const VMPL0: Vmpl = Vmpl(0);
    /// Level 1.
    pub const VMPL1: Vmpl = Vmpl(1);
    /// Level 2, where the guest runs by default.
    pub const VMPL2: Vmpl = Vmpl(2);
    /// The least privileged level.
    pub const VMPL3: Vmpl = Vmpl(3);

    /// How many levels the architecture has.
    pub const COUNT: usize = 4;

    /// A level, if there is one of that number.
    pub const fn new(level: u8) -> Option<Self> {
        if level < 4 { Some(Self(level)) } else { None }
    }

    /// The number of the level.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The number as an index below [`Vmpl::COUNT`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All levels, most privileged first.
    pub const ALL: [Vmpl; Vmpl::COUNT] = [Vmpl(0), Vmpl(1), Vmpl(2), Vmpl(3)];
}

impl core::fmt::Display for Vmpl {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "VMPL{}", self.0)
    }
}

bitflags! {
    /// What a VMPL may do with a page.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Rights: u8 {
        /// Read.
        const READ = 1;
        /// Write.
        const WRITE = 1 << 1;
        /// Execute in user mode (CPL 3).
        const EXECUTE_USER = 1 << 2;
        /// Execute in supervisor mode (CPL 0 to 2).
        const EXECUTE_SUPERVISOR = 1 << 3;
    }
}

/// RDX of RMPADJUST: target VMPL in 7:0, rights in 15:8, VMSA in bit 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RmpAttributes(u64);

impl RmpAttributes {
    const VMSA: u64 = 1 << 16;
    const DEFINED: u64 = 0x1_ffff;

    /// The word for RDX.
    pub const fn new(target: Vmpl, rights: Rights, vmsa: bool) -> Self {
        let vmsa = if vmsa { Self::VMSA } else { 0 };
        Self(target.get() as u64 | (rights.bits() as u64) << 8 | vmsa)
    }

    /// A word as a register held it.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The word.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The number of the target level, as given: it may name none.
    pub const fn target(self) -> u8 {
        self.0 as u8
    }

    /// The rights byte, undefined bits included.
    pub const fn rights_bits(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// The rights, undefined bits dropped.
    pub const fn rights(self) -> Rights {
        Rights::from_bits_truncate(self.rights_bits())
    }

    /// Whether the page is to be a VMSA.
    pub const fn vmsa(self) -> bool {
        self.0 & Self::VMSA != 0
    }

    /// Bits above the VMSA bit, which have to be zero.
    pub const fn reserved(self) -> u64 {
        self.0 & !Self::DEFINED
    }
}

/// EAX after PVALIDATE, RMPADJUST, RMPQUERY or (host) RMPUPDATE, PSMASH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "nothing has happened unless this is SUCCESS"]
pub struct RmpResult(
    /// The register's value.
    pub u32,
);

impl RmpResult {
    /// Done.
    pub const SUCCESS: Self = Self(0);
    /// The input is wrong: alignment, reserved bits.
    pub const FAIL_INPUT: Self = Self(1);
    /// Not allowed at this VMPL.
    pub const FAIL_PERMISSION: Self = Self(2);
    /// The entry is in use.
    pub const FAIL_INUSE: Self = Self(3);
    /// RMPUPDATE: 2 MiB over assigned 4 KiB entries, or the reverse.
    pub const FAIL_OVERLAP: Self = Self(4);
    /// The sizes of operand and RMP entry differ.
    pub const FAIL_SIZEMISMATCH: Self = Self(6);

    /// Whether the operation happened.
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_laid_out_as_the_manual_says() {
        let word = RmpAttributes::new(Vmpl::VMPL2, Rights::READ | Rights::WRITE, true);
        assert_eq!(word.bits(), 0x1_0302);
        assert_eq!(word.target(), 2);
        assert_eq!(word.rights(), Rights::READ | Rights::WRITE);
        assert!(word.vmsa());
        assert_eq!(RmpAttributes::from_bits(1 << 20).reserved(), 1 << 20);
    }

    #[test]
    fn there_are_four_levels() {
        assert_eq!(Vmpl::new(3), Some(Vmpl::VMPL3));
        assert_eq!(Vmpl::new(4), None);
    }
}
