//! The wire format (Part 2): every structure is read with the response code
//! that the specification gives for its type, and nothing is read twice.

mod alg;
mod attest;
mod attributes;
mod bytes;
mod handle;
mod lists;
mod nv;
mod public;
mod scheme;
mod sensitive;
mod signature;
mod ticket;
#[macro_use]
mod macros;

#[cfg(any(test, feature = "sample"))]
pub mod sample;
#[cfg(test)]
mod tests;

pub use alg::*;
pub use attest::*;
pub use attributes::*;
pub use bytes::*;
pub use handle::*;
pub use lists::*;
pub use nv::*;
pub use public::*;
pub use scheme::*;
pub use sensitive::*;
pub use signature::*;
pub use ticket::*;

use crate::rc::{Rc, Result};
use alloc::vec::Vec;

/// Reads from a buffer that the caller sent. Every read that goes past its end
/// answers TPM_RC_INSUFFICIENT.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    data: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `data` from its start.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Reader { data }
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.data.len()
    }

    /// Whether all is read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// What is not yet read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.data
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.data.split_at_checked(n).ok_or(Rc::INSUFFICIENT)?;
        self.data = tail;
        Ok(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, tail) = self.data.split_first_chunk().ok_or(Rc::INSUFFICIENT)?;
        self.data = tail;
        Ok(*head)
    }

    /// One value of a type.
    pub fn read<T: Unmarshal>(&mut self) -> Result<T> {
        T::unmarshal(self)
    }
}

/// Where responses and everything that is hashed or stored are written.
pub type Writer = Vec<u8>;

/// What can be written in the TPM's wire format.
pub trait Marshal {
    /// Whether the type is a TPM2B, so that a first response parameter of it
    /// can be encrypted.
    const SIZED_OUT: bool = false;

    /// Appends the value.
    fn marshal(&self, out: &mut Writer);

    /// The value alone.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.marshal(&mut out);
        out
    }
}

/// What can be read from the TPM's wire format.
pub trait Unmarshal: Sized {
    /// Whether the type is a TPM2B, so that a first parameter of it can be
    /// encrypted.
    const SIZED_IN: bool = false;

    /// Reads one value; the error is the specification's for the type.
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self>;

    /// Reads a value that is all of `data`; left-over bytes are TPM_RC_SIZE.
    fn from_bytes(data: &[u8]) -> Result<Self> {
        let mut r = Reader::new(data);
        let value = Self::unmarshal(&mut r)?;
        if r.is_empty() {
            Ok(value)
        } else {
            Err(Rc::SIZE)
        }
    }
}

macro_rules! integers {
    ($($t:ty),*) => {$(
        impl Marshal for $t {
            fn marshal(&self, out: &mut Writer) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
        impl Unmarshal for $t {
            fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
                Ok(<$t>::from_be_bytes(r.array()?))
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i8, i32);

/// TPMI_YES_NO: 0 or 1, anything else is TPM_RC_VALUE.
impl Unmarshal for bool {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        match r.read::<u8>()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Rc::VALUE),
        }
    }
}

impl Marshal for bool {
    fn marshal(&self, out: &mut Writer) {
        out.push(u8::from(*self));
    }
}

impl<const N: usize> Marshal for [u8; N] {
    fn marshal(&self, out: &mut Writer) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Unmarshal for [u8; N] {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        r.array()
    }
}

/// A length as it is written before data that this TPM made, whose size its
/// limits bound.
pub(crate) fn put_len16(len: usize, out: &mut Writer) {
    u16::try_from(len).unwrap_or(u16::MAX).marshal(out);
}

/// Values of the state one after another, with their number before them.
impl<T: Marshal> Marshal for Vec<T> {
    fn marshal(&self, out: &mut Writer) {
        u32::try_from(self.len()).unwrap_or(u32::MAX).marshal(out);
        for value in self {
            value.marshal(out);
        }
    }
}

impl<T: Unmarshal> Unmarshal for Vec<T> {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let count = r.read::<u32>()?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(r.read()?);
        }
        Ok(values)
    }
}
