//! RMPQUERY (APM vol. 3), on parts that have it.

use protocols::addr::PageSize;
use protocols::snp::{Rights, RmpAttributes, RmpResult, Vmpl};

use crate::access::guest_page;
use crate::instruction::{Caller, Outcome, Translation, operand_page};
use crate::rmp::Rmp;

/// RMPQUERY after its operands have been accepted and before its address has been
/// translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rmpquery {
    va: u64,
    target: Vmpl,
}

/// What RMPQUERY leaves in the registers (?).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RmpqueryDone {
    /// EAX.
    pub code: RmpResult,
    /// What it found; `None` when `code` is not success, and RCX and RDX stay.
    pub found: Option<Found>,
}

/// What RMPQUERY found about a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The size of the page, for RCX.
    pub size: PageSize,
    /// The level asked about.
    pub vmpl: Vmpl,
    /// Its rights.
    pub rights: Rights,
    /// Whether the page is a VMSA.
    pub vmsa: bool,
}

impl Found {
    /// RCX: 0 for 4 KiB, 1 for 2 MiB.
    pub fn rcx(&self) -> u64 {
        self.size.encoding()
    }

    /// RDX: the level in 7:0, its rights in 15:8, the VMSA bit in 16.
    pub fn rdx(&self) -> u64 {
        RmpAttributes::new(self.vmpl, self.rights, self.vmsa).bits()
    }
}

impl RmpqueryDone {
    const fn failed(code: RmpResult) -> Outcome<RmpqueryDone> {
        Outcome::Complete(RmpqueryDone { code, found: None })
    }
}

impl Rmpquery {
    /// The checks that come before the translation: RAX is the address, bits 7:0 of
    /// RDX the level.
    ///
    /// # Errors
    /// How the instruction ends without a translation: #UD, #GP(0), FAIL_INPUT (no
    /// such level), FAIL_PERMISSION (a more privileged level than the caller's) (?).
    pub fn decode(caller: Caller, rax: u64, rdx: u64) -> Result<Rmpquery, Outcome<RmpqueryDone>> {
        if !caller.snp {
            return Err(Outcome::InvalidOpcode);
        }
        if caller.cpl != 0 {
            return Err(Outcome::GeneralProtection);
        }
        match Vmpl::new(RmpAttributes::from_bits(rdx).target()) {
            None => Err(RmpqueryDone::failed(RmpResult::FAIL_INPUT)),
            Some(target) if target < caller.vmpl => {
                Err(RmpqueryDone::failed(RmpResult::FAIL_PERMISSION))
            }
            Some(target) => Ok(Rmpquery {
                va: operand_page(rax),
                target,
            }),
        }
    }

    /// The virtual address to translate. It must be private.
    pub const fn address(&self) -> u64 {
        self.va
    }

    /// The rest, at the translated address.
    pub fn execute(self, rmp: &Rmp, at: Translation) -> Outcome<RmpqueryDone> {
        let entry = match guest_page(rmp, at.asid, at.spa, at.gpa) {
            Ok(entry) => entry,
            Err(fault) => return Outcome::Nested(fault),
        };
        if !entry.is_validated() {
            return Outcome::NotValidated;
        }
        let found = Found {
            size: entry.size(),
            vmpl: self.target,
            rights: entry.rights(self.target),
            vmsa: entry.is_vmsa(),
        };
        Outcome::Complete(RmpqueryDone {
            code: RmpResult::SUCCESS,
            found: Some(found),
        })
    }
}
