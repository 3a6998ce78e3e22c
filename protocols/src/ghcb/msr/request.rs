//! Requests of the MSR protocol.

use super::super::{PscOperation, Termination};
use super::{CpuidRegister, GFN_40_BITS, MsrValue, PFN_BITS, info};

/// What the guest asks. Page frame numbers count 4 KiB pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsrRequest {
    /// Protocol versions and C-bit.
    SevInfo,
    /// One register of a CPUID function with subfunction 0.
    Cpuid {
        /// The function, EAX of CPUID.
        function: u32,
        /// The register wanted.
        register: CpuidRegister,
    },
    /// Wait for the start of this processor.
    ApResetHold,
    /// Where the host would like the GHCB.
    PreferredGpa,
    /// Register the GHCB.
    RegisterGpa {
        /// Its page frame, 52 bits.
        gfn: u64,
    },
    /// Make one 4 KiB page private or shared.
    PageStateChange {
        /// The page frame, 40 bits.
        gfn: u64,
        /// The state, 4 bits.
        operation: PscOperation,
    },
    /// Run another VMPL of this processor.
    RunVmpl {
        /// The level.
        vmpl: u8,
    },
    /// Hypervisor features.
    HvFeatures,
    /// End the virtual machine.
    Terminate(Termination),
    /// Anything else, and known requests with reserved bits set.
    Other(u64),
}

impl MsrRequest {
    /// The MSR's value. Numbers too large for their field lose their high bits.
    pub const fn encode(self) -> MsrValue {
        match self {
            Self::SevInfo => MsrValue(info::SEV_INFO_REQUEST as u64),
            Self::Cpuid { function, register } => MsrValue(
                info::CPUID_REQUEST as u64 | register.encoding() << 30 | (function as u64) << 32,
            ),
            Self::ApResetHold => MsrValue(info::AP_RESET_HOLD_REQUEST as u64),
            Self::PreferredGpa => MsrValue(info::PREFERRED_GPA_REQUEST as u64),
            Self::RegisterGpa { gfn } => {
                MsrValue::of(info::REGISTER_GPA_REQUEST as u64, gfn & PFN_BITS)
            }
            Self::PageStateChange { gfn, operation } => MsrValue::of(
                info::PAGE_STATE_CHANGE_REQUEST as u64,
                gfn & GFN_40_BITS | (operation.0 as u64 & 0xf) << 40,
            ),
            Self::RunVmpl { vmpl } => {
                MsrValue::with_high(info::RUN_VMPL_REQUEST as u64, vmpl as u32)
            }
            Self::HvFeatures => MsrValue(info::HV_FEATURES_REQUEST as u64),
            Self::Terminate(termination) => termination.msr(),
            Self::Other(value) => MsrValue(value),
        }
    }

    /// The request that the value is.
    pub fn decode(value: MsrValue) -> Self {
        let request = match value.info() {
            info::SEV_INFO_REQUEST => Self::SevInfo,
            info::CPUID_REQUEST => Self::Cpuid {
                function: value.high(),
                register: CpuidRegister::from_low_bits(value.0 >> 30),
            },
            info::AP_RESET_HOLD_REQUEST => Self::ApResetHold,
            info::PREFERRED_GPA_REQUEST => Self::PreferredGpa,
            info::REGISTER_GPA_REQUEST => Self::RegisterGpa { gfn: value.data() },
            info::PAGE_STATE_CHANGE_REQUEST => Self::PageStateChange {
                gfn: value.data() & GFN_40_BITS,
                operation: PscOperation((value.0 >> 52 & 0xf) as u8),
            },
            info::RUN_VMPL_REQUEST => Self::RunVmpl {
                vmpl: (value.0 >> 32) as u8,
            },
            info::HV_FEATURES_REQUEST => Self::HvFeatures,
            info::TERMINATE_REQUEST => Self::Terminate(Termination {
                set: (value.0 >> 12 & 0xf) as u8,
                code: (value.0 >> 16) as u8,
            }),
            _ => return Self::Other(value.0),
        };
        if request.encode() == value {
            request
        } else {
            Self::Other(value.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::register;
    use super::*;
    use crate::addr::Gpa;
    use proptest::prelude::*;

    #[test]
    fn requests_are_laid_out_as_published() {
        let cpuid = MsrRequest::Cpuid {
            function: 0x8000_001f,
            register: CpuidRegister::Ebx,
        };
        assert_eq!(cpuid.encode().0, 0x8000_001f_4000_0004);
        let shared = MsrRequest::PageStateChange {
            gfn: 0x23ff,
            operation: PscOperation::SHARED,
        };
        assert_eq!(shared.encode().0, 0x0020_0000_023f_f014);
        assert_eq!(MsrRequest::RunVmpl { vmpl: 2 }.encode().0, 0x2_0000_0016);
        let end = MsrRequest::Terminate(Termination { set: 8, code: 0x21 });
        assert_eq!(end.encode().0, 0x21_8100);
        assert_eq!(MsrValue::from_page(Gpa::new(0x23f_f000)).0, 0x23f_f000);
    }

    fn request() -> impl Strategy<Value = MsrRequest> {
        prop_oneof![
            Just(MsrRequest::SevInfo),
            Just(MsrRequest::ApResetHold),
            Just(MsrRequest::PreferredGpa),
            Just(MsrRequest::HvFeatures),
            (any::<u32>(), register())
                .prop_map(|(function, register)| MsrRequest::Cpuid { function, register }),
            (0..=PFN_BITS).prop_map(|gfn| MsrRequest::RegisterGpa { gfn }),
            (0..=GFN_40_BITS, 0u8..16).prop_map(|(gfn, operation)| {
                MsrRequest::PageStateChange {
                    gfn,
                    operation: PscOperation(operation),
                }
            }),
            any::<u8>().prop_map(|vmpl| MsrRequest::RunVmpl { vmpl }),
            (0u8..16, any::<u8>())
                .prop_map(|(set, code)| MsrRequest::Terminate(Termination { set, code })),
        ]
    }

    proptest! {
        #[test]
        fn a_request_comes_back(request in request()) {
            prop_assert_eq!(MsrRequest::decode(request.encode()), request);
        }
    }
}
