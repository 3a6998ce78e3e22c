//! The result of a call, RAX (AMD publication 58019, result values).

use crate::snp::RmpResult;

/// RAX after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the call has failed unless this is SUCCESS"]
pub struct SvsmResult(
    /// The number.
    pub u64,
);

/// The same type by the name of the register's role.
pub type ResultCode = SvsmResult;

impl SvsmResult {
    /// Done.
    pub const SUCCESS: Self = Self(0);
    /// Not all is done: call again.
    pub const INCOMPLETE: Self = Self(0x8000_0000);
    /// No such protocol.
    pub const UNSUPPORTED_PROTOCOL: Self = Self(0x8000_0001);
    /// The protocol has no such call.
    pub const UNSUPPORTED_CALL: Self = Self(0x8000_0002);
    /// An address that can't be used for this.
    pub const INVALID_ADDRESS: Self = Self(0x8000_0003);
    /// The calling area is malformed.
    pub const INVALID_FORMAT: Self = Self(0x8000_0004);
    /// A parameter is wrong.
    pub const INVALID_PARAMETER: Self = Self(0x8000_0005);
    /// The call is not possible now or here.
    pub const INVALID_REQUEST: Self = Self(0x8000_0006);
    /// Call again later.
    pub const BUSY: Self = Self(0x8000_0007);

    /// First result that each protocol defines for itself.
    pub const PROTOCOL_BASE: u64 = 0x8000_1000;

    /// Core: PVALIDATE or RMPADJUST, wrong input.
    pub const CORE_FAIL_INPUT: Self = Self::protocol_specific(1);
    /// Core: RMPADJUST, not allowed at this VMPL.
    pub const CORE_FAIL_PERMISSION: Self = Self::protocol_specific(2);
    /// Core: the page or virtual processor is in use.
    pub const CORE_FAIL_INUSE: Self = Self::protocol_specific(3);
    /// Core: PVALIDATE or RMPADJUST, page size and RMP entry differ.
    pub const CORE_SIZEMISMATCH: Self = Self::protocol_specific(6);
    /// Core: PVALIDATE set CF, the page was in the wanted state already.
    pub const CORE_NO_CHANGE: Self = Self::protocol_specific(0x10);
    /// Core: an instruction's result that is none of these.
    pub const CORE_UNEXPECTED: Self = Self::protocol_specific(0x11);

    /// Attestation, Rampart's own: the host was busy all the time. To be tried again later.
    pub const ATTESTATION_HOST_BUSY: Self = Self::protocol_specific(0xf00);
    /// Attestation, Rampart's own: the key to the secure processor is wiped, after a doubt about
    /// what the host has done with a message. There are no reports until the next launch.
    pub const ATTESTATION_NO_KEY: Self = Self::protocol_specific(0xf01);
    /// Attestation, Rampart's own: the secure processor has refused.
    pub const ATTESTATION_REFUSED: Self = Self::protocol_specific(0xf02);

    /// A result that the protocol defines for itself, by its low 12 bits.
    pub const fn protocol_specific(code: u16) -> Self {
        Self(Self::PROTOCOL_BASE | code as u64 & 0xfff)
    }

    /// The result of the core protocol for what PVALIDATE or RMPADJUST left in
    /// EAX.
    pub const fn from_rmp(result: RmpResult) -> Self {
        match result {
            RmpResult::SUCCESS => Self::SUCCESS,
            RmpResult::FAIL_INPUT => Self::CORE_FAIL_INPUT,
            RmpResult::FAIL_PERMISSION => Self::CORE_FAIL_PERMISSION,
            RmpResult::FAIL_INUSE => Self::CORE_FAIL_INUSE,
            RmpResult::FAIL_SIZEMISMATCH => Self::CORE_SIZEMISMATCH,
            _ => Self::CORE_UNEXPECTED,
        }
    }

    /// The SVSM asks for memory: a number of 4 KiB pages, 30 bits of it.
    pub const fn needs_memory(pages: u32) -> Self {
        Self(0x4000_0000 | pages as u64 & 0x3fff_ffff)
    }

    /// How many 4 KiB pages the SVSM asks for, if that is the result.
    pub const fn memory_needed(self) -> Option<u32> {
        match self.0 {
            0x4000_0000..=0x7fff_ffff => Some((self.0 & 0x3fff_ffff) as u32),
            _ => None,
        }
    }

    /// Whether all is done.
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn results_have_the_published_numbers() {
        assert_eq!(SvsmResult::CORE_FAIL_INPUT.0, 0x8000_1001);
        assert_eq!(SvsmResult::CORE_SIZEMISMATCH.0, 0x8000_1006);
        assert_eq!(SvsmResult::CORE_NO_CHANGE.0, 0x8000_1010);
        assert_eq!(SvsmResult::protocol_specific(0xf002).0, 0x8000_1002);
        assert!(SvsmResult::SUCCESS.is_success());
        assert!(!SvsmResult::INCOMPLETE.is_success());
    }

    #[test]
    fn an_unknown_instruction_result_is_unexpected() {
        assert_eq!(
            SvsmResult::from_rmp(RmpResult(6)),
            SvsmResult::CORE_SIZEMISMATCH
        );
        assert_eq!(
            SvsmResult::from_rmp(RmpResult(0x10)),
            SvsmResult::CORE_UNEXPECTED
        );
    }

    proptest! {
        #[test]
        fn a_memory_wish_comes_back(pages in 0u32..1 << 30) {
            prop_assert_eq!(SvsmResult::needs_memory(pages).memory_needed(), Some(pages));
        }

        #[test]
        fn other_results_wish_no_memory(code: u64) {
            prop_assume!(code >> 30 != 1);
            prop_assert_eq!(SvsmResult(code).memory_needed(), None);
        }
    }
}
