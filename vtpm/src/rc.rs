//! TPM response codes (Part 2, 6.6).

use core::fmt;

/// A response code. Open-ended: the constants below are those that this TPM
/// answers with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rc(pub u32);

/// What most functions of this crate return: a value or the code to answer.
pub type Result<T> = core::result::Result<T, Rc>;

/// Bit that marks a format-one code, which names a handle, parameter or session.
const FMT1: u32 = 0x080;
/// Format-one codes: whether the number is that of a parameter.
const PARAMETER: u32 = 0x040;
/// Format-one codes: whether the number is that of a session.
const SESSION: u32 = 0x800;
/// Format-one codes: the number's place.
const NUMBER: u32 = 0xF00;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        #[allow(missing_docs)]
        impl Rc {
            $($(#[$doc])* pub const $name: Rc = Rc($value);)*

            /// The specification's name for the code without its number.
            fn name(self) -> &'static str {
                match self.base() {
                    $(Rc::$name => stringify!($name),)*
                    _ => "?",
                }
            }
        }
    };
}

codes! {
    SUCCESS = 0x000;
    BAD_TAG = 0x01E;
    INITIALIZE = 0x100;
    FAILURE = 0x101;
    SEQUENCE = 0x103;
    PRIVATE = 0x10B;
    HMAC = 0x119;
    DISABLED = 0x120;
    EXCLUSIVE = 0x121;
    AUTH_TYPE = 0x124;
    AUTH_MISSING = 0x125;
    POLICY = 0x126;
    PCR = 0x127;
    PCR_CHANGED = 0x128;
    UPGRADE = 0x12D;
    TOO_MANY_CONTEXTS = 0x12E;
    AUTH_UNAVAILABLE = 0x12F;
    REBOOT = 0x130;
    UNBALANCED = 0x131;
    COMMAND_SIZE = 0x142;
    COMMAND_CODE = 0x143;
    AUTHSIZE = 0x144;
    AUTH_CONTEXT = 0x145;
    NV_RANGE = 0x146;
    NV_SIZE = 0x147;
    NV_LOCKED = 0x148;
    NV_AUTHORIZATION = 0x149;
    NV_UNINITIALIZED = 0x14A;
    NV_SPACE = 0x14B;
    NV_DEFINED = 0x14C;
    BAD_CONTEXT = 0x150;
    CPHASH = 0x151;
    PARENT = 0x152;
    NEEDS_TEST = 0x153;
    NO_RESULT = 0x154;
    SENSITIVE = 0x155;
    READ_ONLY = 0x156;

    ASYMMETRIC = FMT1 + 0x001;
    ATTRIBUTES = FMT1 + 0x002;
    HASH = FMT1 + 0x003;
    VALUE = FMT1 + 0x004;
    HIERARCHY = FMT1 + 0x005;
    KEY_SIZE = FMT1 + 0x007;
    MGF = FMT1 + 0x008;
    MODE = FMT1 + 0x009;
    TYPE = FMT1 + 0x00A;
    HANDLE = FMT1 + 0x00B;
    KDF = FMT1 + 0x00C;
    RANGE = FMT1 + 0x00D;
    AUTH_FAIL = FMT1 + 0x00E;
    NONCE = FMT1 + 0x00F;
    PP = FMT1 + 0x010;
    SCHEME = FMT1 + 0x012;
    SIZE = FMT1 + 0x015;
    SYMMETRIC = FMT1 + 0x016;
    TAG = FMT1 + 0x017;
    SELECTOR = FMT1 + 0x018;
    INSUFFICIENT = FMT1 + 0x01A;
    SIGNATURE = FMT1 + 0x01B;
    KEY = FMT1 + 0x01C;
    POLICY_FAIL = FMT1 + 0x01D;
    INTEGRITY = FMT1 + 0x01F;
    TICKET = FMT1 + 0x020;
    RESERVED_BITS = FMT1 + 0x021;
    BAD_AUTH = FMT1 + 0x022;
    EXPIRED = FMT1 + 0x023;
    POLICY_CC = FMT1 + 0x024;
    BINDING = FMT1 + 0x025;
    CURVE = FMT1 + 0x026;
    ECC_POINT = FMT1 + 0x027;

    CONTEXT_GAP = 0x901;
    OBJECT_MEMORY = 0x902;
    SESSION_MEMORY = 0x903;
    MEMORY = 0x904;
    SESSION_HANDLES = 0x905;
    OBJECT_HANDLES = 0x906;
    LOCALITY = 0x907;
    CANCELED = 0x909;
    TESTING = 0x90A;
    REFERENCE_H0 = 0x910;
    REFERENCE_S0 = 0x918;
    LOCKOUT = 0x921;
    RETRY = 0x922;
    NV_UNAVAILABLE = 0x923;

    /// Never answered: an action returns it when it waits for a long
    /// operation, and is run again when that is done.
    MORE_WORK = 0xFFFF_FFFF;
}

impl Rc {
    /// Whether the code can carry the number of a handle, parameter or session
    /// and does not yet.
    fn is_bare_format_one(self) -> bool {
        self.0 & !0x3F == FMT1
    }

    fn with(self, kind: u32, number: usize) -> Rc {
        if !self.is_bare_format_one() {
            return self;
        }
        let number = u32::try_from(number).unwrap_or(0) & 0xF;
        Rc(self.0 | kind | (number << 8))
    }

    /// The code with handle number `number` (from 1); a code that carries a
    /// number already, or cannot, is returned as it is.
    #[must_use]
    pub fn handle(self, number: usize) -> Rc {
        self.with(0, number & 7)
    }

    /// The code with parameter number `number` (from 1).
    #[must_use]
    pub fn parameter(self, number: usize) -> Rc {
        self.with(PARAMETER, number)
    }

    /// The code with session number `number` (from 1).
    #[must_use]
    pub fn session(self, number: usize) -> Rc {
        self.with(SESSION, number & 7)
    }

    /// REFERENCE_H0 and its successors: what handle `index` (from 0) refers to
    /// is not loaded.
    #[must_use]
    pub fn reference_handle(index: usize) -> Rc {
        Rc(Rc::REFERENCE_H0.0 | (u32::try_from(index).unwrap_or(0) & 7))
    }

    /// REFERENCE_S0 and its successors: session `index` (from 0) is not loaded.
    #[must_use]
    pub fn reference_session(index: usize) -> Rc {
        Rc(Rc::REFERENCE_S0.0 | (u32::try_from(index).unwrap_or(0) & 7))
    }

    /// The code without its number.
    #[must_use]
    pub fn base(self) -> Rc {
        if self.0 > 0xFFF || self.0 & FMT1 == 0 {
            return self;
        }
        Rc(self.0 & !(NUMBER | PARAMETER))
    }
}

impl fmt::Debug for Rc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        if self.0 & FMT1 != 0 && self.0 <= 0xFFF {
            let number = (self.0 & NUMBER) >> 8;
            match (self.0 & PARAMETER != 0, number) {
                (_, 0) => {}
                (true, n) => write!(f, "+P{n}")?,
                (false, n) if n >= 8 => write!(f, "+S{}", n - 8)?,
                (false, n) => write!(f, "+H{n}")?,
            }
        }
        write!(f, "({:#05x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_where_the_specification_puts_them() {
        assert_eq!(Rc::VALUE.handle(1).0, 0x184);
        assert_eq!(Rc::VALUE.parameter(1).0, 0x1C4);
        assert_eq!(Rc::VALUE.parameter(2).0, 0x2C4);
        assert_eq!(Rc::AUTH_FAIL.session(1).0, 0x98E);
        assert_eq!(Rc::BAD_AUTH.session(1).0, 0x9A2);
        assert_eq!(Rc::reference_handle(1).0, 0x911);
        assert_eq!(Rc::reference_session(0).0, 0x918);
    }

    #[test]
    fn a_number_is_added_once_and_to_format_one_only() {
        assert_eq!(Rc::SIZE.parameter(3).parameter(1), Rc::SIZE.parameter(3));
        assert_eq!(Rc::LOCKOUT.session(1), Rc::LOCKOUT);
        assert_eq!(Rc::NV_LOCKED.handle(1), Rc::NV_LOCKED);
        assert_eq!(Rc::SIZE.parameter(3).base(), Rc::SIZE);
    }
}
