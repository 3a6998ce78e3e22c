//! Answers of the MSR protocol.

use super::super::HvFeatures;
use super::{CpuidRegister, MsrValue, PFN_BITS, info};

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
    use super::super::tests::register;
    use super::*;
    use proptest::prelude::*;

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
        fn a_response_comes_back(response in response()) {
            prop_assert_eq!(MsrResponse::decode(response.encode()), response);
        }
    }
}
