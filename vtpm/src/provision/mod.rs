//! What a manufacturer does with a new TPM: endorsement keys with certificates
//! in the NV indices where everybody looks for them, and the first persistent
//! keys.

mod certificate;
mod equip;
mod template;
#[cfg(test)]
mod tests;

pub use certificate::{Authority, LocalAuthority, certify};
pub use template::{EndorsementKey, storage_root_key};

use crate::crypto::hash::HashAlg;
use crate::limits::{MAX_NV_INDEX_SIZE, MAX_RESPONSE_SIZE};
use crate::platform::Platform;
use crate::rc::Rc;
use crate::state::NvIndex;
use crate::tpm::Tpm;
use crate::wire::{
    Handle, Marshal, NvAttributes, NvPublic, PcrSelection, Public, Reader, RhNvIndex,
    SensitiveCreate, Sized2b, Tpm2bAuth, Tpm2bData, Tpm2bDigest, Tpm2bPublic, Tpm2bSensitiveData,
    Writer, st,
};
use alloc::vec::Vec;

/// Where the storage root key is kept.
pub const SRK_HANDLE: Handle = Handle(0x8100_0001);
/// Where the RSA-2048 endorsement key is kept.
pub const EK_HANDLE: Handle = Handle(0x8101_0001);

/// Attributes of an index with a certificate: written once by the platform,
/// read by all.
const CERTIFICATE: NvAttributes = NvAttributes(0x6207_2801);

/// Why a TPM could not be provisioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvisionError {
    /// A command failed.
    Command(Rc),
    /// The authority did not sign.
    Authority,
    /// A certificate is larger than an NV index.
    TooLarge,
    /// The platform did not store, or the TPM has no power.
    Platform,
}

impl From<Rc> for ProvisionError {
    fn from(rc: Rc) -> Self {
        ProvisionError::Command(rc)
    }
}

/// The bytes of a CreatePrimary with empty auth values: for callers that make
/// an endorsement key in slices ([`Tpm::begin`]).
#[must_use]
pub fn create_primary(hierarchy: Handle, template: &Public) -> Vec<u8> {
    let mut parameters = Writer::new();
    let empty = SensitiveCreate {
        user_auth: Tpm2bAuth::empty(),
        data: Tpm2bSensitiveData::empty(),
    };
    Sized2b(empty).marshal(&mut parameters);
    Sized2b(template.clone()).marshal(&mut parameters);
    Tpm2bData::empty().marshal(&mut parameters);
    PcrSelection::empty().marshal(&mut parameters);
    command(0x131, &[hierarchy], 1, &parameters)
}

/// Handle and public area in the answer to [`create_primary`].
pub fn created(response: &[u8]) -> Result<(Handle, Public), Rc> {
    let mut r = Reader::new(response);
    let _tag: u16 = r.read()?;
    let _size: u32 = r.read()?;
    let rc = Rc(r.read()?);
    if rc != Rc::SUCCESS {
        return Err(rc);
    }
    let handle = r.read()?;
    let _parameter_size: u32 = r.read()?;
    let public: Tpm2bPublic = r.read()?;
    Ok((handle, public.0))
}

/// A command of which the first `passwords` handles are authorized by empty
/// passwords.
fn command(code: u32, handles: &[Handle], passwords: usize, parameters: &[u8]) -> Vec<u8> {
    let mut body = Writer::new();
    code.marshal(&mut body);
    handles.iter().for_each(|h| h.marshal(&mut body));
    if passwords > 0 {
        u32::try_from(passwords * 9).unwrap_or(0).marshal(&mut body);
        for _ in 0..passwords {
            Handle::PW.marshal(&mut body);
            [0, 0, 0, 0, 0].marshal(&mut body);
        }
    }
    body.extend_from_slice(parameters);
    let mut out = Writer::new();
    if passwords > 0 {
        st::SESSIONS
    } else {
        st::NO_SESSIONS
    }
    .marshal(&mut out);
    u32::try_from(body.len() + 6).unwrap_or(0).marshal(&mut out);
    out.extend_from_slice(&body);
    out
}

impl<P: Platform> Tpm<P> {
    /// Provisions a started TPM whose auth values are empty: a certificate for
    /// each of `keys`, the RSA-2048 endorsement key (if it is among them) and
    /// the storage root key as persistent objects. What is there already is
    /// replaced.
    pub fn provision(
        &mut self,
        authority: &mut dyn Authority,
        keys: &[EndorsementKey],
    ) -> Result<(), ProvisionError> {
        for &key in keys {
            let (h, public) = self.make(Handle::ENDORSEMENT, &key.template())?;
            let certificate = certify(authority, &public).ok_or(ProvisionError::Authority)?;
            self.store_certificate(key, &certificate)?;
            if key == EndorsementKey::Rsa2048 {
                self.keep(h, EK_HANDLE)?;
            }
            self.send(&command(0x165, &[], 0, &h.to_bytes()))?;
        }
        let (h, _) = self.make(Handle::OWNER, &storage_root_key())?;
        self.keep(h, SRK_HANDLE)?;
        self.send(&command(0x165, &[], 0, &h.to_bytes()))?;
        Ok(())
    }

    fn send(&mut self, command: &[u8]) -> Result<Vec<u8>, ProvisionError> {
        let mut buffer = [0; MAX_RESPONSE_SIZE];
        let len = self.execute(0, command, &mut buffer);
        let response = buffer.get(..len).unwrap_or_default();
        let rc = Reader::new(response.get(6..).unwrap_or_default())
            .read()
            .map(Rc)?;
        if rc == Rc::SUCCESS {
            Ok(response.to_vec())
        } else {
            Err(rc.into())
        }
    }

    fn make(
        &mut self,
        hierarchy: Handle,
        template: &Public,
    ) -> Result<(Handle, Public), ProvisionError> {
        Ok(created(&self.send(&create_primary(hierarchy, template))?)?)
    }

    /// Makes a primary object persistent, in place of what is there.
    fn keep(&mut self, h: Handle, place: Handle) -> Result<(), ProvisionError> {
        let evict = |what: Handle| command(0x120, &[Handle::OWNER, what], 1, &place.to_bytes());
        match self.send(&evict(place)) {
            Ok(_) => {}
            // Nothing was there.
            Err(ProvisionError::Command(rc)) if rc == Rc::HANDLE.handle(2) => {}
            Err(error) => return Err(error),
        }
        self.send(&evict(h)).map(|_| ())
    }

    fn store_certificate(
        &mut self,
        key: EndorsementKey,
        certificate: &[u8],
    ) -> Result<(), ProvisionError> {
        if certificate.len() > MAX_NV_INDEX_SIZE {
            return Err(ProvisionError::TooLarge);
        }
        let index = key.certificate_index();
        let public = NvPublic {
            index: RhNvIndex(index),
            name_alg: HashAlg::Sha256,
            attributes: CERTIFICATE,
            auth_policy: Tpm2bDigest::empty(),
            data_size: u16::try_from(certificate.len()).unwrap_or(u16::MAX),
        };
        let value = NvIndex {
            public,
            auth: Tpm2bAuth::empty(),
            data: certificate.to_vec(),
        };
        self.put_index(index, value)
            .map_err(|_| ProvisionError::Platform)
    }
}
