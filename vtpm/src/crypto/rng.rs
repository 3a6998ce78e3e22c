//! Random numbers: HMAC_DRBG with SHA-256 (SP 800-90A, 10.1.2).
//!
//! One generator serves three purposes: the TPM's random numbers, seeded with
//! entropy; the streams from which primary keys are derived, seeded with a
//! hierarchy's seed ([`Drbg::derive`]); and the secret numbers of signatures,
//! seeded as RFC 6979 says.

use super::hash::HashAlg;
use super::hmac::{Hmac, hmac};
use alloc::vec::Vec;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The most bytes that one request may give (SP 800-90A, table 2).
const MAX_REQUEST: usize = 1 << 16;

/// A source of random bytes that does not fail: entropy is checked where it
/// comes in, before a generator is made of it.
pub trait Random {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);
}

/// HMAC_DRBG with SHA-256, without prediction resistance.
///
/// Its security strength is that of what it is seeded with, 256 bits at most.
/// The reseed counter of SP 800-90A is left out: it allows 2^48 requests, and
/// at one per microsecond those take nine years without a TPM2_StirRandom.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Drbg {
    key: [u8; 32],
    value: [u8; 32],
}

impl Drbg {
    /// The size in bytes of what [`export`](Self::export) gives.
    pub const STATE_SIZE: usize = 64;

    /// From entropy of at least 32 bytes with full strength, and a
    /// personalization string, which may be empty.
    pub fn new(seed: &[u8], personalization: &[u8]) -> Self {
        Self::instantiate(&[seed, personalization])
    }

    /// From the parts of the seed material, one after another.
    pub(crate) fn instantiate(material: &[&[u8]]) -> Self {
        let mut drbg = Self {
            key: [0; 32],
            value: [1; 32],
        };
        drbg.update(material);
        drbg
    }

    /// The stream that belongs to a seed, a purpose and a context, for keys
    /// that have to come out the same each time.
    ///
    /// This derivation is frozen: a change would give every owner of a TPM
    /// other primary keys. The seed material is the seed, then the purpose and
    /// each context in this order, each behind its length as four bytes,
    /// big-endian, so that no two lists of contexts run into one another.
    pub fn derive(seed: &[u8], purpose: &[u8], context: &[&[u8]]) -> Self {
        let mut named = Vec::new();
        for part in core::iter::once(&purpose).chain(context) {
            let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
            named.extend_from_slice(&len.to_be_bytes());
            named.extend_from_slice(part);
        }
        let drbg = Self::instantiate(&[seed, &named]);
        named.zeroize();
        drbg
    }

    /// Mixes in entropy, or other input of any quality: the state never gets
    /// easier to guess.
    pub fn reseed(&mut self, entropy: &[u8]) {
        self.update(&[entropy]);
    }

    /// The whole state, which is as secret as all later numbers.
    pub fn export(&self) -> Zeroizing<[u8; Self::STATE_SIZE]> {
        let mut state = Zeroizing::new([0; Self::STATE_SIZE]);
        let (key, value) = state.split_at_mut(32);
        key.copy_from_slice(&self.key);
        value.copy_from_slice(&self.value);
        state
    }

    /// The generator whose state [`export`](Self::export) gave.
    pub fn import(state: &[u8; Self::STATE_SIZE]) -> Self {
        let mut drbg = Self {
            key: [0; 32],
            value: [0; 32],
        };
        let (key, value) = state.split_at(32);
        drbg.key.copy_from_slice(key);
        drbg.value.copy_from_slice(value);
        drbg
    }

    /// HMAC_DRBG_Update (10.1.2.2).
    fn update(&mut self, provided: &[&[u8]]) {
        let empty = provided.iter().all(|part| part.is_empty());
        for round in 0..if empty { 1 } else { 2 } {
            let mut mac = Hmac::new(HashAlg::Sha256, &self.key);
            mac.update(&self.value);
            mac.update(&[round]);
            for part in provided {
                mac.update(part);
            }
            copy(&mut self.key, &mac.finalize());
            self.next_value();
        }
    }

    fn next_value(&mut self) {
        let next = hmac(HashAlg::Sha256, &self.key, &[&self.value]);
        copy(&mut self.value, &next);
    }
}

fn copy(to: &mut [u8; 32], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

impl Random for Drbg {
    /// HMAC_DRBG_Generate (10.1.2.5), once per 64 KiB.
    fn fill(&mut self, out: &mut [u8]) {
        for request in out.chunks_mut(MAX_REQUEST) {
            for chunk in request.chunks_mut(32) {
                self.next_value();
                for (out, byte) in chunk.iter_mut().zip(&self.value) {
                    *out = *byte;
                }
            }
            self.update(&[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::hex;
    use proptest::prelude::*;

    /// The first case of NIST's DRBG vectors for HMAC_DRBG SHA-256 without
    /// reseeding: the second of two requests of 1024 bits.
    #[test]
    fn nist_vector() {
        let entropy = hex("ca851911349384bffe89de1cbdc46e6831e44d34a4fb935ee285dd14b71a7488");
        let nonce = hex("659ba96c601dc69fc902940805ec0ca8");
        let mut drbg = Drbg::new(&entropy, &nonce);
        let mut out = [0; 128];
        drbg.fill(&mut out);
        drbg.fill(&mut out);
        assert_eq!(
            out[..],
            hex(
                "e528e9abf2dece54d47c7e75e5fe302149f817ea9fb4bee6f4199697d04d5b89\
                 d54fbb978a15b5c443c9ec21036d2460b6f73ebad0dc2aba6e624abf07745bc1\
                 07694bb7547bb0995f70de25d6b29e2d3011bb19d27676c07162c8b5ccde0668\
                 961df86803482cb37ed6d5c0bb8d50cf1f50d476aa0458bdaba806f48be9dcb8"
            )
        );
    }

    /// The frozen derivation of primary keys: this value, which a few lines of
    /// Python gave as well, never changes.
    #[test]
    fn derived_stream() {
        let mut out = [0; 40];
        Drbg::derive(&[0x5a; 32], b"primary", &[b"name", b"", b"unique"]).fill(&mut out);
        assert_eq!(
            out[..],
            hex("d698ee2b739cbc960ac4c081681170fce25106a2102f7508b53ecb39edda408a0e5c9b818ccad554")
        );
    }

    #[test]
    fn contexts_do_not_run_together() {
        let first = |context: &[&[u8]]| {
            let mut out = [0; 16];
            Drbg::derive(&[1; 32], b"p", context).fill(&mut out);
            out
        };
        let all = [
            first(&[]),
            first(&[b""]),
            first(&[b"ab", b"c"]),
            first(&[b"a", b"bc"]),
            first(&[b"abc"]),
            first(&[b"abc", b""]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(!all[i + 1..].contains(a), "{i}");
        }
    }

    proptest! {
        #[test]
        fn the_state_survives_export(seed: [u8; 32], a in 0usize..100, b in 1usize..100) {
            let mut drbg = Drbg::new(&seed, b"");
            let mut out = vec![0; a];
            drbg.fill(&mut out);
            let mut restored = Drbg::import(&drbg.export());
            let (mut x, mut y) = (vec![0; b], vec![1; b]);
            drbg.fill(&mut x);
            restored.fill(&mut y);
            prop_assert_eq!(x, y);
        }

        /// Reseeding with anything changes what follows.
        #[test]
        fn reseeding_counts(seed: [u8; 32], stir in prop::collection::vec(any::<u8>(), 1..50)) {
            let mut stirred = Drbg::new(&seed, b"");
            let mut plain = stirred.clone();
            stirred.reseed(&stir);
            let (mut x, mut y) = ([0; 16], [0; 16]);
            stirred.fill(&mut x);
            plain.fill(&mut y);
            prop_assert_ne!(x, y);
        }
    }
}
