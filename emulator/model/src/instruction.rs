//! What PVALIDATE, RMPADJUST and RMPQUERY have in common: who calls, which page
//! is meant, and how the instruction ends.

use protocols::addr::{Gpa, PAGE_4K, PageSize};
use protocols::snp::Vmpl;

use crate::access::guest_page;
use crate::entry::RmpEntry;
use crate::fault::{AccessFault, NestedFault};
use crate::rmp::Rmp;
use crate::types::{Asid, Spa};

/// The state of the vCPU that executes the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The current privilege level, 0 to 3.
    pub cpl: u8,
    /// The VM privilege level.
    pub vmpl: Vmpl,
    /// Whether SNP is active in the guest (bit 0 of SEV_FEATURES).
    pub snp: bool,
}

impl Caller {
    /// A kernel (CPL 0) of an SNP guest at that level.
    pub const fn kernel(vmpl: Vmpl) -> Caller {
        Caller {
            cpl: 0,
            vmpl,
            snp: true,
        }
    }
}

/// The page that the operand names, after the guest's tables and the nested tables
/// have been walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The guest that executes the instruction.
    pub asid: Asid,
    /// The system address.
    pub spa: Spa,
    /// The guest address, without the C-bit.
    pub gpa: Gpa,
}

/// How an instruction ends. Only [`Outcome::Complete`] goes on to the next
/// instruction; the others leave the instruction pointer where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an instruction that did not complete has changed nothing"]
pub enum Outcome<T> {
    /// It wrote its results into the registers.
    Complete(T),
    /// #UD: the guest is not an SNP guest.
    InvalidOpcode,
    /// #GP(0): the wrong privilege level.
    GeneralProtection,
    /// An exit to the host with code NPF and these bits in EXITINFO1. With bit 35
    /// the host splits the page by PSMASH and lets the guest try again.
    Nested(NestedFault),
    /// #VC with error code 0x404: the page is not validated.
    NotValidated,
}

impl<T> Outcome<T> {
    /// The results, when the instruction completed.
    pub fn complete(self) -> Option<T> {
        match self {
            Outcome::Complete(done) => Some(done),
            _ => None,
        }
    }

    /// The same end with other results.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Outcome::Complete(done) => Outcome::Complete(f(done)),
            Outcome::InvalidOpcode => Outcome::InvalidOpcode,
            Outcome::GeneralProtection => Outcome::GeneralProtection,
            Outcome::Nested(fault) => Outcome::Nested(fault),
            Outcome::NotValidated => Outcome::NotValidated,
        }
    }
}

impl<T> From<AccessFault> for Outcome<T> {
    fn from(fault: AccessFault) -> Outcome<T> {
        match fault {
            AccessFault::Nested(bits) => Outcome::Nested(bits),
            AccessFault::NotValidated => Outcome::NotValidated,
        }
    }
}

/// The page that RAX names: bits 11:0 do not count (?).
pub(crate) fn operand_page(rax: u64) -> u64 {
    rax & !(PAGE_4K - 1)
}

/// Whether a page of that size can begin at that virtual address.
pub(crate) fn is_aligned(va: u64, size: PageSize) -> bool {
    va & (size.bytes() - 1) == 0
}

/// Why the operand's page cannot be worked on in the asked size.
pub(crate) enum PageError {
    Nested(NestedFault),
    SizeMismatch,
}

/// The entry of the operand's page: the guest's own, in the asked size.
///
/// A 2 MiB operand whose guest page is not at the start of the 2 MiB page, which
/// only guest tables of 4 KiB can bring about, is a mismatch of sizes as well (?).
pub(crate) fn sized_page(
    rmp: &Rmp,
    at: Translation,
    size: PageSize,
) -> Result<RmpEntry, PageError> {
    let entry = guest_page(rmp, at.asid, at.spa, at.gpa).map_err(PageError::Nested)?;
    match (size, entry.size()) {
        (PageSize::Size4K, PageSize::Size4K) => Ok(entry),
        (PageSize::Size4K, PageSize::Size2M) => Err(PageError::Nested(NestedFault::WRONG_SIZE)),
        (PageSize::Size2M, PageSize::Size2M) if at.gpa.page_offset(size) < PAGE_4K => Ok(entry),
        (PageSize::Size2M, _) => Err(PageError::SizeMismatch),
    }
}
