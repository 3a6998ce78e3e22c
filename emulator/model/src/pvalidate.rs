//! PVALIDATE (APM vol. 3).

use protocols::addr::PageSize;
use protocols::snp::{RmpResult, Vmpl};

use crate::instruction::{
    Caller, Outcome, PageError, Translation, is_aligned, operand_page, sized_page,
};
use crate::rmp::Rmp;

/// PVALIDATE after its operands have been accepted and before its address has been
/// translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pvalidate {
    va: u64,
    size: PageSize,
    validate: bool,
}

/// What PVALIDATE leaves in the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PvalidateDone {
    /// EAX.
    pub code: RmpResult,
    /// CF: the validated bit already had the asked value. Clear when `code` is not
    /// success.
    pub carry: bool,
}

impl PvalidateDone {
    const fn failed(code: RmpResult) -> Outcome<PvalidateDone> {
        Outcome::Complete(PvalidateDone { code, carry: false })
    }
}

impl Pvalidate {
    /// The checks that come before the translation: RAX is the address, bit 0 of
    /// ECX the size, bit 0 of EDX the wish.
    ///
    /// # Errors
    /// How the instruction ends without a translation: #UD, #GP(0) (CPL or VMPL not
    /// 0), FAIL_INPUT.
    pub fn decode(
        caller: Caller,
        rax: u64,
        ecx: u32,
        edx: u32,
    ) -> Result<Pvalidate, Outcome<PvalidateDone>> {
        if !caller.snp {
            return Err(Outcome::InvalidOpcode);
        }
        if caller.cpl != 0 || caller.vmpl != Vmpl::VMPL0 {
            return Err(Outcome::GeneralProtection);
        }
        let size = if ecx & 1 != 0 {
            PageSize::Size2M
        } else {
            PageSize::Size4K
        };
        let va = operand_page(rax);
        if !is_aligned(va, size) {
            return Err(PvalidateDone::failed(RmpResult::FAIL_INPUT));
        }
        Ok(Pvalidate {
            va,
            size,
            validate: edx & 1 != 0,
        })
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

    /// The rest, at the translated address. The contents of the page stay as they
    /// are.
    pub fn execute(self, rmp: &mut Rmp, at: Translation) -> Outcome<PvalidateDone> {
        let entry = match sized_page(rmp, at, self.size) {
            Ok(entry) => entry,
            Err(PageError::Nested(fault)) => return Outcome::Nested(fault),
            Err(PageError::SizeMismatch) => {
                return PvalidateDone::failed(RmpResult::FAIL_SIZEMISMATCH);
            }
        };
        if entry.is_in_use() {
            // (?) The manual's rule is that no change of such an entry succeeds.
            return PvalidateDone::failed(RmpResult::FAIL_INUSE);
        }
        let carry = entry.is_validated() == self.validate;
        rmp.modify(at.spa, |e| e.set_validated(self.validate));
        Outcome::Complete(PvalidateDone {
            code: RmpResult::SUCCESS,
            carry,
        })
    }
}

#[cfg(test)]
mod tests;
