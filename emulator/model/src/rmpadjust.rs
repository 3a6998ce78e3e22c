//! RMPADJUST (APM vol. 3).

use protocols::addr::PageSize;
use protocols::snp::{Rights, RmpAttributes, RmpResult, Vmpl};

use crate::instruction::{
    Caller, Outcome, PageError, Translation, is_aligned, operand_page, sized_page,
};
use crate::rmp::Rmp;

/// RMPADJUST after its operands have been accepted and before its address has been
/// translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rmpadjust {
    va: u64,
    size: PageSize,
    own: Vmpl,
    target: Vmpl,
    rights: Rights,
    vmsa: bool,
}

impl Rmpadjust {
    /// The checks that come before the translation: RAX is the address, bit 0 of
    /// RCX the size, RDX level, rights and VMSA bit.
    ///
    /// # Errors
    /// How the instruction ends without a translation: #UD, #GP(0), FAIL_INPUT.
    pub fn decode(
        caller: Caller,
        rax: u64,
        rcx: u64,
        rdx: u64,
    ) -> Result<Rmpadjust, Outcome<RmpResult>> {
        if !caller.snp {
            return Err(Outcome::InvalidOpcode);
        }
        if caller.cpl != 0 {
            return Err(Outcome::GeneralProtection);
        }
        let size = if rcx & 1 != 0 {
            PageSize::Size2M
        } else {
            PageSize::Size4K
        };
        let va = operand_page(rax);
        let rdx = RmpAttributes::from_bits(rdx);
        let reserved = rcx & !1 != 0 || rdx.reserved() != 0;
        // (?) The right to supervisor shadow stacks, bit 12, is reserved here: the
        // feature that gives it a meaning is not modelled.
        match (
            Rights::from_bits(rdx.rights_bits()),
            Vmpl::new(rdx.target()),
        ) {
            (Some(rights), Some(target)) if !reserved && is_aligned(va, size) => Ok(Rmpadjust {
                va,
                size,
                own: caller.vmpl,
                target,
                rights,
                vmsa: rdx.vmsa(),
            }),
            _ => Err(Outcome::Complete(RmpResult::FAIL_INPUT)),
        }
    }

    /// The virtual address to translate, for the page's owner (no right on the page
    /// itself is needed). It must be private.
    pub const fn address(&self) -> u64 {
        self.va
    }

    /// The size asked for.
    pub const fn size(&self) -> PageSize {
        self.size
    }

    /// The rest, at the translated address.
    ///
    /// The VMSA bit is VMPL0's: at other levels the operand's bit is ignored and
    /// the page keeps what it has (AMD's comment beside the instruction in edk2 and
    /// Linux).
    pub fn execute(self, rmp: &mut Rmp, at: Translation) -> Outcome<RmpResult> {
        let entry = match sized_page(rmp, at, self.size) {
            Ok(entry) => entry,
            Err(PageError::Nested(fault)) => return Outcome::Nested(fault),
            Err(PageError::SizeMismatch) => return Outcome::Complete(RmpResult::FAIL_SIZEMISMATCH),
        };
        if !entry.is_validated() {
            return Outcome::NotValidated;
        }
        if self.target <= self.own || !entry.rights(self.own).contains(self.rights) {
            return Outcome::Complete(RmpResult::FAIL_PERMISSION);
        }
        if entry.is_in_use() {
            return Outcome::Complete(RmpResult::FAIL_INUSE);
        }
        let vmsa = if self.own == Vmpl::VMPL0 {
            self.vmsa
        } else {
            entry.is_vmsa()
        };
        if vmsa && self.size == PageSize::Size2M {
            // (?) That a VMSA is 4 KiB is certain, the code is not.
            return Outcome::Complete(RmpResult::FAIL_INPUT);
        }
        rmp.modify(at.spa, |e| {
            e.set_rights(self.target, self.rights);
            e.set_vmsa(vmsa);
        });
        Outcome::Complete(RmpResult::SUCCESS)
    }
}

#[cfg(test)]
mod tests;
