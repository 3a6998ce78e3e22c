use super::*;
use crate::crypto::CryptoError;
use crate::crypto::hash::HashAlg;
use crate::crypto::rng::{Drbg, Random};
use crate::crypto::testing::hex;
use crypto_bigint::BoxedUint;
use crypto_primes::{Flavor, is_prime};
use proptest::prelude::*;
use std::sync::LazyLock;

fn drbg(seed: u64) -> Drbg {
    Drbg::new(&seed.to_be_bytes(), b"test")
}

fn generate(bits: u16, e: u32, rng: &mut dyn Random, slices: u32) -> PrivateKey {
    let mut generation = KeyGen::new(bits, e).unwrap();
    loop {
        if let Some(key) = generation.step(rng, slices).unwrap() {
            return key;
        }
    }
}

static KEY_1024: LazyLock<PrivateKey> = LazyLock::new(|| generate(1024, 65537, &mut drbg(1), 1));
static KEY_2048: LazyLock<PrivateKey> = LazyLock::new(|| generate(2048, 65537, &mut drbg(2), 1));

fn number(bytes: &[u8]) -> BoxedUint {
    BoxedUint::from_be_slice(bytes, 8 * bytes.len() as u32).unwrap()
}

#[test]
fn generated_keys_are_keys() {
    for (bits, e) in [
        (1024, 65537),
        (1024, 3),
        (1024, 0xffff_ffff),
        (2048, 65537),
        (3072, 65537),
    ] {
        let mut rng = drbg(u64::from(bits) << 32 | u64::from(e));
        let key = generate(bits, e, &mut rng, 100);
        assert_eq!(
            (key.public().bits(), key.public().e()),
            (u32::from(bits), e)
        );
        let p = number(&key.prime());
        let n = number(&key.public().n());
        let (q, rest) = n.div_rem(&p.to_nz().unwrap());
        assert!(bool::from(rest.is_zero()));
        assert!(is_prime(Flavor::Any, &p));
        assert!(is_prime(Flavor::Any, &q));
        assert_eq!(q.bits(), u32::from(bits) / 2);
        let message = hex("0102030405");
        let power = key.public().encrypt_raw(&message).unwrap();
        let root = key.decrypt_raw(&power, &mut rng).unwrap();
        assert_eq!(root.len(), usize::from(bits) / 8);
        assert!(root.ends_with(&message));
    }
}

#[test]
fn what_is_no_key_is_refused() {
    for bits in [0, 512, 1000, 2047, 2049, 8192] {
        assert_eq!(KeyGen::new(bits, 65537).err(), Some(CryptoError::Parameter));
    }
    for e in [0, 1, 2, 65536] {
        assert_eq!(KeyGen::new(2048, e).err(), Some(CryptoError::Value));
    }
    let key = &*KEY_1024;
    let (n, p) = (key.public().n(), key.prime());
    assert!(PrivateKey::from_prime(&n, 65537, &p).is_ok());
    let mut even = n.clone();
    even[127] &= !1;
    let mut short = n.clone();
    short[0] = 0x7f;
    for n in [
        &[][..],
        &n[1..],
        &[&[0], &n[..]].concat(),
        &[0; 128],
        &short,
    ] {
        assert_eq!(PublicKey::new(n, 65537), Err(CryptoError::Parameter));
    }
    for (n, e) in [(&even, 65537), (&n, 0), (&n, 1), (&n, 4)] {
        assert_eq!(PublicKey::new(n, e), Err(CryptoError::Value));
    }
    let mut other = p.to_vec();
    other[63] ^= 2;
    for p in [&[][..], &[0; 64], &[1], &other, &p[..63], &n] {
        let refused = PrivateKey::from_prime(&n, 65537, p).err();
        assert_eq!(refused, Some(CryptoError::Value), "{}", p.len());
    }
    // A square has a prime of the right size twice.
    let square = crypto_bigint::ConcatenatingMul::concatenating_mul(&number(&p), &number(&p));
    assert_eq!(
        PrivateKey::from_prime(&square.to_be_bytes(), 65537, &p).err(),
        Some(CryptoError::Value)
    );
}

/// Two halves of the right size that are no primes: the root is no root, which
/// the check notices.
#[test]
fn a_wrong_root_is_withheld() {
    let mut p = [0xd5; 64];
    let mut q = [0xd7; 64];
    p[63] = 0x01;
    q[63] = 0x03;
    let n = crypto_bigint::ConcatenatingMul::concatenating_mul(&number(&p), &number(&q));
    let key = PrivateKey::from_prime(&n.to_be_bytes(), 17, &p).unwrap();
    let refused = key.decrypt_raw(&[0x12; 128], &mut drbg(0));
    assert_eq!(refused, Err(CryptoError::Internal));
}

#[test]
fn numbers_not_below_the_modulus_are_refused() {
    let key = &*KEY_1024;
    let n = key.public().n();
    for bad in [&n[..], &[0xff; 128], &[&[1][..], &[0; 128]].concat()] {
        assert_eq!(key.public().encrypt_raw(bad), Err(CryptoError::Value));
        assert_eq!(key.decrypt_raw(bad, &mut drbg(0)), Err(CryptoError::Value));
    }
    let mut last = n;
    last[127] ^= 1;
    // -1 to an odd power.
    assert_eq!(key.public().encrypt_raw(&last).unwrap(), last);
    assert_eq!(*key.decrypt_raw(&last, &mut drbg(0)).unwrap(), last);
    // Leading zeros do not matter, and nothing is zero.
    assert_eq!(key.public().encrypt_raw(&[0; 200]).unwrap(), [0; 128]);
    assert_eq!(key.public().encrypt_raw(&[]).unwrap(), [0; 128]);
    assert_eq!(*key.decrypt_raw(&[0], &mut drbg(0)).unwrap(), [0; 128]);
}

/// The frozen way from a seed to a primary key, in whatever slices: a few lines
/// of Python with another primality test gave the same primes.
#[test]
fn keys_of_a_seed() {
    for (bits, p, q_end) in include!("seeded.in") {
        // The large ones once: they take seconds without optimisation.
        let slices: &[u32] = if bits > 2048 { &[9] } else { &[1, 7, u32::MAX] };
        for slices in slices {
            let mut stream = Drbg::derive(&[0x5a; 32], b"primary", &[b"test"]);
            let key = generate(bits, 65537, &mut stream, *slices);
            assert_eq!(key.prime()[..], hex(p), "{bits}");
            let q = number(&key.public().n()).wrapping_div(&number(&hex(p)).to_nz().unwrap());
            assert!(q.to_be_bytes().ends_with(&hex(q_end)), "{bits}");
        }
    }
}

/// A key, signatures and ciphertexts that OpenSSL made.
#[test]
fn as_openssl() {
    let (n, p, rsassa, pss, oaep, rsaes) = include!("openssl.in");
    let key = PrivateKey::from_prime(&hex(n), 65537, &hex(p)).unwrap();
    let mut rng = drbg(0);
    let digest = HashAlg::Sha256.digest(&[b"rampart"]);
    assert_eq!(
        pkcs1_sign(&key, HashAlg::Sha256, &digest, &mut rng).unwrap(),
        hex(rsassa)
    );
    for salt_len in [None, Some(32)] {
        let verified = pss_verify(key.public(), HashAlg::Sha256, &digest, salt_len, &hex(pss));
        assert_eq!(verified, Ok(()));
    }
    let verified = pss_verify(key.public(), HashAlg::Sha256, &digest, Some(20), &hex(pss));
    assert_eq!(verified, Err(CryptoError::Verify));
    let plain = oaep_decrypt(&key, HashAlg::Sha256, b"SECRET\0", &hex(oaep), &mut rng);
    assert_eq!(plain.unwrap()[..], *b"rampart");
    let plain = oaep_decrypt(&key, HashAlg::Sha256, b"SECRET", &hex(oaep), &mut rng);
    assert_eq!(plain, Err(CryptoError::Verify));
    let plain = pkcs1_decrypt(&key, &hex(rsaes), &mut rng);
    assert_eq!(plain.unwrap()[..], *b"rampart");
}

#[test]
fn salt_lengths() {
    assert_eq!(pss_salt_len(HashAlg::Sha256, 2048), 32);
    assert_eq!(pss_salt_len(HashAlg::Sha512, 2048), 64);
    assert_eq!(pss_salt_len(HashAlg::Sha512, 1024), 62);
    assert_eq!(pss_salt_len(HashAlg::Sha512, 0), 0);
}

/// Every padding that is not quite right is refused.
#[test]
fn wrong_paddings() {
    let key = &*KEY_1024;
    let mut rng = drbg(0);
    let pkcs1 = |start: &[u8], rng: &mut Drbg| {
        let mut encoded = [start, &[0x55; 128]].concat();
        encoded.truncate(128);
        let ciphertext = key.public().encrypt_raw(&encoded).unwrap();
        pkcs1_decrypt(key, &ciphertext, rng).map(|plain| plain.len())
    };
    let ok = [&[0, 2][..], &[1; 8], &[0]].concat();
    assert_eq!(pkcs1(&ok, &mut rng), Ok(117));
    let short = [&[0, 2][..], &[1; 7], &[0]].concat();
    let type_1 = [&[0, 1][..], &[1; 8], &[0]].concat();
    let first = [&[1, 2][..], &[1; 8], &[0]].concat();
    for bad in [&short[..], &type_1, &first, &[0, 2], &[0, 2, 0]] {
        assert_eq!(pkcs1(bad, &mut rng), Err(CryptoError::Verify));
    }

    let digest = HashAlg::Sha256.digest(&[b"a"]);
    let signature = pkcs1_sign(key, HashAlg::Sha256, &digest, &mut rng).unwrap();
    let verify = |signature: &[u8]| pkcs1_verify(key.public(), HashAlg::Sha256, &digest, signature);
    assert_eq!(verify(&signature), Ok(()));
    assert_eq!(verify(&signature[1..]), Err(CryptoError::Verify));
    assert_eq!(
        verify(&[&[0], &signature[..]].concat()),
        Err(CryptoError::Verify)
    );
    assert_eq!(verify(&[0xff; 128]), Err(CryptoError::Verify));
    // SHA-512's DigestInfo and OAEP do not fit any key.
    assert_eq!(
        oaep_encrypt(key.public(), HashAlg::Sha512, b"", b"", &mut rng),
        Err(CryptoError::Parameter)
    );
    assert_eq!(
        oaep_decrypt(key, HashAlg::Sha512, b"", &signature, &mut rng),
        Err(CryptoError::Parameter)
    );
    for alg in [HashAlg::Sha1, HashAlg::Sha512] {
        assert_eq!(
            pkcs1_sign(key, alg, &digest, &mut rng),
            Err(CryptoError::Parameter)
        );
        assert_eq!(
            pss_sign(key, alg, &digest, 0, &mut rng),
            Err(CryptoError::Parameter)
        );
    }
    assert_eq!(
        pss_sign(key, HashAlg::Sha256, &digest, 95, &mut rng),
        Err(CryptoError::Parameter)
    );
    assert!(pss_sign(key, HashAlg::Sha256, &digest, 94, &mut rng).is_ok());
}

fn any_key() -> impl Strategy<Value = &'static PrivateKey> {
    prop_oneof![Just(&*KEY_1024), Just(&*KEY_2048)]
}

fn any_alg() -> impl Strategy<Value = HashAlg> {
    prop::sample::select(vec![HashAlg::Sha1, HashAlg::Sha256, HashAlg::Sha384])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn loaded_keys_are_the_same(key in any_key(), seed: u64) {
        let public = key.public();
        let mut rng = drbg(seed);
        let mut message = vec![0; public.size()];
        rng.fill(&mut message);
        message[0] &= 0x7f;
        let power = public.encrypt_raw(&message).unwrap();
        let loaded = PrivateKey::from_prime(&public.n(), public.e(), &key.prime()).unwrap();
        prop_assert_eq!(&*loaded.decrypt_raw(&power, &mut rng).unwrap(), &message);
        prop_assert_eq!(&*key.decrypt_raw(&power, &mut rng).unwrap(), &message);
    }

    #[test]
    fn encryption(key in any_key(), alg in any_alg(), label: [u8; 4], seed: u64, message in prop::collection::vec(any::<u8>(), 0..30), flip in 0usize..2048) {
        let mut rng = drbg(seed);
        let mut ciphertext = oaep_encrypt(key.public(), alg, &label, &message, &mut rng).unwrap();
        prop_assert_eq!(&*oaep_decrypt(key, alg, &label, &ciphertext, &mut rng).unwrap(), &message);
        let len = ciphertext.len();
        ciphertext[flip / 8 % len] ^= 1 << (flip % 8);
        prop_assert!(oaep_decrypt(key, alg, &label, &ciphertext, &mut rng).is_err());
        let ciphertext = pkcs1_encrypt(key.public(), &message, &mut rng).unwrap();
        prop_assert_eq!(&*pkcs1_decrypt(key, &ciphertext, &mut rng).unwrap(), &message);
    }

    #[test]
    fn signatures(key in any_key(), alg in any_alg(), seed: u64, salt_len in 0usize..60, flip in 0usize..2048) {
        let mut rng = drbg(seed);
        let digest = alg.digest(&[&seed.to_be_bytes()]);
        let mut rsassa = pkcs1_sign(key, alg, &digest, &mut rng).unwrap();
        prop_assert_eq!(pkcs1_verify(key.public(), alg, &digest, &rsassa), Ok(()));
        let mut pss = pss_sign(key, alg, &digest, salt_len, &mut rng).unwrap();
        for len in [None, Some(salt_len)] {
            prop_assert_eq!(pss_verify(key.public(), alg, &digest, len, &pss), Ok(()));
        }
        let at = flip / 8 % pss.len();
        pss[at] ^= 1 << (flip % 8);
        rsassa[at] ^= 1 << (flip % 8);
        prop_assert_eq!(pss_verify(key.public(), alg, &digest, None, &pss), Err(CryptoError::Verify));
        prop_assert_eq!(pkcs1_verify(key.public(), alg, &digest, &rsassa), Err(CryptoError::Verify));
    }
}
