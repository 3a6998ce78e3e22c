//! Symmetric definitions and schemes (Part 2, 11.1 and 11.2).

use super::alg::id;
use super::{Marshal, Reader, Unmarshal, Writer};
use crate::crypto::hash::HashAlg;
use crate::crypto::sym::Mode;
use crate::rc::{Rc, Result};
use core::ops::Deref;

/// AES with a key size and a mode (`None`: TPM_ALG_NULL, any mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aes {
    /// 128 or 256.
    pub key_bits: u16,
    /// The mode.
    pub mode: Option<Mode>,
}

impl Aes {
    /// The key's size in bytes.
    #[must_use]
    pub fn key_bytes(self) -> usize {
        usize::from(self.key_bits) / 8
    }

    fn read_rest(r: &mut Reader<'_>) -> Result<Aes> {
        let key_bits: u16 = r.read()?;
        if !matches!(key_bits, 128 | 256) {
            return Err(Rc::VALUE);
        }
        Ok(Aes {
            key_bits,
            mode: r.read()?,
        })
    }
}

impl Marshal for Aes {
    fn marshal(&self, out: &mut Writer) {
        id::AES.marshal(out);
        self.key_bits.marshal(out);
        self.mode.marshal(out);
    }
}

/// TPMT_SYM_DEF_OBJECT: `None` is TPM_ALG_NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymDefObject(pub Option<Aes>);

impl Marshal for SymDefObject {
    fn marshal(&self, out: &mut Writer) {
        match &self.0 {
            None => id::NULL.marshal(out),
            Some(aes) => aes.marshal(out),
        }
    }
}

impl Unmarshal for SymDefObject {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        match r.read()? {
            id::NULL => Ok(SymDefObject(None)),
            id::AES => Ok(SymDefObject(Some(Aes::read_rest(r)?))),
            _ => Err(Rc::SYMMETRIC),
        }
    }
}

/// TPMT_SYM_DEF: how a session encrypts parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymDef {
    /// Not at all.
    Null,
    /// With AES.
    Aes(Aes),
    /// By exclusive or with a mask from KDFa.
    Xor(HashAlg),
}

impl Marshal for SymDef {
    fn marshal(&self, out: &mut Writer) {
        match self {
            SymDef::Null => id::NULL.marshal(out),
            SymDef::Aes(aes) => aes.marshal(out),
            SymDef::Xor(hash) => {
                id::XOR.marshal(out);
                hash.marshal(out);
            }
        }
    }
}

impl Unmarshal for SymDef {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        match r.read()? {
            id::NULL => Ok(SymDef::Null),
            id::AES => Ok(SymDef::Aes(Aes::read_rest(r)?)),
            id::XOR => Ok(SymDef::Xor(r.read()?)),
            _ => Err(Rc::SYMMETRIC),
        }
    }
}

/// TPMI_ALG_KDF.
#[allow(missing_docs, non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kdf {
    Mgf1,
    Kdf1Sp800_56A,
    Kdf2,
    Kdf1Sp800_108,
}

impl Kdf {
    /// Its TPM_ALG_ID.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Kdf::Mgf1 => id::MGF1,
            Kdf::Kdf1Sp800_56A => id::KDF1_SP800_56A,
            Kdf::Kdf2 => id::KDF2,
            Kdf::Kdf1Sp800_108 => id::KDF1_SP800_108,
        }
    }

    fn from_id(alg: u16) -> Result<Kdf> {
        match alg {
            id::MGF1 => Ok(Kdf::Mgf1),
            id::KDF1_SP800_56A => Ok(Kdf::Kdf1Sp800_56A),
            id::KDF2 => Ok(Kdf::Kdf2),
            id::KDF1_SP800_108 => Ok(Kdf::Kdf1Sp800_108),
            _ => Err(Rc::KDF),
        }
    }
}

/// TPMT_KDF_SCHEME: `None` is TPM_ALG_NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfScheme(pub Option<(Kdf, HashAlg)>);

impl Marshal for KdfScheme {
    fn marshal(&self, out: &mut Writer) {
        match self.0 {
            None => id::NULL.marshal(out),
            Some((kdf, hash)) => {
                kdf.id().marshal(out);
                hash.marshal(out);
            }
        }
    }
}

impl Unmarshal for KdfScheme {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        match r.read()? {
            id::NULL => Ok(KdfScheme(None)),
            other => Ok(KdfScheme(Some((Kdf::from_id(other)?, r.read()?)))),
        }
    }
}

/// Any signing, encryption or key exchange scheme with its details. The types
/// below say which of them stand at a place.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Null,
    RsaSsa(HashAlg),
    RsaPss(HashAlg),
    RsaEs,
    Oaep(HashAlg),
    EcDsa(HashAlg),
    EcDaa { hash: HashAlg, count: u16 },
    EcSchnorr(HashAlg),
    EcDh(HashAlg),
    Hmac(HashAlg),
    Xor { hash: HashAlg, kdf: Option<Kdf> },
}

impl Scheme {
    /// Its TPM_ALG_ID.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Scheme::Null => id::NULL,
            Scheme::RsaSsa(_) => id::RSASSA,
            Scheme::RsaPss(_) => id::RSAPSS,
            Scheme::RsaEs => id::RSAES,
            Scheme::Oaep(_) => id::OAEP,
            Scheme::EcDsa(_) => id::ECDSA,
            Scheme::EcDaa { .. } => id::ECDAA,
            Scheme::EcSchnorr(_) => id::ECSCHNORR,
            Scheme::EcDh(_) => id::ECDH,
            Scheme::Hmac(_) => id::HMAC,
            Scheme::Xor { .. } => id::XOR,
        }
    }

    /// Its hash algorithm.
    #[must_use]
    pub fn hash(self) -> Option<HashAlg> {
        match self {
            Scheme::Null | Scheme::RsaEs => None,
            Scheme::RsaSsa(h)
            | Scheme::RsaPss(h)
            | Scheme::Oaep(h)
            | Scheme::EcDsa(h)
            | Scheme::EcSchnorr(h)
            | Scheme::EcDh(h)
            | Scheme::Hmac(h)
            | Scheme::EcDaa { hash: h, .. }
            | Scheme::Xor { hash: h, .. } => Some(h),
        }
    }

    /// Whether it signs.
    #[must_use]
    pub fn signs(self) -> bool {
        matches!(
            self,
            Scheme::RsaSsa(_)
                | Scheme::RsaPss(_)
                | Scheme::EcDsa(_)
                | Scheme::EcDaa { .. }
                | Scheme::EcSchnorr(_)
                | Scheme::Hmac(_)
        )
    }

    fn read(r: &mut Reader<'_>, allowed: &[u16], wrong: Rc) -> Result<Scheme> {
        let alg: u16 = r.read()?;
        if alg == id::NULL {
            return Ok(Scheme::Null);
        }
        if !allowed.contains(&alg) {
            return Err(wrong);
        }
        Ok(match alg {
            id::RSASSA => Scheme::RsaSsa(r.read()?),
            id::RSAPSS => Scheme::RsaPss(r.read()?),
            id::RSAES => Scheme::RsaEs,
            id::OAEP => Scheme::Oaep(r.read()?),
            id::ECDSA => Scheme::EcDsa(r.read()?),
            id::ECDAA => Scheme::EcDaa {
                hash: r.read()?,
                count: r.read()?,
            },
            id::ECSCHNORR => Scheme::EcSchnorr(r.read()?),
            id::ECDH => Scheme::EcDh(r.read()?),
            id::HMAC => Scheme::Hmac(r.read()?),
            id::XOR => {
                let hash = r.read()?;
                let kdf = match r.read()? {
                    id::NULL => None,
                    other => Some(Kdf::from_id(other)?),
                };
                Scheme::Xor { hash, kdf }
            }
            _ => return Err(wrong),
        })
    }
}

impl Marshal for Scheme {
    fn marshal(&self, out: &mut Writer) {
        self.id().marshal(out);
        if let Some(hash) = self.hash() {
            hash.marshal(out);
        }
        match self {
            Scheme::EcDaa { count, .. } => count.marshal(out),
            Scheme::Xor { kdf, .. } => kdf.map_or(id::NULL, Kdf::id).marshal(out),
            _ => {}
        }
    }
}

macro_rules! scheme_types {
    ($($(#[$doc:meta])* $name:ident: $wrong:ident, [$($alg:ident),*];)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub Scheme);

        impl $name {
            /// The algorithms that may stand here.
            pub const ALLOWED: &'static [u16] = &[$(id::$alg),*];
        }

        impl Deref for $name {
            type Target = Scheme;
            fn deref(&self) -> &Scheme {
                &self.0
            }
        }

        impl Marshal for $name {
            fn marshal(&self, out: &mut Writer) {
                self.0.marshal(out);
            }
        }

        impl Unmarshal for $name {
            fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
                Scheme::read(r, Self::ALLOWED, Rc::$wrong).map($name)
            }
        }
    )*};
}

scheme_types! {
    /// TPMT_RSA_SCHEME.
    RsaScheme: VALUE, [RSASSA, RSAES, RSAPSS, OAEP];
    /// TPMT_RSA_DECRYPT.
    RsaDecrypt: VALUE, [RSAES, OAEP];
    /// TPMT_ECC_SCHEME.
    EccScheme: SCHEME, [ECDSA, ECDAA, ECSCHNORR, ECDH];
    /// TPMT_SIG_SCHEME.
    SigScheme: SCHEME, [RSASSA, RSAPSS, ECDSA, ECDAA, ECSCHNORR, HMAC];
    /// TPMT_KEYEDHASH_SCHEME.
    KeyedHashScheme: VALUE, [HMAC, XOR];
}
