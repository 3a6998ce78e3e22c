//! Algorithm identifiers (Part 2, 6.3) and their interface types (Part 2, 9).

use super::{Marshal, Reader, Unmarshal, Writer};
use crate::crypto::ecc::Curve;
use crate::crypto::hash::HashAlg;
use crate::crypto::sym::Mode;
use crate::rc::{Rc, Result};

/// TPM_ALG_ID values.
#[allow(missing_docs)]
pub mod id {
    pub const RSA: u16 = 0x0001;
    pub const SHA1: u16 = 0x0004;
    pub const HMAC: u16 = 0x0005;
    pub const AES: u16 = 0x0006;
    pub const MGF1: u16 = 0x0007;
    pub const KEYEDHASH: u16 = 0x0008;
    pub const XOR: u16 = 0x000A;
    pub const SHA256: u16 = 0x000B;
    pub const SHA384: u16 = 0x000C;
    pub const SHA512: u16 = 0x000D;
    pub const NULL: u16 = 0x0010;
    pub const RSASSA: u16 = 0x0014;
    pub const RSAES: u16 = 0x0015;
    pub const RSAPSS: u16 = 0x0016;
    pub const OAEP: u16 = 0x0017;
    pub const ECDSA: u16 = 0x0018;
    pub const ECDH: u16 = 0x0019;
    pub const ECDAA: u16 = 0x001A;
    pub const ECSCHNORR: u16 = 0x001C;
    pub const KDF1_SP800_56A: u16 = 0x0020;
    pub const KDF2: u16 = 0x0021;
    pub const KDF1_SP800_108: u16 = 0x0022;
    pub const ECC: u16 = 0x0023;
    pub const SYMCIPHER: u16 = 0x0025;
    pub const CTR: u16 = 0x0040;
    pub const OFB: u16 = 0x0041;
    pub const CBC: u16 = 0x0042;
    pub const CFB: u16 = 0x0043;
    pub const ECB: u16 = 0x0044;
}

/// TPMI_ALG_HASH.
impl Unmarshal for HashAlg {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        HashAlg::from_id(r.read()?).ok_or(Rc::HASH)
    }
}

impl Marshal for HashAlg {
    fn marshal(&self, out: &mut Writer) {
        self.id().marshal(out);
    }
}

/// TPMI_ALG_HASH+: `None` is TPM_ALG_NULL.
impl Unmarshal for Option<HashAlg> {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        match r.read()? {
            id::NULL => Ok(None),
            other => HashAlg::from_id(other).map(Some).ok_or(Rc::HASH),
        }
    }
}

impl Marshal for Option<HashAlg> {
    fn marshal(&self, out: &mut Writer) {
        self.map_or(id::NULL, HashAlg::id).marshal(out);
    }
}

/// TPMI_ECC_CURVE.
impl Unmarshal for Curve {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        Curve::from_id(r.read()?).ok_or(Rc::CURVE)
    }
}

impl Marshal for Curve {
    fn marshal(&self, out: &mut Writer) {
        self.id().marshal(out);
    }
}

/// TPMI_ALG_CIPHER_MODE+ (`None` is TPM_ALG_NULL).
impl Unmarshal for Option<Mode> {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        match r.read()? {
            id::NULL => Ok(None),
            other => Mode::from_id(other).map(Some).ok_or(Rc::MODE),
        }
    }
}

impl Marshal for Option<Mode> {
    fn marshal(&self, out: &mut Writer) {
        self.map_or(id::NULL, Mode::id).marshal(out);
    }
}

/// TPMI_ALG_PUBLIC: the kind of an object.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectType {
    Rsa,
    KeyedHash,
    Ecc,
    SymCipher,
}

impl ObjectType {
    /// Its TPM_ALG_ID.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            ObjectType::Rsa => id::RSA,
            ObjectType::KeyedHash => id::KEYEDHASH,
            ObjectType::Ecc => id::ECC,
            ObjectType::SymCipher => id::SYMCIPHER,
        }
    }

    /// Whether it is an asymmetric key.
    #[must_use]
    pub fn is_asymmetric(self) -> bool {
        matches!(self, ObjectType::Rsa | ObjectType::Ecc)
    }
}

impl Unmarshal for ObjectType {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        match r.read()? {
            id::RSA => Ok(ObjectType::Rsa),
            id::KEYEDHASH => Ok(ObjectType::KeyedHash),
            id::ECC => Ok(ObjectType::Ecc),
            id::SYMCIPHER => Ok(ObjectType::SymCipher),
            _ => Err(Rc::TYPE),
        }
    }
}

impl Marshal for ObjectType {
    fn marshal(&self, out: &mut Writer) {
        self.id().marshal(out);
    }
}
