//! The MSR protocol of the GHCB, both directions (AMD publication 56421, GHCB
//! MSR protocol).

use super::{HvFeatures, PscOperation, Termination};
use crate::addr::Gpa;

/// Number of the GHCB MSR.
pub const MSR_GHCB: u32 = 0xc001_0130;

const PFN_BITS: u64 = (1 << 52) - 1;
const GFN_40_BITS: u64 = (1 << 40) - 1;

/// The MSR's value: a GPA when the low 12 bits are 0, else a request or answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MsrValue(
    /// The 64 bits.
    pub u64,
);

impl MsrValue {
    /// The code, bits 11:0. The code 0 means the address of a GHCB page.
    pub const fn info(self) -> u16 {
        (self.0 & 0xfff) as u16
    }

    /// Bits 63:12.
    pub const fn data(self) -> u64 {
        self.0 >> 12
    }

    /// Bits 63:32.
    pub const fn high(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The address of the GHCB page, for VMGEXIT by the page protocol.
    pub const fn from_page(gpa: Gpa) -> Self {
        Self(gpa.get() & !0xfff)
    }

    /// The address of the GHCB page, if the value is one.
    pub const fn page(self) -> Option<Gpa> {
        if self.info() == 0 {
            Some(Gpa::new(self.0))
        } else {
            None
        }
    }

    const fn of(info: u64, data: u64) -> Self {
        Self(info | data << 12)
    }

    const fn with_high(info: u64, high: u32) -> Self {
        Self(info | (high as u64) << 32)
    }
}

/// Bits 11:0 of the GHCB MSR.
pub mod info {
    /// Answer: SEV information. Also the MSR's value at reset.
    pub const SEV_INFO_RESPONSE: u16 = 0x001;
    /// Request: SEV information.
    pub const SEV_INFO_REQUEST: u16 = 0x002;
    /// Request: CPUID.
    pub const CPUID_REQUEST: u16 = 0x004;
    /// Answer: CPUID.
    pub const CPUID_RESPONSE: u16 = 0x005;
    /// Request: AP reset hold.
    pub const AP_RESET_HOLD_REQUEST: u16 = 0x006;
    /// Answer: AP reset hold.
    pub const AP_RESET_HOLD_RESPONSE: u16 = 0x007;
    /// Request: preferred GHCB address.
    pub const PREFERRED_GPA_REQUEST: u16 = 0x010;
    /// Answer: preferred GHCB address.
    pub const PREFERRED_GPA_RESPONSE: u16 = 0x011;
    /// Request: register the GHCB address.
    pub const REGISTER_GPA_REQUEST: u16 = 0x012;
    /// Answer: register the GHCB address.
    pub const REGISTER_GPA_RESPONSE: u16 = 0x013;
    /// Request: page state change.
    pub const PAGE_STATE_CHANGE_REQUEST: u16 = 0x014;
    /// Answer: page state change.
    pub const PAGE_STATE_CHANGE_RESPONSE: u16 = 0x015;
    /// Request: run VMPL.
    pub const RUN_VMPL_REQUEST: u16 = 0x016;
    /// Answer: run VMPL.
    pub const RUN_VMPL_RESPONSE: u16 = 0x017;
    /// Request: hypervisor features.
    pub const HV_FEATURES_REQUEST: u16 = 0x080;
    /// Answer: hypervisor features.
    pub const HV_FEATURES_RESPONSE: u16 = 0x081;
    /// Request: termination. It has no answer.
    pub const TERMINATE_REQUEST: u16 = 0x100;
}

/// A register of CPUID's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CpuidRegister {
    /// EAX, encoded as 0.
    Eax,
    /// EBX, encoded as 1.
    Ebx,
    /// ECX, encoded as 2.
    Ecx,
    /// EDX, encoded as 3.
    Edx,
}

impl CpuidRegister {
    /// All four, in their encoding's order.
    pub const ALL: [Self; 4] = [Self::Eax, Self::Ebx, Self::Ecx, Self::Edx];

    const fn encoding(self) -> u64 {
        match self {
            Self::Eax => 0,
            Self::Ebx => 1,
            Self::Ecx => 2,
            Self::Edx => 3,
        }
    }

    const fn from_low_bits(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::Eax,
            1 => Self::Ebx,
            2 => Self::Ecx,
            _ => Self::Edx,
        }
    }
}

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

/// What the host answers. Every number is the host's and not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the host may have refused"]
pub enum MsrResponse {
    /// Protocol versions and C-bit.
    SevInfo {
        /// Highest protocol version.
        max_version: u16,
        /// Lowest protocol version.
        min_version: u16,
        /// Bit number of the C-bit in a page table entry.
        c_bit: u8,
    },
    /// One register of CPUID.
    Cpuid {
        /// Its value.
        value: u32,
        /// The register.
        register: CpuidRegister,
    },
    /// AP reset hold has ended.
    ApResetHold {
        /// Whether the processor is to start: the result was not 0.
        woken: bool,
    },
    /// Where the host would like the GHCB.
    PreferredGpa {
        /// The page frame, or None when the host does not care.
        gfn: Option<u64>,
    },
    /// Registration of the GHCB.
    RegisterGpa {
        /// The page frame registered, or None when the host refused. It has to
        /// be compared with the one asked for.
        gfn: Option<u64>,
    },
    /// Page state change.
    PageStateChange {
        /// 0, or why not.
        error: u32,
    },
    /// The other VMPL has run.
    RunVmpl {
        /// 0, or why it has not.
        error: u32,
    },
    /// Hypervisor features, 52 bits.
    HvFeatures(HvFeatures),
    /// Anything else, and known answers with reserved bits set.
    Other(u64),
}

impl MsrResponse {
    /// The MSR's value. Numbers too large for their field lose their high bits.
    pub const fn encode(self) -> MsrValue {
        match self {
            Self::SevInfo {
                max_version,
                min_version,
                c_bit,
            } => MsrValue(
                info::SEV_INFO_RESPONSE as u64
                    | (c_bit as u64) << 24
                    | (min_version as u64) << 32
                    | (max_version as u64) << 48,
            ),
            Self::Cpuid { value, register } => MsrValue(
                info::CPUID_RESPONSE as u64 | register.encoding() << 30 | (value as u64) << 32,
            ),
            Self::ApResetHold { woken } => {
                MsrValue::of(info::AP_RESET_HOLD_RESPONSE as u64, woken as u64)
            }
            Self::PreferredGpa { gfn } => {
                MsrValue::of(info::PREFERRED_GPA_RESPONSE as u64, gfn_or_ones(gfn))
            }
            Self::RegisterGpa { gfn } => {
                MsrValue::of(info::REGISTER_GPA_RESPONSE as u64, gfn_or_ones(gfn))
            }
            Self::PageStateChange { error } => {
                MsrValue::with_high(info::PAGE_STATE_CHANGE_RESPONSE as u64, error)
            }
            Self::RunVmpl { error } => MsrValue::with_high(info::RUN_VMPL_RESPONSE as u64, error),
            Self::HvFeatures(features) => MsrValue::of(
                info::HV_FEATURES_RESPONSE as u64,
                features.bits() & PFN_BITS,
            ),
            Self::Other(value) => MsrValue(value),
        }
    }

    /// The answer that the value is.
    pub fn decode(value: MsrValue) -> Self {
        let response = match value.info() {
            info::SEV_INFO_RESPONSE => Self::SevInfo {
                max_version: (value.0 >> 48) as u16,
                min_version: (value.0 >> 32) as u16,
                c_bit: (value.0 >> 24) as u8,
            },
            info::CPUID_RESPONSE => Self::Cpuid {
                value: value.high(),
                register: CpuidRegister::from_low_bits(value.0 >> 30),
            },
            // Any number but 0 wakes: it does not come back from encode().
            info::AP_RESET_HOLD_RESPONSE => {
                return Self::ApResetHold {
                    woken: value.data() != 0,
                };
            }
            info::PREFERRED_GPA_RESPONSE => Self::PreferredGpa {
                gfn: gfn_unless_ones(value.data()),
            },
            info::REGISTER_GPA_RESPONSE => Self::RegisterGpa {
                gfn: gfn_unless_ones(value.data()),
            },
            info::PAGE_STATE_CHANGE_RESPONSE => Self::PageStateChange {
                error: value.high(),
            },
            info::RUN_VMPL_RESPONSE => Self::RunVmpl {
                error: value.high(),
            },
            info::HV_FEATURES_RESPONSE => {
                Self::HvFeatures(HvFeatures::from_bits_retain(value.data()))
            }
            _ => return Self::Other(value.0),
        };
        if response.encode() == value {
            response
        } else {
            Self::Other(value.0)
        }
    }
}

const fn gfn_or_ones(gfn: Option<u64>) -> u64 {
    match gfn {
        Some(gfn) => gfn & PFN_BITS,
        None => PFN_BITS,
    }
}

const fn gfn_unless_ones(gfn: u64) -> Option<u64> {
    if gfn == PFN_BITS { None } else { Some(gfn) }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn answers_are_read_as_published() {
        assert_eq!(
            MsrResponse::decode(MsrValue(0x0002_0001_3300_0001)),
            MsrResponse::SevInfo {
                max_version: 2,
                min_version: 1,
                c_bit: 51
            }
        );
        assert_eq!(
            MsrResponse::decode(MsrValue(0xffff_ffff_ffff_f013)),
            MsrResponse::RegisterGpa { gfn: None }
        );
        assert_eq!(
            MsrResponse::decode(MsrValue(0x8000_0000_0000_0015)),
            MsrResponse::PageStateChange { error: 1 << 31 }
        );
        assert_eq!(
            MsrResponse::decode(MsrValue(0x33_081)),
            MsrResponse::HvFeatures(HvFeatures::from_bits_retain(0x33))
        );
        assert_eq!(
            MsrResponse::decode(MsrValue(0x5_0007)),
            MsrResponse::ApResetHold { woken: true }
        );
    }

    #[test]
    fn reserved_bits_make_a_value_unknown() {
        for bits in [
            0x1002,
            0x1015,
            0x1017,
            0x1004,
            1 << 40 | 0x16,
            1 << 56 | 0x14,
        ] {
            let value = MsrValue(bits);
            assert_eq!(MsrRequest::decode(value), MsrRequest::Other(bits));
            assert_eq!(MsrResponse::decode(value), MsrResponse::Other(bits));
        }
    }

    #[test]
    fn a_page_address_is_no_request() {
        let value = MsrValue::from_page(Gpa::new(0x80_9000));
        assert_eq!(value.page(), Some(Gpa::new(0x80_9000)));
        assert_eq!(MsrRequest::decode(value), MsrRequest::Other(0x80_9000));
        assert_eq!(MsrRequest::SevInfo.encode().page(), None);
    }

    fn register() -> impl Strategy<Value = CpuidRegister> {
        (0usize..4).prop_map(|index| CpuidRegister::ALL[index])
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

    fn response() -> impl Strategy<Value = MsrResponse> {
        let gfn = || proptest::option::of(0..PFN_BITS);
        prop_oneof![
            (any::<u16>(), any::<u16>(), any::<u8>()).prop_map(
                |(max_version, min_version, c_bit)| {
                    MsrResponse::SevInfo {
                        max_version,
                        min_version,
                        c_bit,
                    }
                }
            ),
            (any::<u32>(), register())
                .prop_map(|(value, register)| MsrResponse::Cpuid { value, register }),
            any::<bool>().prop_map(|woken| MsrResponse::ApResetHold { woken }),
            gfn().prop_map(|gfn| MsrResponse::PreferredGpa { gfn }),
            gfn().prop_map(|gfn| MsrResponse::RegisterGpa { gfn }),
            any::<u32>().prop_map(|error| MsrResponse::PageStateChange { error }),
            any::<u32>().prop_map(|error| MsrResponse::RunVmpl { error }),
            (0..=PFN_BITS)
                .prop_map(|bits| MsrResponse::HvFeatures(HvFeatures::from_bits_retain(bits))),
        ]
    }

    proptest! {
        #[test]
        fn a_request_comes_back(request in request()) {
            prop_assert_eq!(MsrRequest::decode(request.encode()), request);
        }

        #[test]
        fn a_response_comes_back(response in response()) {
            prop_assert_eq!(MsrResponse::decode(response.encode()), response);
        }

        #[test]
        fn any_value_is_decoded_without_loss(data: u64, code in 0u64..0x120) {
            let value = MsrValue(data << 12 | code);
            prop_assert_eq!(MsrRequest::decode(value).encode(), value);
            match MsrResponse::decode(value) {
                MsrResponse::ApResetHold { woken } => prop_assert_eq!(woken, value.data() != 0),
                response => prop_assert_eq!(response.encode(), value),
            }
        }
    }
}
