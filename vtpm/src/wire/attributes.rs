//! Attribute words (Part 2, 8): TPMA_OBJECT, TPMA_SESSION, TPMA_LOCALITY,
//! TPMA_NV, TPMA_CC. A reserved bit that is set is TPM_RC_RESERVED_BITS.

use super::{Marshal, Reader, Unmarshal, Writer};
use crate::rc::{Rc, Result};

macro_rules! attribute_words {
    ($($(#[$doc:meta])* $name:ident: $t:ty, reserved $reserved:expr, { $($bit:ident = $n:expr;)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
        pub struct $name(pub $t);

        #[allow(missing_docs)]
        impl $name {
            $(pub const $bit: $name = $name(1 << $n);)*

            /// Whether all bits of `other` are set.
            #[must_use]
            pub const fn has(self, other: $name) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether some bit of `other` is set.
            #[must_use]
            pub const fn has_any(self, other: $name) -> bool {
                self.0 & other.0 != 0
            }

            /// With the bits of `other` set.
            #[must_use]
            pub const fn with(self, other: $name) -> $name {
                $name(self.0 | other.0)
            }

            /// With the bits of `other` clear.
            #[must_use]
            pub const fn without(self, other: $name) -> $name {
                $name(self.0 & !other.0)
            }
        }

        impl Marshal for $name {
            fn marshal(&self, out: &mut Writer) {
                self.0.marshal(out);
            }
        }

        impl Unmarshal for $name {
            fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
                let value: $t = r.read()?;
                let reserved: $t = $reserved;
                if value & reserved != 0 {
                    return Err(Rc::RESERVED_BITS);
                }
                Ok($name(value))
            }
        }
    )*};
}

attribute_words! {
    /// TPMA_OBJECT.
    ObjectAttributes: u32, reserved 0xFFF0_F309, {
        FIXED_TPM = 1;
        ST_CLEAR = 2;
        FIXED_PARENT = 4;
        SENSITIVE_DATA_ORIGIN = 5;
        USER_WITH_AUTH = 6;
        ADMIN_WITH_POLICY = 7;
        NO_DA = 10;
        ENCRYPTED_DUPLICATION = 11;
        RESTRICTED = 16;
        DECRYPT = 17;
        SIGN = 18;
        X509_SIGN = 19;
    }

    /// TPMA_SESSION.
    SessionAttributes: u8, reserved 0x18, {
        CONTINUE_SESSION = 0;
        AUDIT_EXCLUSIVE = 1;
        AUDIT_RESET = 2;
        DECRYPT = 5;
        ENCRYPT = 6;
        AUDIT = 7;
    }

    /// TPMA_LOCALITY: bits for localities 0 to 4, or a number from 32 for an
    /// extended locality.
    Locality: u8, reserved 0, {
        ZERO = 0;
        ONE = 1;
        TWO = 2;
        THREE = 3;
        FOUR = 4;
    }

    /// TPMA_NV. Bits 4 to 7 hold the type of the index.
    NvAttributes: u32, reserved 0x01F0_0300, {
        PP_WRITE = 0;
        OWNER_WRITE = 1;
        AUTH_WRITE = 2;
        POLICY_WRITE = 3;
        POLICY_DELETE = 10;
        WRITE_LOCKED = 11;
        WRITE_ALL = 12;
        WRITE_DEFINE = 13;
        WRITE_ST_CLEAR = 14;
        GLOBAL_LOCK = 15;
        PP_READ = 16;
        OWNER_READ = 17;
        AUTH_READ = 18;
        POLICY_READ = 19;
        NO_DA = 25;
        ORDERLY = 26;
        CLEAR_ST_CLEAR = 27;
        READ_LOCKED = 28;
        WRITTEN = 29;
        PLATFORM_CREATE = 30;
        READ_ST_CLEAR = 31;
    }

    /// TPMA_CC, of which the low 16 bits are the command's index.
    CommandAttributes: u32, reserved 0, {
        NV = 22;
        EXTENSIVE = 23;
        FLUSHED = 24;
        R_HANDLE = 28;
        V = 29;
    }

    /// TPMA_STARTUP_CLEAR, as TPM_PT_STARTUP_CLEAR reports it.
    StartupClear: u32, reserved 0, {
        PH_ENABLE = 0;
        SH_ENABLE = 1;
        EH_ENABLE = 2;
        PH_ENABLE_NV = 3;
        READ_ONLY = 4;
        ORDERLY = 31;
    }

    /// TPMA_PERMANENT, as TPM_PT_PERMANENT reports it.
    Permanent: u32, reserved 0, {
        OWNER_AUTH_SET = 0;
        ENDORSEMENT_AUTH_SET = 1;
        LOCKOUT_AUTH_SET = 2;
        DISABLE_CLEAR = 8;
        IN_LOCKOUT = 9;
        TPM_GENERATED_EPS = 10;
    }
}

/// TPM_NT: the type of an NV index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NvType {
    /// Data of any kind.
    Ordinary,
    /// A number that only goes up.
    Counter,
    /// 64 bits that can only be set.
    Bits,
    /// A digest that is extended like a PCR.
    Extend,
    /// A PIN that counts failures.
    PinFail,
    /// A PIN that counts successes.
    PinPass,
}

impl NvAttributes {
    /// The type of the index, `None` when its number is not assigned.
    #[must_use]
    pub fn nv_type(self) -> Option<NvType> {
        match (self.0 >> 4) & 0xF {
            0 => Some(NvType::Ordinary),
            1 => Some(NvType::Counter),
            2 => Some(NvType::Bits),
            4 => Some(NvType::Extend),
            8 => Some(NvType::PinFail),
            9 => Some(NvType::PinPass),
            _ => None,
        }
    }
}
