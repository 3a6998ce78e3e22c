//! Lists and what they hold (Part 2, 10).

use super::{Bytes, Handle, Marshal, Reader, Tpm2bDigest, Unmarshal, Writer};
use crate::crypto::hash::{Digest, HashAlg};
use crate::limits::{
    IMPLEMENTATION_PCR, MAX_ALG_LIST, MAX_CAP_CC, MAX_DIGEST_LIST, PCR_BANKS, PCR_SELECT_MAX,
    PCR_SELECT_MIN,
};
use crate::rc::{Rc, Result};
use alloc::vec::Vec;
use core::ops::Deref;

/// A TPML: a count of four bytes and that many values, at most `N`. More are
/// TPM_RC_SIZE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T, const N: usize>(Vec<T>);

impl<T, const N: usize> List<T, N> {
    /// An empty list.
    #[must_use]
    pub const fn empty() -> Self {
        List(Vec::new())
    }

    /// The first `N` of the values.
    #[must_use]
    pub fn cut(mut values: Vec<T>) -> Self {
        values.truncate(N);
        List(values)
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Marshal, const N: usize> Marshal for List<T, N> {
    fn marshal(&self, out: &mut Writer) {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX).marshal(out);
        for value in &self.0 {
            value.marshal(out);
        }
    }
}

impl<T: Unmarshal, const N: usize> Unmarshal for List<T, N> {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let count = usize::try_from(r.read::<u32>()?).map_err(|_| Rc::SIZE)?;
        if count > N {
            return Err(Rc::SIZE);
        }
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(r.read()?);
        }
        Ok(List(values))
    }
}

/// TPML_CC.
pub type CommandCodes = List<u32, MAX_CAP_CC>;
/// TPML_ALG.
pub type Algorithms = List<u16, MAX_ALG_LIST>;
/// TPML_HANDLE.
pub type Handles = List<Handle, 254>;
/// TPML_DIGEST.
pub type Digests = List<Tpm2bDigest, MAX_DIGEST_LIST>;
/// TPML_DIGEST_VALUES.
pub type DigestValues = List<TaggedHash, PCR_BANKS>;

/// The branches of PolicyOR: a TPML_DIGEST of at least two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestBranches(pub Digests);

impl Marshal for DigestBranches {
    fn marshal(&self, out: &mut Writer) {
        self.0.marshal(out);
    }
}

impl Unmarshal for DigestBranches {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let mut peek = r.clone();
        if peek.read::<u32>()? < 2 {
            return Err(Rc::SIZE);
        }
        r.read().map(DigestBranches)
    }
}

/// TPMT_HA: a hash algorithm and a digest of its size.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaggedHash {
    pub alg: HashAlg,
    pub digest: Digest,
}

impl TaggedHash {
    /// Reads the digest of an algorithm already read.
    pub fn read(alg: HashAlg, r: &mut Reader<'_>) -> Result<Self> {
        let digest = Digest::from_slice(r.take(alg.digest_size())?).ok_or(Rc::SIZE)?;
        Ok(TaggedHash { alg, digest })
    }
}

impl Marshal for TaggedHash {
    fn marshal(&self, out: &mut Writer) {
        self.alg.marshal(out);
        out.extend_from_slice(&self.digest);
    }
}

impl Unmarshal for TaggedHash {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let alg = r.read()?;
        TaggedHash::read(alg, r)
    }
}

/// TPMS_PCR_SELECTION.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BankSelection {
    pub alg: HashAlg,
    pub pcrs: [u8; PCR_SELECT_MAX],
}

impl BankSelection {
    /// No PCR of a bank.
    #[must_use]
    pub fn none(alg: HashAlg) -> Self {
        BankSelection {
            alg,
            pcrs: [0; PCR_SELECT_MAX],
        }
    }

    /// Whether PCR `n` is selected.
    #[must_use]
    pub fn has(&self, n: usize) -> bool {
        self.pcrs
            .get(n / 8)
            .is_some_and(|byte| byte & (1 << (n % 8)) != 0)
    }

    /// Selects PCR `n` or takes it out.
    pub fn set(&mut self, n: usize, selected: bool) {
        if let Some(byte) = self.pcrs.get_mut(n / 8) {
            if selected {
                *byte |= 1 << (n % 8);
            } else {
                *byte &= !(1 << (n % 8));
            }
        }
    }

    /// The selected PCRs, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..IMPLEMENTATION_PCR).filter(move |&n| self.has(n))
    }
}

impl Marshal for BankSelection {
    fn marshal(&self, out: &mut Writer) {
        self.alg.marshal(out);
        3u8.marshal(out);
        self.pcrs.marshal(out);
    }
}

impl Unmarshal for BankSelection {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let alg = r.read()?;
        let size = usize::from(r.read::<u8>()?);
        if !(PCR_SELECT_MIN..=PCR_SELECT_MAX).contains(&size) {
            return Err(Rc::VALUE);
        }
        Ok(BankSelection {
            alg,
            pcrs: r.array()?,
        })
    }
}

/// TPML_PCR_SELECTION.
pub type PcrSelection = List<BankSelection, PCR_BANKS>;

/// A TPM2B that carries a whole digest of an algorithm, for output.
#[must_use]
pub fn digest2b(d: &Digest) -> Tpm2bDigest {
    Bytes::cut(d)
}
