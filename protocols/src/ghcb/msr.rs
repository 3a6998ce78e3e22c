//! The MSR protocol of the GHCB, both directions (AMD publication 56421, GHCB
//! MSR protocol).

mod request;
mod response;

pub use request::*;
pub use response::*;

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    pub(super) fn register() -> impl Strategy<Value = CpuidRegister> {
        (0usize..4).prop_map(|index| CpuidRegister::ALL[index])
    }

    proptest! {
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
