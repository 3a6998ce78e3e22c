//! What the processor does instead of an access that is not allowed.

use core::fmt;
use core::ops::BitOr;

/// The bits of EXITINFO1 of a nested page fault that the RMP and VMPL checks
/// decide (APM vol. 2, section 15.36.10).
///
/// The rest (present, write, fetch, and which walk it was) is the business of who
/// walks the tables.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NestedFault(u64);

impl NestedFault {
    /// None of these bits: the nested tables have no entry for the address.
    pub const NOT_PRESENT: NestedFault = NestedFault(0);
    /// Bit 31: an RMP or VMPL check failed.
    pub const RMP: NestedFault = NestedFault(1 << 31);
    /// Bit 34: the access was private.
    pub const ENC: NestedFault = NestedFault(1 << 34);
    /// Bit 35: the page sizes do not agree.
    pub const SIZE: NestedFault = NestedFault(1 << 35);
    /// Bit 36: the level lacks the right.
    pub const VMPL: NestedFault = NestedFault(1 << 36);

    /// The page is not this guest's at this address: bits 31 and 34.
    pub(crate) const NOT_OWNED: NestedFault = Self::RMP.with(Self::ENC);
    /// The page is the guest's, in another size: bits 31, 34 and 35.
    pub(crate) const WRONG_SIZE: NestedFault = Self::NOT_OWNED.with(Self::SIZE);
    /// The level may not do that: bits 31, 34 and 36.
    pub(crate) const NO_RIGHT: NestedFault = Self::NOT_OWNED.with(Self::VMPL);

    /// The bits as they are in EXITINFO1.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether all of these bits are set.
    pub const fn contains(self, bits: NestedFault) -> bool {
        self.0 & bits.0 == bits.0
    }

    const fn with(self, other: NestedFault) -> NestedFault {
        NestedFault(self.0 | other.0)
    }
}

impl BitOr for NestedFault {
    type Output = NestedFault;

    fn bitor(self, other: NestedFault) -> NestedFault {
        self.with(other)
    }
}

impl fmt::Debug for NestedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NestedFault(")?;
        let names = [
            (Self::RMP, "RMP"),
            (Self::ENC, " ENC"),
            (Self::SIZE, " SIZE"),
            (Self::VMPL, " VMPL"),
        ];
        for (bit, name) in names {
            if self.contains(bit) {
                f.write_str(name)?;
            }
        }
        f.write_str(")")
    }
}

/// The error code of the #VC exception for an access to a page that is not
/// validated.
pub const VC_NOT_VALIDATED: u64 = 0x404;

/// Why an access does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessFault {
    /// An exit to the host with code NPF (0x400) and these bits in EXITINFO1.
    Nested(NestedFault),
    /// A #VC exception in the guest with error code [`VC_NOT_VALIDATED`].
    NotValidated,
}

impl From<NestedFault> for AccessFault {
    fn from(fault: NestedFault) -> AccessFault {
        AccessFault::Nested(fault)
    }
}
