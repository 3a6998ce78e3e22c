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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::NestedFault;
    use crate::testing::*;

    fn run(rmp: &Rmp, own: Vmpl, target: Vmpl) -> Outcome<RmpqueryDone> {
        match Rmpquery::decode(Caller::kernel(own), 0x1fff, u64::from(target.get())) {
            Ok(op) => {
                assert_eq!(op.address(), 0x1000);
                op.execute(rmp, here())
            }
            Err(end) => end,
        }
    }

    #[test]
    fn callers_and_levels_are_checked_before_the_walk() {
        let caller = Caller::kernel(Vmpl::VMPL1);
        let decode = |caller, rdx| Rmpquery::decode(caller, 0, rdx);
        assert_eq!(
            decode(
                Caller {
                    snp: false,
                    ..caller
                },
                0
            ),
            Err(Outcome::InvalidOpcode)
        );
        assert_eq!(
            decode(Caller { cpl: 3, ..caller }, 0),
            Err(Outcome::GeneralProtection)
        );
        assert_eq!(
            decode(caller, 4),
            Err(RmpqueryDone::failed(RmpResult::FAIL_INPUT))
        );
        assert_eq!(
            decode(caller, 0),
            Err(RmpqueryDone::failed(RmpResult::FAIL_PERMISSION))
        );
        assert!(decode(caller, 1).is_ok());
        assert!(decode(caller, 0x3_0f03).is_ok());
    }

    #[test]
    fn faults_are_those_of_the_other_instructions() {
        let end = run(&Rmp::new(16 << 20), Vmpl::VMPL0, Vmpl::VMPL0);
        assert_eq!(end, Outcome::Nested(NestedFault::RMP | NestedFault::ENC));
        let end = run(&given(PageSize::Size4K), Vmpl::VMPL0, Vmpl::VMPL0);
        assert_eq!(end, Outcome::NotValidated);
    }

    #[test]
    fn it_tells_size_rights_and_vmsa() {
        let mut rmp = vmsa_page();
        rmp.modify(SPA, |e| e.set_rights(Vmpl::VMPL2, RW));
        let found = run(&rmp, Vmpl::VMPL1, Vmpl::VMPL2)
            .complete()
            .unwrap()
            .found
            .unwrap();
        assert_eq!((found.rcx(), found.rdx()), (0, 0x1_0302));
        let rmp = validated(PageSize::Size2M);
        let found = run(&rmp, Vmpl::VMPL2, Vmpl::VMPL2)
            .complete()
            .unwrap()
            .found
            .unwrap();
        assert_eq!((found.rcx(), found.rdx()), (1, 2));
    }
}
