//! The key derivation functions of TPM 2.0 Part 1, 8.4.10, XOR obfuscation
//! (8.4.7.3), and MGF1 (RFC 8017, B.2.1).

use super::hash::{Digest, HashAlg, Hasher};
use super::hmac::Hmac;
use alloc::vec::Vec;
use zeroize::{Zeroize, Zeroizing};

/// Whole bytes of `bits`.
fn byte_count(bits: u32) -> usize {
    usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX)
}

/// `len` bytes out of the blocks that `block` gives for the counters from 1 on.
fn blocks(
    alg: HashAlg,
    len: usize,
    mut block: impl FnMut([u8; 4]) -> Digest,
) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(len));
    for counter in 1..=u32::try_from(len.div_ceil(alg.digest_size())).unwrap_or(u32::MAX) {
        let mut digest = block(counter.to_be_bytes());
        let take = digest.len().min(len.saturating_sub(out.len()));
        out.extend_from_slice(digest.get(..take).unwrap_or(&[]));
        digest.zeroize();
    }
    out
}

/// Clears the bits of the first byte that an odd number of bits leaves unused.
fn mask_odd_bits(bytes: &mut [u8], bits: u32) {
    if let Some(first) = bytes.first_mut()
        && !bits.is_multiple_of(8)
    {
        *first &= (1u8 << (bits % 8)).wrapping_sub(1);
    }
}

/// KDFa: SP 800-108 in counter mode with HMAC.
///
/// `label` is given without its terminating zero; one is put behind it unless
/// it ends in one already. `bits` is also part of what is hashed; the result
/// has as many bytes as hold it, and the unused bits of the first are clear.
pub fn kdfa(
    alg: HashAlg,
    key: &[u8],
    label: &[u8],
    context_u: &[u8],
    context_v: &[u8],
    bits: u32,
) -> Zeroizing<Vec<u8>> {
    let keyed = Hmac::new(alg, key);
    let mut out = blocks(alg, byte_count(bits), |counter| {
        let mut hmac = keyed.clone();
        hmac.update(&counter);
        hmac.update(label);
        if label.last() != Some(&0) {
            hmac.update(&[0]);
        }
        hmac.update(context_u);
        hmac.update(context_v);
        hmac.update(&bits.to_be_bytes());
        hmac.finalize()
    });
    mask_odd_bits(&mut out, bits);
    out
}

/// KDFe: the one-step derivation of SP 800-56C with a hash, for ECDH.
///
/// `z` and the two x coordinates are as long as the curve's field. `label` is
/// given without its terminating zero, which is hashed in any case.
pub fn kdfe(
    alg: HashAlg,
    z: &[u8],
    label: &[u8],
    party_u_x: &[u8],
    party_v_x: &[u8],
    bits: u32,
) -> Zeroizing<Vec<u8>> {
    let zero: &[u8] = if label.last() == Some(&0) { &[] } else { &[0] };
    let mut out = blocks(alg, byte_count(bits), |counter| {
        alg.digest(&[&counter, z, label, zero, party_u_x, party_v_x])
    });
    mask_odd_bits(&mut out, bits);
    out
}

/// XOR obfuscation of `data`, which is its own inverse.
pub fn xor_obfuscate(
    alg: HashAlg,
    key: &[u8],
    context_u: &[u8],
    context_v: &[u8],
    data: &mut [u8],
) {
    let bits = u32::try_from(data.len())
        .unwrap_or(u32::MAX)
        .saturating_mul(8);
    xor(data, &kdfa(alg, key, b"XOR", context_u, context_v, bits));
}

/// XORs the mask that KDF2 (ISO/IEC 18033-2, without other info) makes of a
/// shared secret into `data`: MGF1 with a counter that begins at 1.
pub fn kdf2_xor(alg: HashAlg, secret: &[&[u8]], data: &mut [u8]) {
    let mut seeded = Hasher::new(alg);
    for part in secret {
        seeded.update(part);
    }
    for (counter, chunk) in (1..=u32::MAX).zip(data.chunks_mut(alg.digest_size())) {
        let mut block = seeded.clone();
        block.update(&counter.to_be_bytes());
        let mut mask = block.finalize();
        xor(chunk, &mask);
        mask.zeroize();
    }
}

/// XORs the mask that MGF1 makes of `seed` into `data`.
pub(crate) fn mgf1_xor(alg: HashAlg, seed: &[u8], data: &mut [u8]) {
    for (counter, chunk) in (0u32..=u32::MAX).zip(data.chunks_mut(alg.digest_size())) {
        let mut mask = alg.digest(&[seed, &counter.to_be_bytes()]);
        xor(chunk, &mask);
        mask.zeroize();
    }
}

/// XORs `mask` into `data`, as far as the shorter goes.
pub(crate) fn xor(data: &mut [u8], mask: &[u8]) {
    for (byte, mask) in data.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::hex;
    use proptest::prelude::*;

    const KEY: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    const U: &[u8] = &[0xa0, 0xa1, 0xa2, 0xa3];
    const V: &[u8] = &[0xb0, 0xb1, 0xb2];

    /// Computed with `openssl kdf ... KBKDF` (counter mode, HMAC).
    #[test]
    fn kdfa_is_sp_800_108() {
        for (alg, label, bits, expected) in [
            (
                HashAlg::Sha256,
                &b"STORAGE"[..],
                384,
                "1c41febb72b1e37cde7ce088312f7247308bad56ead92419edd5ed9a8084b08b\
                 7ef895840f6f87791de44b3c3326a0b6",
            ),
            (
                HashAlg::Sha1,
                b"ATH",
                256,
                "70a5b9c33c5a2eab167d25aad0bfc3669d4d72bac81f81d4a033d806d145457e",
            ),
            (
                HashAlg::Sha384,
                b"CFB",
                512,
                "64c0066339b7fa8a799c4fdb2e7ecde57ed28bf8c2982e6233713cc0410c4ced\
                 a47da978d18455c906f97084c942f8dee33b7a65a53ef6c68226674dbf38c4dd",
            ),
            (
                HashAlg::Sha512,
                b"XOR",
                528,
                "05dbe717b276a2067b1ffbf4c2e8c92a6e9af485e6e957cf380809f570dc0b7b\
                 eb55fe245587f6775e4a95200f74659c1e43fb794aa62fc4c32536acbeda0b93\
                 b497",
            ),
        ] {
            assert_eq!(*kdfa(alg, KEY, label, U, V, bits), hex(expected));
        }
        // A zero at the label's end is that zero; none is added to it.
        assert_eq!(
            kdfa(HashAlg::Sha256, KEY, b"ATH\0", U, V, 256),
            kdfa(HashAlg::Sha256, KEY, b"ATH", U, V, 256)
        );
    }

    /// Computed with `openssl kdf ... SSKDF` (hash, the label's zero in info).
    #[test]
    fn kdfe_is_sp_800_56c() {
        for (alg, expected) in [
            (
                HashAlg::Sha1,
                "07f22909549b04edb819a5aa222f65166af61edcd0458dcf7fbf1efa4aeccec9\
                 a15fda588c709a25049ee107936618f7",
            ),
            (
                HashAlg::Sha256,
                "6cd4fc8655f00096d0cde0172fe61c959c6030bcd2400f3e9df1534081f41c2b\
                 7c03c544dc3fb0cc500050f309a7f5bb",
            ),
            (
                HashAlg::Sha384,
                "a5b7ac75ae71820b18cc65514214596a42bdb9149fda4dc33d278552738cca24\
                 558cb88a2dfafcfe9107ba45b7f0eba7",
            ),
            (
                HashAlg::Sha512,
                "4589d72be7e80de6821d050ec54a796fe20a882439523bcd999c7d2de714f37f\
                 7b134afcff7bb5ab1e7b796c1cf74a76",
            ),
        ] {
            assert_eq!(*kdfe(alg, KEY, b"SECRET", U, V, 384), hex(expected));
        }
    }

    /// 521 bits come in 66 bytes whose first has one bit.
    #[test]
    fn odd_bits_are_masked() {
        for counter in 0..32u8 {
            let out = kdfa(HashAlg::Sha256, &[counter], b"X", &[], &[], 521);
            assert_eq!(out.len(), 66);
            assert!(out[0] <= 1);
            let out = kdfe(HashAlg::Sha256, &[counter], b"X", &[], &[], 13);
            assert_eq!(out.len(), 2);
            assert!(out[0] < 32);
        }
        assert!(kdfa(HashAlg::Sha256, KEY, b"X", &[], &[], 0).is_empty());
    }

    /// The example of MGF1 that is most quoted: `MGF1(SHA-1, "foo", 3)`, and
    /// with SHA-256 fifty bytes of "bar".
    #[test]
    fn mgf1() {
        let mut out = [0; 3];
        mgf1_xor(HashAlg::Sha1, b"foo", &mut out);
        assert_eq!(out[..], hex("1ac907"));
        let mut out = [0; 50];
        mgf1_xor(HashAlg::Sha256, b"bar", &mut out);
        assert_eq!(
            out[..],
            hex(
                "382576a7841021cc28fc4c0948753fb8312090cea942ea4c4e735d10dc724b15\
                 5f9f6069f289d61daca0cb814502ef04eae1"
            )
        );
    }

    /// KDF2 is MGF1 without its first block.
    #[test]
    fn kdf2() {
        for alg in HashAlg::ALL {
            let mut mgf1 = [0; 200];
            mgf1_xor(alg, b"secret", &mut mgf1);
            let mut kdf2 = [0; 100];
            kdf2_xor(alg, &[b"sec", b"ret"], &mut kdf2);
            assert_eq!(kdf2, mgf1[alg.digest_size()..][..100]);
        }
    }

    proptest! {
        #[test]
        fn xor_obfuscation_undoes_itself(key: [u8; 20], u: Vec<u8>, v: Vec<u8>, data: Vec<u8>) {
            let mut twice = data.clone();
            xor_obfuscate(HashAlg::Sha256, &key, &u, &v, &mut twice);
            if data.len() > 15 {
                prop_assert_ne!(&twice, &data);
            }
            xor_obfuscate(HashAlg::Sha256, &key, &u, &v, &mut twice);
            prop_assert_eq!(twice, data);
        }
    }
}
