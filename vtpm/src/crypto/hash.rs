//! The TPM's hash algorithms, with running states that can be saved.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;
use sha1::Sha1;
use sha1::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use zeroize::Zeroize;

/// The size of the longest digest in bytes.
pub const MAX_DIGEST_SIZE: usize = 64;

/// A hash algorithm that this TPM implements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum HashAlg {
    /// SHA-1. Broken for signatures over data that others choose; PCR banks and
    /// old policies still use it.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlg {
    /// All of them, in the order of their identifiers.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The `TPM_ALG_ID` (TPM 2.0 Part 2, 6.3).
    pub const fn id(self) -> u16 {
        match self {
            Self::Sha1 => 0x0004,
            Self::Sha256 => 0x000b,
            Self::Sha384 => 0x000c,
            Self::Sha512 => 0x000d,
        }
    }

    /// The algorithm of a `TPM_ALG_ID`, if it is an implemented hash.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.id() == id)
    }

    /// The digest's size in bytes.
    pub const fn digest_size(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The size in bytes of the blocks that the compression function takes.
    pub const fn block_size(self) -> usize {
        match self {
            Self::Sha1 | Self::Sha256 => 64,
            Self::Sha384 | Self::Sha512 => 128,
        }
    }

    /// The digest of all parts, one after another.
    pub fn digest(self, parts: &[&[u8]]) -> Digest {
        let mut hasher = Hasher::new(self);
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize()
    }

    /// The DER encoding of a `DigestInfo` up to the digest itself
    /// (RFC 8017, 9.2 note 1).
    pub(crate) const fn digest_info(self) -> &'static [u8] {
        match self {
            Self::Sha1 => &[
                0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04,
                0x14,
            ],
            Self::Sha256 => &[
                0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
                0x01, 0x05, 0x00, 0x04, 0x20,
            ],
            Self::Sha384 => &[
                0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
                0x02, 0x05, 0x00, 0x04, 0x30,
            ],
            Self::Sha512 => &[
                0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
                0x03, 0x05, 0x00, 0x04, 0x40,
            ],
        }
    }
}

/// A digest, or any other value of at most [`MAX_DIGEST_SIZE`] bytes.
///
/// Equality is not constant-time: secrets are compared with
/// [`ct_eq`](super::hmac::ct_eq).
#[derive(Clone, Copy)]
pub struct Digest {
    bytes: [u8; MAX_DIGEST_SIZE],
    len: u8,
}

impl Digest {
    /// All zeros, as long as a digest of `alg`.
    pub const fn zero(alg: HashAlg) -> Self {
        Self {
            bytes: [0; MAX_DIGEST_SIZE],
            // At most 64.
            len: alg.digest_size() as u8,
        }
    }

    /// A copy of `bytes`; `None` if there are more than [`MAX_DIGEST_SIZE`].
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut digest = Self {
            bytes: [0; MAX_DIGEST_SIZE],
            len: u8::try_from(bytes.len()).ok()?,
        };
        digest.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(digest)
    }

    /// What is no longer than the array by construction.
    fn of(bytes: &[u8]) -> Self {
        Self::from_slice(bytes).unwrap_or(Self {
            bytes: [0; MAX_DIGEST_SIZE],
            len: 0,
        })
    }
}

impl Deref for Digest {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Zeroize for Digest {
    fn zeroize(&mut self) {
        self.bytes.zeroize();
        self.len.zeroize();
    }
}

#[derive(Clone)]
enum State {
    Sha1(Sha1),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

/// A hash computation in progress. What it has taken in is wiped when it goes.
#[derive(Clone)]
pub struct Hasher(State);

impl Hasher {
    /// Begins with nothing taken in.
    pub fn new(alg: HashAlg) -> Self {
        Self(match alg {
            HashAlg::Sha1 => State::Sha1(Sha1::new()),
            HashAlg::Sha256 => State::Sha256(Sha256::new()),
            HashAlg::Sha384 => State::Sha384(Sha384::new()),
            HashAlg::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// The algorithm.
    pub fn alg(&self) -> HashAlg {
        match self.0 {
            State::Sha1(_) => HashAlg::Sha1,
            State::Sha256(_) => HashAlg::Sha256,
            State::Sha384(_) => HashAlg::Sha384,
            State::Sha512(_) => HashAlg::Sha512,
        }
    }

    /// Takes in more data.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Sha1(state) => state.update(data),
            State::Sha256(state) => state.update(data),
            State::Sha384(state) => state.update(data),
            State::Sha512(state) => state.update(data),
        }
    }

    /// The digest of everything taken in.
    pub fn finalize(self) -> Digest {
        match self.0 {
            State::Sha1(state) => Digest::of(&state.finalize()),
            State::Sha256(state) => Digest::of(&state.finalize()),
            State::Sha384(state) => Digest::of(&state.finalize()),
            State::Sha512(state) => Digest::of(&state.finalize()),
        }
    }

    /// The running state as bytes: chaining value, block count, and what is not
    /// yet a whole block. Those bytes are as secret as the data, and their
    /// format is that of the crates `sha1` and `sha2`, fixed per algorithm.
    pub fn export(&self) -> Vec<u8> {
        match &self.0 {
            State::Sha1(state) => state.serialize().to_vec(),
            State::Sha256(state) => state.serialize().to_vec(),
            State::Sha384(state) => state.serialize().to_vec(),
            State::Sha512(state) => state.serialize().to_vec(),
        }
    }

    /// The state that [`export`](Self::export) gave; `None` if `bytes` is no
    /// such state of `alg`.
    pub fn import(alg: HashAlg, bytes: &[u8]) -> Option<Self> {
        // Behind the chaining value stands the number of blocks, little-endian.
        // From 2^48 on, which no data reaches, it is refused: the length in bits
        // would overflow in the end.
        let (chaining_value, count) = match alg {
            HashAlg::Sha1 => (20, 8),
            HashAlg::Sha256 => (32, 8),
            HashAlg::Sha384 | HashAlg::Sha512 => (64, 16),
        };
        let count = bytes.get(chaining_value..)?.get(..count)?;
        if count.get(6..)?.iter().any(|byte| *byte != 0) {
            return None;
        }
        fn restore<T: SerializableState>(bytes: &[u8]) -> Option<T> {
            let bytes = <&SerializedState<T>>::try_from(bytes).ok()?;
            T::deserialize(bytes).ok()
        }
        Some(Self(match alg {
            HashAlg::Sha1 => State::Sha1(restore(bytes)?),
            HashAlg::Sha256 => State::Sha256(restore(bytes)?),
            HashAlg::Sha384 => State::Sha384(restore(bytes)?),
            HashAlg::Sha512 => State::Sha512(restore(bytes)?),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::hex;
    use proptest::prelude::*;

    /// FIPS 180-4's examples: the empty string, "abc", and the two-block message.
    #[test]
    fn known_digests() {
        let two_blocks = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        for (alg, message, digest) in [
            (
                HashAlg::Sha1,
                &b""[..],
                "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            ),
            (
                HashAlg::Sha1,
                b"abc",
                "a9993e364706816aba3e25717850c26c9cd0d89d",
            ),
            (
                HashAlg::Sha1,
                two_blocks,
                "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
            ),
            (
                HashAlg::Sha256,
                b"",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                HashAlg::Sha256,
                b"abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                HashAlg::Sha256,
                two_blocks,
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
            (
                HashAlg::Sha384,
                b"abc",
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                 8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                HashAlg::Sha512,
                b"abc",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            assert_eq!(*alg.digest(&[message]), hex(digest), "{alg:?}");
            assert_eq!(hex(digest).len(), alg.digest_size());
        }
    }

    #[test]
    fn identifiers() {
        for alg in HashAlg::ALL {
            assert_eq!(HashAlg::from_id(alg.id()), Some(alg));
        }
        assert_eq!(HashAlg::from_id(0x0010), None);
        // TPM_ALG_SHA3_256 is not implemented.
        assert_eq!(HashAlg::from_id(0x0027), None);
    }

    #[test]
    fn digests_have_a_longest_size() {
        assert_eq!(Digest::from_slice(&[1; 64]).as_deref(), Some(&[1; 64][..]));
        assert_eq!(Digest::from_slice(&[1; 65]), None);
        assert_eq!(Digest::from_slice(&[1; 300]), None);
        assert_eq!(&*Digest::zero(HashAlg::Sha384), &[0; 48]);
    }

    /// A property test found these: an overflow when the digest was due.
    #[test]
    fn states_after_too_many_blocks_are_refused() {
        for (alg, chaining_value, count) in [
            (HashAlg::Sha1, 20, 8),
            (HashAlg::Sha256, 32, 8),
            (HashAlg::Sha384, 64, 16),
            (HashAlg::Sha512, 64, 16),
        ] {
            for byte in 0..count {
                let mut state = Hasher::new(alg).export();
                state[chaining_value + byte] = 0xff;
                let restored = Hasher::import(alg, &state);
                assert_eq!(restored.is_some(), byte < 6, "{alg:?} {byte}");
                if let Some(mut hasher) = restored {
                    hasher.update(&[0; 500]);
                    hasher.finalize();
                }
            }
        }
    }

    fn any_alg() -> impl Strategy<Value = HashAlg> {
        prop::sample::select(HashAlg::ALL.to_vec())
    }

    proptest! {
        /// A state that went through bytes in the middle gives the same digest.
        #[test]
        fn states_survive_export(alg in any_alg(), a: Vec<u8>, b: Vec<u8>) {
            let mut hasher = Hasher::new(alg);
            hasher.update(&a);
            let mut restored = Hasher::import(alg, &hasher.export()).unwrap();
            prop_assert_eq!(restored.alg(), alg);
            restored.update(&b);
            prop_assert_eq!(restored.finalize(), alg.digest(&[&a, &b]));
        }

        /// Bytes that are no state are refused or give some state, never a panic.
        #[test]
        fn foreign_states_are_harmless(alg in any_alg(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(mut hasher) = Hasher::import(alg, &bytes) {
                hasher.update(&[0; 200]);
                prop_assert_eq!(hasher.finalize().len(), alg.digest_size());
            }
        }

        #[test]
        fn states_of_the_right_size_are_harmless(alg in any_alg(), mut bytes: [u8; 256], few: bool) {
            let len = Hasher::new(alg).export().len();
            if few {
                bytes[20..80].fill(0);
            }
            if let Some(mut hasher) = Hasher::import(alg, &bytes[..len]) {
                hasher.update(&[0; 200]);
                prop_assert_eq!(hasher.finalize().len(), alg.digest_size());
            }
        }
    }
}
