//! Public areas (Part 2, 12.2).

use super::{
    EccScheme, KdfScheme, KeyedHashScheme, Marshal, ObjectAttributes, ObjectType, Reader,
    RsaScheme, Sized2b, SymDefObject, Tpm2bDigest, Tpm2bEccParameter, Tpm2bPublicKeyRsa, Unmarshal,
    Writer,
};
use crate::crypto::ecc::Curve;
use crate::crypto::hash::HashAlg;
use crate::rc::{Rc, Result};
use core::ops::Deref;

crate::wire_struct! {
    /// TPMS_ECC_POINT.
    pub struct EccPoint {
        /// X, big-endian.
        pub x: Tpm2bEccParameter,
        /// Y, big-endian.
        pub y: Tpm2bEccParameter,
    }
}

/// TPM2B_ECC_POINT.
pub type Tpm2bEccPoint = Sized2b<EccPoint>;

/// TPMU_PUBLIC_PARMS with its selector.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicParams {
    KeyedHash {
        scheme: KeyedHashScheme,
    },
    SymCipher {
        symmetric: SymDefObject,
    },
    Rsa {
        symmetric: SymDefObject,
        scheme: RsaScheme,
        key_bits: u16,
        exponent: u32,
    },
    Ecc {
        symmetric: SymDefObject,
        scheme: EccScheme,
        curve: Curve,
        kdf: KdfScheme,
    },
}

/// TPMU_PUBLIC_ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unique {
    /// The digest of a keyed hash or symmetric object.
    Digest(Tpm2bDigest),
    /// The modulus of an RSA key.
    Rsa(Tpm2bPublicKeyRsa),
    /// The point of an ECC key.
    Ecc(EccPoint),
}

/// TPMT_PUBLIC. `name_alg` is `None` (TPM_ALG_NULL) only where the
/// specification allows it: [`PublicOrNull`].
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    pub name_alg: Option<HashAlg>,
    pub attributes: ObjectAttributes,
    pub auth_policy: Tpm2bDigest,
    pub params: PublicParams,
    pub unique: Unique,
}

/// TPM2B_PUBLIC.
pub type Tpm2bPublic = Sized2b<Public>;

/// TPMT_PUBLIC+: TPM_ALG_NULL may be the name algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicOrNull(pub Public);

impl PublicParams {
    /// The object's type.
    #[must_use]
    pub fn object_type(&self) -> ObjectType {
        match self {
            PublicParams::KeyedHash { .. } => ObjectType::KeyedHash,
            PublicParams::SymCipher { .. } => ObjectType::SymCipher,
            PublicParams::Rsa { .. } => ObjectType::Rsa,
            PublicParams::Ecc { .. } => ObjectType::Ecc,
        }
    }

    /// The symmetric algorithm of a parent, or of a symmetric key.
    #[must_use]
    pub fn symmetric(&self) -> SymDefObject {
        match self {
            PublicParams::KeyedHash { .. } => SymDefObject(None),
            PublicParams::SymCipher { symmetric }
            | PublicParams::Rsa { symmetric, .. }
            | PublicParams::Ecc { symmetric, .. } => *symmetric,
        }
    }

    /// Reads the parameters of an object of a type (TPMT_PUBLIC_PARMS after
    /// its selector).
    pub fn read(kind: ObjectType, r: &mut Reader<'_>) -> Result<Self> {
        Ok(match kind {
            ObjectType::KeyedHash => PublicParams::KeyedHash { scheme: r.read()? },
            ObjectType::SymCipher => {
                let symmetric: SymDefObject = r.read()?;
                if symmetric.0.is_none() {
                    return Err(Rc::SYMMETRIC);
                }
                PublicParams::SymCipher { symmetric }
            }
            ObjectType::Rsa => {
                let symmetric = r.read()?;
                let scheme = r.read()?;
                let key_bits: u16 = r.read()?;
                if !matches!(key_bits, 1024 | 2048 | 3072 | 4096) {
                    return Err(Rc::VALUE);
                }
                PublicParams::Rsa {
                    symmetric,
                    scheme,
                    key_bits,
                    exponent: r.read()?,
                }
            }
            ObjectType::Ecc => {
                let symmetric = r.read()?;
                let scheme = r.read()?;
                let curve = r.read()?;
                PublicParams::Ecc {
                    symmetric,
                    scheme,
                    curve,
                    kdf: r.read()?,
                }
            }
        })
    }

    fn put(&self, out: &mut Writer) {
        match self {
            PublicParams::KeyedHash { scheme } => scheme.marshal(out),
            PublicParams::SymCipher { symmetric } => symmetric.marshal(out),
            PublicParams::Rsa {
                symmetric,
                scheme,
                key_bits,
                exponent,
            } => {
                symmetric.marshal(out);
                scheme.marshal(out);
                key_bits.marshal(out);
                exponent.marshal(out);
            }
            PublicParams::Ecc {
                symmetric,
                scheme,
                curve,
                kdf,
            } => {
                symmetric.marshal(out);
                scheme.marshal(out);
                curve.marshal(out);
                kdf.marshal(out);
            }
        }
    }
}

/// TPMT_PUBLIC_PARMS: the selector and the parameters.
impl Unmarshal for PublicParams {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let kind = r.read()?;
        PublicParams::read(kind, r)
    }
}

impl Marshal for PublicParams {
    fn marshal(&self, out: &mut Writer) {
        self.object_type().marshal(out);
        self.put(out);
    }
}

impl Unique {
    /// Reads the unique field of an object of a type.
    pub fn read(kind: ObjectType, r: &mut Reader<'_>) -> Result<Self> {
        Ok(match kind {
            ObjectType::KeyedHash | ObjectType::SymCipher => Unique::Digest(r.read()?),
            ObjectType::Rsa => Unique::Rsa(r.read()?),
            ObjectType::Ecc => Unique::Ecc(r.read()?),
        })
    }

    fn put(&self, out: &mut Writer) {
        match self {
            Unique::Digest(d) => d.marshal(out),
            Unique::Rsa(n) => n.marshal(out),
            Unique::Ecc(p) => p.marshal(out),
        }
    }
}

impl Public {
    /// The object's type.
    #[must_use]
    pub fn object_type(&self) -> ObjectType {
        self.params.object_type()
    }

    /// Whether the attributes make it a parent of other objects.
    #[must_use]
    pub fn is_parent(&self) -> bool {
        self.attributes
            .has(ObjectAttributes::RESTRICTED.with(ObjectAttributes::DECRYPT))
            && !self.attributes.has(ObjectAttributes::SIGN)
    }

    /// Everything before `unique`, with the type given; CreateLoaded reads a
    /// template of a derived object with it.
    pub fn read_head(
        r: &mut Reader<'_>,
        null_name: bool,
    ) -> Result<(Option<HashAlg>, ObjectAttributes, Tpm2bDigest, PublicParams)> {
        let kind: ObjectType = r.read()?;
        let name_alg: Option<HashAlg> = r.read()?;
        if name_alg.is_none() && !null_name {
            return Err(Rc::HASH);
        }
        Ok((name_alg, r.read()?, r.read()?, PublicParams::read(kind, r)?))
    }

    fn read(r: &mut Reader<'_>, null_name: bool) -> Result<Self> {
        let (name_alg, attributes, auth_policy, params) = Self::read_head(r, null_name)?;
        let unique = Unique::read(params.object_type(), r)?;
        Ok(Public {
            name_alg,
            attributes,
            auth_policy,
            params,
            unique,
        })
    }
}

impl Unmarshal for Public {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        Public::read(r, false)
    }
}

impl Marshal for Public {
    fn marshal(&self, out: &mut Writer) {
        self.object_type().marshal(out);
        self.name_alg.marshal(out);
        self.attributes.marshal(out);
        self.auth_policy.marshal(out);
        self.params.put(out);
        self.unique.put(out);
    }
}

impl Unmarshal for PublicOrNull {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        Public::read(r, true).map(PublicOrNull)
    }
}

impl Marshal for PublicOrNull {
    fn marshal(&self, out: &mut Writer) {
        self.0.marshal(out);
    }
}

impl Deref for PublicOrNull {
    type Target = Public;
    fn deref(&self) -> &Public {
        &self.0
    }
}
