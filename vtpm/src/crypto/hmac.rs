//! HMAC (FIPS 198-1), with running states that can be saved.

use super::hash::{Digest, HashAlg, Hasher};
use alloc::vec::Vec;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// The longest block of a hash in bytes.
const MAX_BLOCK_SIZE: usize = 128;

/// Whether both are equal, in a time that depends on their lengths only.
#[must_use]
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// The HMAC of all parts, one after another.
pub fn hmac(alg: HashAlg, key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut hmac = Hmac::new(alg, key);
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize()
}

/// Whether `mac` is the HMAC of all parts, compared in constant time.
#[must_use]
pub fn verify(alg: HashAlg, key: &[u8], parts: &[&[u8]], mac: &[u8]) -> bool {
    ct_eq(&hmac(alg, key, parts), mac)
}

/// An HMAC computation in progress.
///
/// The key is in it as two hash states, which are wiped when it goes.
#[derive(Clone)]
pub struct Hmac {
    inner: Hasher,
    outer: Hasher,
}

impl Hmac {
    /// Begins with a key of any length.
    pub fn new(alg: HashAlg, key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; MAX_BLOCK_SIZE]);
        let mut long = Digest::zero(alg);
        let key = if key.len() > alg.block_size() {
            long = alg.digest(&[key]);
            &*long
        } else {
            key
        };
        for (out, byte) in block.iter_mut().zip(key) {
            *out = *byte;
        }
        long.zeroize();
        let pad = |value: u8| {
            let mut hasher = Hasher::new(alg);
            let padded = Zeroizing::new(block.map(|byte| byte ^ value));
            hasher.update(padded.get(..alg.block_size()).unwrap_or(&[]));
            hasher
        };
        Self {
            inner: pad(0x36),
            outer: pad(0x5c),
        }
    }

    /// The hash algorithm.
    pub fn alg(&self) -> HashAlg {
        self.inner.alg()
    }

    /// Takes in more data.
    pub fn update(&mut self, data: &[u8]) {
        self.inner.update(data);
    }

    /// The HMAC of everything taken in.
    pub fn finalize(self) -> Digest {
        let mut outer = self.outer;
        let mut inner = self.inner.finalize();
        outer.update(&inner);
        inner.zeroize();
        outer.finalize()
    }

    /// The running state as bytes, which are as secret as the key.
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = self.inner.export();
        let mut outer = self.outer.export();
        bytes.extend_from_slice(&outer);
        outer.zeroize();
        Zeroizing::new(bytes)
    }

    /// The state that [`export`](Self::export) gave; `None` if `bytes` is no
    /// such state of `alg`.
    pub fn import(alg: HashAlg, bytes: &[u8]) -> Option<Self> {
        // Both halves are of one size.
        let (inner, outer) = bytes.split_at_checked(bytes.len() / 2)?;
        Some(Self {
            inner: Hasher::import(alg, inner)?,
            outer: Hasher::import(alg, outer)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::hex;
    use proptest::prelude::*;

    /// RFC 2202 case 2, and RFC 4231 cases 1, 2 and 6 (a key longer than a block).
    #[test]
    fn known_macs() {
        let jefe = (&b"Jefe"[..], &b"what do ya want for nothing?"[..]);
        let long_key = [0xaa; 131];
        let long = (
            &long_key[..],
            &b"Test Using Larger Than Block-Size Key - Hash Key First"[..],
        );
        for (alg, (key, data), mac) in [
            (
                HashAlg::Sha1,
                jefe,
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            ),
            (
                HashAlg::Sha256,
                (&[0x0b; 20][..], b"Hi There"),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                HashAlg::Sha256,
                jefe,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                HashAlg::Sha384,
                jefe,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
                 8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                HashAlg::Sha512,
                jefe,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
            (
                HashAlg::Sha256,
                long,
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                HashAlg::Sha512,
                long,
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352\
                 6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ),
        ] {
            assert_eq!(*hmac(alg, key, &[data]), hex(mac), "{alg:?}");
            assert!(verify(alg, key, &[data], &hex(mac)));
            assert!(!verify(alg, key, &[data, b"."], &hex(mac)));
            assert!(!verify(alg, key, &[data], &hex(mac)[1..]));
        }
    }

    fn any_alg() -> impl Strategy<Value = HashAlg> {
        prop::sample::select(HashAlg::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn states_survive_export(alg in any_alg(), key: Vec<u8>, a: Vec<u8>, b: Vec<u8>) {
            let mut running = Hmac::new(alg, &key);
            running.update(&a);
            let mut restored = Hmac::import(alg, &running.export()).unwrap();
            restored.update(&b);
            prop_assert_eq!(restored.finalize(), hmac(alg, &key, &[&a, &b]));
        }

        #[test]
        fn foreign_states_are_harmless(alg in any_alg(), bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Some(hmac) = Hmac::import(alg, &bytes) {
                prop_assert_eq!(hmac.finalize().len(), alg.digest_size());
            }
        }

        #[test]
        fn comparison(a: Vec<u8>, b: Vec<u8>) {
            prop_assert_eq!(ct_eq(&a, &b), a == b);
            prop_assert!(ct_eq(&a, &a.clone()));
        }
    }
}
