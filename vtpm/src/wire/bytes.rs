//! TPM2B structures: a size of two bytes and that many bytes.

use super::{Marshal, Reader, Unmarshal, Writer, put_len16};
use crate::limits::{
    MAX_CONTEXT_SIZE, MAX_DIGEST_BUFFER, MAX_ECC_KEY_BYTES, MAX_NV_BUFFER_SIZE, MAX_RSA_KEY_BYTES,
};
use crate::rc::{Rc, Result};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;
use zeroize::Zeroize;

/// At most `N` bytes, wiped when dropped; on the wire a TPM2B. More than `N`
/// is TPM_RC_SIZE.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes<const N: usize>(Vec<u8>);

/// TPM2B_DIGEST.
pub type Tpm2bDigest = Bytes<64>;
/// TPM2B_NONCE.
pub type Tpm2bNonce = Bytes<64>;
/// TPM2B_AUTH.
pub type Tpm2bAuth = Bytes<64>;
/// TPM2B_OPERAND.
pub type Tpm2bOperand = Bytes<64>;
/// TPM2B_TIMEOUT.
pub type Tpm2bTimeout = Bytes<8>;
/// TPM2B_DATA.
pub type Tpm2bData = Bytes<66>;
/// TPM2B_NAME.
pub type Tpm2bName = Bytes<66>;
/// TPM2B_EVENT.
pub type Tpm2bEvent = Bytes<1024>;
/// TPM2B_MAX_BUFFER.
pub type Tpm2bMaxBuffer = Bytes<MAX_DIGEST_BUFFER>;
/// TPM2B_MAX_NV_BUFFER.
pub type Tpm2bMaxNvBuffer = Bytes<MAX_NV_BUFFER_SIZE>;
/// TPM2B_IV.
pub type Tpm2bIv = Bytes<16>;
/// TPM2B_SENSITIVE_DATA.
pub type Tpm2bSensitiveData = Bytes<256>;
/// TPM2B_PUBLIC_KEY_RSA.
pub type Tpm2bPublicKeyRsa = Bytes<MAX_RSA_KEY_BYTES>;
/// TPM2B_ECC_PARAMETER.
pub type Tpm2bEccParameter = Bytes<MAX_ECC_KEY_BYTES>;
/// TPM2B_PRIVATE.
pub type Tpm2bPrivate = Bytes<1024>;
/// TPM2B_ID_OBJECT.
pub type Tpm2bIdObject = Bytes<132>;
/// TPM2B_ENCRYPTED_SECRET.
pub type Tpm2bEncryptedSecret = Bytes<MAX_RSA_KEY_BYTES>;
/// TPM2B_LABEL.
pub type Tpm2bLabel = Bytes<32>;
/// TPM2B_TEMPLATE: a marshalled TPMT_PUBLIC, or one for a derived object.
pub type Tpm2bTemplate = Bytes<1024>;
/// TPM2B_CONTEXT_DATA.
pub type Tpm2bContextData = Bytes<MAX_CONTEXT_SIZE>;
/// A TPM2B that holds a structure which this TPM made (TPM2B_ATTEST,
/// TPM2B_CREATION_DATA as output).
pub type Tpm2bOpaque = Bytes<2048>;

impl<const N: usize> Bytes<N> {
    /// No bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Bytes(Vec::new())
    }

    /// A copy of `data`; TPM_RC_SIZE when it is too long.
    pub fn new(data: &[u8]) -> Result<Self> {
        if data.len() > N {
            return Err(Rc::SIZE);
        }
        Ok(Bytes(data.to_vec()))
    }

    /// A copy of the first `N` bytes of `data`, for data that this TPM made
    /// and whose length is known to fit.
    #[must_use]
    pub fn cut(data: &[u8]) -> Self {
        Bytes(data.get(..N).unwrap_or(data).to_vec())
    }

    /// `len` zeros (at most `N`).
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        Bytes(alloc::vec![0; len.min(N)])
    }

    /// The bytes, to be changed in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Without the zeros at its end, as auth values are stored and compared.
    #[must_use]
    pub fn without_trailing_zeros(&self) -> Self {
        Bytes(strip_trailing_zeros(&self.0).to_vec())
    }
}

/// `data` without the zeros at its end.
#[must_use]
pub fn strip_trailing_zeros(data: &[u8]) -> &[u8] {
    let len = data.iter().rposition(|&b| b != 0).map_or(0, |i| i + 1);
    data.get(..len).unwrap_or(data)
}

impl<const N: usize> Deref for Bytes<N> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> Drop for Bytes<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<const N: usize> From<crate::crypto::hash::Digest> for Bytes<N> {
    fn from(d: crate::crypto::hash::Digest) -> Self {
        Bytes::cut(&d)
    }
}

impl<const N: usize> Marshal for Bytes<N> {
    const SIZED_OUT: bool = true;
    fn marshal(&self, out: &mut Writer) {
        put_len16(self.0.len(), out);
        out.extend_from_slice(&self.0);
    }
}

impl<const N: usize> Unmarshal for Bytes<N> {
    const SIZED_IN: bool = true;
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let len = usize::from(r.read::<u16>()?);
        if len > N {
            return Err(Rc::SIZE);
        }
        Ok(Bytes(r.take(len)?.to_vec()))
    }
}

/// A TPM2B around a structure. As input its size must not be zero and must be
/// what the structure took, else TPM_RC_SIZE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sized2b<T>(pub T);

impl<T> Deref for Sized2b<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Marshal> Marshal for Sized2b<T> {
    const SIZED_OUT: bool = true;
    fn marshal(&self, out: &mut Writer) {
        let at = out.len();
        out.extend_from_slice(&[0, 0]);
        self.0.marshal(out);
        let len = u16::try_from(out.len() - at - 2).unwrap_or(u16::MAX);
        if let Some(field) = out.get_mut(at..at + 2) {
            field.copy_from_slice(&len.to_be_bytes());
        }
    }
}

impl<T: Unmarshal> Unmarshal for Sized2b<T> {
    const SIZED_IN: bool = true;
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let len = usize::from(r.read::<u16>()?);
        if len == 0 {
            return Err(Rc::SIZE);
        }
        let before = r.remaining();
        let value = r.read()?;
        if before - r.remaining() != len {
            return Err(Rc::SIZE);
        }
        Ok(Sized2b(value))
    }
}

/// A TPM2B around a structure that may be absent (size zero).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Optional2b<T>(pub Option<T>);

impl<T: Marshal> Marshal for Optional2b<T> {
    const SIZED_OUT: bool = true;
    fn marshal(&self, out: &mut Writer) {
        match &self.0 {
            None => put_len16(0, out),
            Some(value) => {
                let bytes = value.to_bytes();
                put_len16(bytes.len(), out);
                out.extend_from_slice(&bytes);
            }
        }
    }
}

impl<T: Unmarshal> Unmarshal for Optional2b<T> {
    const SIZED_IN: bool = true;
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let mut peek = r.clone();
        if peek.read::<u16>()? == 0 {
            *r = peek;
            return Ok(Optional2b(None));
        }
        Ok(Optional2b(Some(r.read::<Sized2b<T>>()?.0)))
    }
}
