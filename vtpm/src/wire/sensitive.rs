//! Sensitive areas (Part 2, 11.1 and 12.3).

use super::{
    Locality, Marshal, ObjectType, PcrSelection, Reader, Sized2b, Tpm2bAuth, Tpm2bData,
    Tpm2bDigest, Tpm2bLabel, Tpm2bName, Tpm2bSensitiveData, Unmarshal, Writer, id,
};
use crate::crypto::hash::HashAlg;
use crate::limits::{MAX_ECC_KEY_BYTES, MAX_RSA_KEY_BYTES, MAX_SYM_DATA};
use crate::rc::{Rc, Result};
use crate::wire::Bytes;

crate::wire_struct! {
    /// TPMS_SENSITIVE_CREATE.
    pub struct SensitiveCreate {
        /// The object's auth value.
        pub user_auth: Tpm2bAuth,
        /// Data to seal, a key, or label and context of a derived object.
        pub data: Tpm2bSensitiveData,
    }

    /// TPMS_DERIVE.
    pub struct Derive {
        /// Label.
        pub label: Tpm2bLabel,
        /// Context.
        pub context: Tpm2bLabel,
    }

    /// TPMS_CREATION_DATA.
    pub struct CreationData {
        /// PCRs chosen at creation.
        pub pcr_select: PcrSelection,
        /// Their digest.
        pub pcr_digest: Tpm2bDigest,
        /// Locality of the creation.
        pub locality: Locality,
        /// Name algorithm of the parent.
        pub parent_name_alg: Option<HashAlg>,
        /// Name of the parent.
        pub parent_name: Tpm2bName,
        /// Qualified name of the parent.
        pub parent_qualified_name: Tpm2bName,
        /// What the caller gave.
        pub outside_info: Tpm2bData,
    }
}

/// TPM2B_SENSITIVE_CREATE.
pub type Tpm2bSensitiveCreate = Sized2b<SensitiveCreate>;

/// Largest TPMU_SENSITIVE_COMPOSITE member: an RSA prime, and five of them
/// where a vendor format would be used.
pub const MAX_SENSITIVE: usize = MAX_RSA_KEY_BYTES / 2;

/// TPMT_SENSITIVE.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensitive {
    pub kind: ObjectType,
    pub auth: Tpm2bAuth,
    pub seed: Tpm2bDigest,
    /// RSA: a prime; ECC: the scalar; keyed hash: key or data; symmetric: key.
    pub data: Bytes<MAX_SENSITIVE>,
}

impl Marshal for Sensitive {
    fn marshal(&self, out: &mut Writer) {
        self.kind.marshal(out);
        self.auth.marshal(out);
        self.seed.marshal(out);
        self.data.marshal(out);
    }
}

impl Unmarshal for Sensitive {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let kind = r.read()?;
        let auth = r.read()?;
        let seed = r.read()?;
        let data: Bytes<MAX_SENSITIVE> = r.read()?;
        let most = match kind {
            ObjectType::Rsa => MAX_SENSITIVE,
            ObjectType::Ecc => MAX_ECC_KEY_BYTES,
            ObjectType::KeyedHash => MAX_SYM_DATA,
            ObjectType::SymCipher => 32,
        };
        if data.len() > most {
            return Err(Rc::SIZE);
        }
        Ok(Sensitive {
            kind,
            auth,
            seed,
            data,
        })
    }
}

/// TPM2B_SENSITIVE.
pub type Tpm2bSensitive = Sized2b<Sensitive>;

/// The empty name algorithm of creation data whose parent is a hierarchy.
pub const NO_NAME_ALG: u16 = id::NULL;
