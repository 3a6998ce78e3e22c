//! NV indices (Part 2, 13).

use super::{Marshal, Reader, Unmarshal, Writer};
use super::{NvAttributes, RhNvIndex, Sized2b, Tpm2bDigest};
use crate::crypto::hash::HashAlg;
use crate::limits::MAX_NV_INDEX_SIZE;
use crate::rc::{Rc, Result};

/// TPMS_NV_PUBLIC.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NvPublic {
    pub index: RhNvIndex,
    pub name_alg: HashAlg,
    pub attributes: NvAttributes,
    pub auth_policy: Tpm2bDigest,
    /// Bytes of data, at most [`MAX_NV_INDEX_SIZE`].
    pub data_size: u16,
}

/// TPM2B_NV_PUBLIC.
pub type Tpm2bNvPublic = Sized2b<NvPublic>;

impl Marshal for NvPublic {
    fn marshal(&self, out: &mut Writer) {
        self.index.marshal(out);
        self.name_alg.marshal(out);
        self.attributes.marshal(out);
        self.auth_policy.marshal(out);
        self.data_size.marshal(out);
    }
}

impl Unmarshal for NvPublic {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let index = r.read()?;
        let name_alg = r.read()?;
        let attributes = r.read()?;
        let auth_policy = r.read()?;
        let data_size: u16 = r.read()?;
        if usize::from(data_size) > MAX_NV_INDEX_SIZE {
            return Err(Rc::SIZE);
        }
        Ok(NvPublic {
            index,
            name_alg,
            attributes,
            auth_policy,
            data_size,
        })
    }
}
