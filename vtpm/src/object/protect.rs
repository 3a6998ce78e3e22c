//! How sensitive areas, duplicates and credentials are protected outside of
//! the TPM (Part 1, 22.4 to 22.6 and 24): encrypted with AES in CFB mode, then
//! authenticated together with the Name, with keys from a seed.

use crate::crypto::hash::HashAlg;
use crate::crypto::hmac::{self, ct_eq};
use crate::crypto::kdf::kdfa;
use crate::crypto::rng::Random;
use crate::crypto::sym::{Mode, crypt};
use crate::object::load::padded_auth;
use crate::rc::{Rc, Result};
use crate::state::Object;
use crate::wire::{
    Aes, Marshal, Public, Reader, Sensitive, Sized2b, SymDefObject, Tpm2bDigest, Tpm2bIdObject,
    Tpm2bIv, Tpm2bName, Tpm2bPrivate, Unmarshal,
};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// The keys of an outer wrapper: those of a storage key and a seed, which is
/// its own or one that was exchanged.
pub struct Wrapper<'a> {
    alg: HashAlg,
    aes: Aes,
    seed: &'a [u8],
}

/// What a private area is said to hold: at least that, or it is cut off.
const NO_IV: [u8; 16] = [0; 16];

impl<'a> Wrapper<'a> {
    /// The wrapper that a storage key makes with a seed that was exchanged.
    /// TPM_RC_TYPE when it is no storage key.
    pub fn new(key: &Public, seed: &'a [u8]) -> Result<Self> {
        let alg = key.name_alg.ok_or(Rc::TYPE)?;
        let aes = key.params.symmetric().0.ok_or(Rc::TYPE)?;
        Ok(Wrapper { alg, aes, seed })
    }

    /// The wrapper of a parent around its children.
    pub fn of_parent(parent: &'a Object) -> Result<Self> {
        Wrapper::new(&parent.public, &parent.secrets()?.seed)
    }

    fn crypt(&self, encrypt: bool, name: &[u8], iv: [u8; 16], data: &mut [u8]) -> Result<()> {
        let key = kdfa(
            self.alg,
            self.seed,
            b"STORAGE",
            name,
            &[],
            u32::from(self.aes.key_bits),
        );
        cfb(encrypt, &key, iv, data)
    }

    /// The HMAC over everything behind it in the blob, and the Name.
    fn mac(&self, name: &[u8], data: &[u8]) -> Tpm2bDigest {
        let bits = u32::try_from(self.alg.digest_size() * 8).unwrap_or(0);
        let key = kdfa(self.alg, self.seed, b"INTEGRITY", &[], &[], bits);
        Tpm2bDigest::from(hmac::hmac(self.alg, &key, &[data, name]))
    }

    /// Puts the wrapper around `data`: HMAC, IV if there is one, encrypted data.
    fn wrap(
        &self,
        name: &[u8],
        iv: Option<[u8; 16]>,
        mut data: Zeroizing<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        self.crypt(true, name, iv.unwrap_or(NO_IV), &mut data)?;
        let mut body = Vec::new();
        if let Some(iv) = iv {
            Tpm2bIv::new(&iv)?.marshal(&mut body);
        }
        body.extend_from_slice(&data);
        let mut out = self.mac(name, &body).to_bytes();
        out.extend_from_slice(&body);
        Ok(out)
    }

    /// Takes the wrapper off.
    fn unwrap(&self, name: &[u8], with_iv: bool, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let mut r = Reader::new(blob);
        let mac: Tpm2bDigest = r.read()?;
        if !ct_eq(&mac, &self.mac(name, r.rest())) {
            return Err(Rc::INTEGRITY);
        }
        let iv = if with_iv {
            let iv: Tpm2bIv = r.read()?;
            iv[..].try_into().map_err(|_| Rc::SIZE)?
        } else {
            NO_IV
        };
        let mut data = Zeroizing::new(r.rest().to_vec());
        self.crypt(false, name, iv, &mut data)?;
        Ok(data)
    }
}

fn cfb(encrypt: bool, key: &[u8], mut iv: [u8; 16], data: &mut [u8]) -> Result<()> {
    crypt(Mode::Cfb, encrypt, key, &mut iv, data).map_err(|_| Rc::FAILURE)
}

/// A sensitive area as a TPM2B, its auth value padded.
fn sensitive_2b(sensitive: &Sensitive, alg: Option<HashAlg>) -> Result<Zeroizing<Vec<u8>>> {
    let mut padded = sensitive.clone();
    padded.auth = padded_auth(&sensitive.auth, alg)?;
    Ok(Zeroizing::new(Sized2b(padded).to_bytes()))
}

/// A sensitive area out of a TPM2B that is all of `data`; its size is looked at
/// first (TPM_RC_SIZE).
fn read_sensitive_2b(data: &[u8]) -> Result<Sensitive> {
    let mut r = Reader::new(data);
    let len: u16 = r.read()?;
    if usize::from(len) != r.remaining() {
        return Err(Rc::SIZE);
    }
    Sensitive::from_bytes(r.rest())
}

/// A sensitive area as TPM2_Create and others give it out, below `parent`.
pub fn private(
    parent: &Object,
    sensitive: &Sensitive,
    name: &Tpm2bName,
    alg: Option<HashAlg>,
    rng: &mut dyn Random,
) -> Result<Tpm2bPrivate> {
    let mut iv = NO_IV;
    rng.fill(&mut iv);
    let blob = Wrapper::of_parent(parent)?.wrap(name, Some(iv), sensitive_2b(sensitive, alg)?)?;
    Tpm2bPrivate::new(&blob)
}

/// The sensitive area in a private area.
pub fn from_private(parent: &Object, private: &[u8], name: &Tpm2bName) -> Result<Sensitive> {
    let data = Wrapper::of_parent(parent)?.unwrap(name, true, private)?;
    read_sensitive_2b(&data)
}

/// The inner wrapper of a duplicate: its algorithm and key.
pub struct Inner<'a> {
    /// The algorithm; TPM_ALG_NULL for no inner wrapper.
    pub symmetric: SymDefObject,
    /// The key, of the algorithm's size.
    pub key: &'a [u8],
}

/// A duplicate: the sensitive area in an inner and an outer wrapper, as far as
/// they are wanted.
pub fn duplicate(
    sensitive: &Sensitive,
    name: &Tpm2bName,
    alg: HashAlg,
    inner: &Inner<'_>,
    outer: Option<&Wrapper<'_>>,
) -> Result<Tpm2bPrivate> {
    let mut data = sensitive_2b(sensitive, Some(alg))?;
    if inner.symmetric.0.is_some() {
        let mut wrapped = Zeroizing::new(Tpm2bDigest::from(alg.digest(&[&data, name])).to_bytes());
        wrapped.extend_from_slice(&data);
        cfb(true, inner.key, NO_IV, &mut wrapped)?;
        data = wrapped;
    }
    rewrap(outer, name, data)
}

/// The outer wrapper of a duplicate, if there is one.
pub fn rewrap(
    outer: Option<&Wrapper<'_>>,
    name: &[u8],
    data: Zeroizing<Vec<u8>>,
) -> Result<Tpm2bPrivate> {
    match outer {
        Some(outer) => Tpm2bPrivate::new(&outer.wrap(name, None, data)?),
        None => Tpm2bPrivate::new(&data),
    }
}

/// A duplicate without its outer wrapper, if it has one.
pub fn unwrap_outer(
    outer: Option<&Wrapper<'_>>,
    name: &[u8],
    blob: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    match outer {
        Some(outer) => outer.unwrap(name, false, blob),
        None => Ok(Zeroizing::new(blob.to_vec())),
    }
}

/// The sensitive area in a duplicate.
pub fn from_duplicate(
    blob: &[u8],
    name: &Tpm2bName,
    alg: HashAlg,
    inner: &Inner<'_>,
    outer: Option<&Wrapper<'_>>,
) -> Result<Sensitive> {
    let mut data = unwrap_outer(outer, name, blob)?;
    let mut area = &data[..];
    let plain;
    if inner.symmetric.0.is_some() {
        cfb(false, inner.key, NO_IV, &mut data)?;
        let mut r = Reader::new(&data);
        let hash: Tpm2bDigest = r.read()?;
        if !ct_eq(&hash, &alg.digest(&[r.rest(), name])) {
            return Err(Rc::INTEGRITY);
        }
        plain = Zeroizing::new(r.rest().to_vec());
        area = &plain;
    }
    read_sensitive_2b(area)
}

/// A credential for the object with a Name.
pub fn credential(
    wrapper: &Wrapper<'_>,
    name: &[u8],
    credential: &Tpm2bDigest,
) -> Result<Tpm2bIdObject> {
    Tpm2bIdObject::new(&wrapper.wrap(name, None, Zeroizing::new(credential.to_bytes()))?)
}

/// The credential in a blob.
pub fn from_credential(wrapper: &Wrapper<'_>, name: &[u8], blob: &[u8]) -> Result<Tpm2bDigest> {
    Tpm2bDigest::from_bytes(&wrapper.unwrap(name, false, blob)?)
}
