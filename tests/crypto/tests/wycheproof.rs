//! The cryptography against Project Wycheproof's vectors, which are made of what
//! implementations got wrong before.

use vtpm::crypto::ecc::{self, Curve};
use vtpm::crypto::hash::HashAlg;
use vtpm::crypto::hmac::hmac;
use vtpm::crypto::rng::Drbg;
use vtpm::crypto::rsa::{self, PrivateKey, PublicKey};
use vtpm::crypto::sym::{Mode, crypt};
use wycheproof::{EllipticCurve, HashFunction, TestResult};

fn hash(function: HashFunction) -> Option<HashAlg> {
    match function {
        HashFunction::Sha1 => Some(HashAlg::Sha1),
        HashFunction::Sha2_256 => Some(HashAlg::Sha256),
        HashFunction::Sha2_384 => Some(HashAlg::Sha384),
        HashFunction::Sha2_512 => Some(HashAlg::Sha512),
        _ => None,
    }
}

fn curve(curve: EllipticCurve) -> Option<Curve> {
    match curve {
        EllipticCurve::Secp256r1 => Some(Curve::P256),
        EllipticCurve::Secp384r1 => Some(Curve::P384),
        EllipticCurve::Secp521r1 => Some(Curve::P521),
        _ => None,
    }
}

/// What the vectors expect, and what came out. "Acceptable" is either.
#[track_caller]
fn compare(expected: &TestResult, passed: bool, id: usize, comment: &str) {
    match expected {
        TestResult::Valid => assert!(passed, "{id}: {comment}"),
        TestResult::Invalid => assert!(!passed, "{id}: {comment}"),
        TestResult::Acceptable => {}
    }
}

#[test]
fn ecdsa() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut count = 0;
    for name in [
        TestName::EcdsaSecp256r1Sha256P1363,
        TestName::EcdsaSecp256r1Sha512P1363,
        TestName::EcdsaSecp384r1Sha384P1363,
        TestName::EcdsaSecp384r1Sha512P1363,
        TestName::EcdsaSecp521r1Sha512P1363,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let curve = curve(group.key.curve).unwrap();
            let alg = hash(group.hash).unwrap();
            let point = ecc::check(curve, &group.key.affine_x, &group.key.affine_y).unwrap();
            for test in group.tests {
                let digest = alg.digest(&[&test.msg]);
                // The TPM's signatures are two numbers, not their concatenation.
                let half = test.sig.len() / 2;
                let passed = test.sig.len() == 2 * curve.field_len()
                    && ecc::ecdsa_verify(
                        curve,
                        &point,
                        &digest,
                        &test.sig[..half],
                        &test.sig[half..],
                    )
                    .is_ok();
                compare(&test.result, passed, test.tc_id, &test.comment);
                count += 1;
            }
        }
    }
    assert!(count > 1000, "{count}");
}

#[test]
fn ecdh() {
    use wycheproof::ecdh::{TestName, TestSet};
    let mut count = 0;
    for name in [
        TestName::EcdhSecp256r1Ecpoint,
        TestName::EcdhSecp384r1Ecpoint,
        TestName::EcdhSecp521r1Ecpoint,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let curve = curve(group.curve).unwrap();
            for test in group.tests {
                // Points come uncompressed to a TPM.
                let len = curve.field_len();
                let passed = if test.public_key.len() == 1 + 2 * len && test.public_key[0] == 4 {
                    let (x, y) = test.public_key[1..].split_at(len);
                    ecc::check(curve, x, y)
                        .and_then(|point| ecc::mul(curve, &test.private_key, &point))
                        .is_ok_and(|shared| shared.x == test.shared_secret[..])
                } else {
                    assert!(test.result != TestResult::Valid || test.public_key[0] != 4);
                    continue;
                };
                compare(&test.result, passed, test.tc_id, &test.comment);
                count += 1;
            }
        }
    }
    assert!(count > 500, "{count}");
}

#[test]
fn rsassa() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut count = 0;
    for name in TestName::all() {
        let Ok(set) = TestSet::load(name) else {
            continue;
        };
        for group in set.test_groups {
            let Some(alg) = hash(group.hash) else {
                continue;
            };
            let Ok(e) = u32::try_from(group.key.e.iter().fold(0u64, |e, b| e << 8 | u64::from(*b)))
            else {
                continue;
            };
            let n = trimmed(&group.key.n);
            let Ok(key) = PublicKey::new(n, e) else {
                continue;
            };
            for test in group.tests {
                let digest = alg.digest(&[&test.msg]);
                let passed = rsa::pkcs1_verify(&key, alg, &digest, &test.sig).is_ok();
                compare(&test.result, passed, test.tc_id, &test.comment);
                count += 1;
            }
        }
    }
    assert!(count > 1000, "{count}");
}

/// Without the zeros in front.
fn trimmed(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|b| **b == 0).count()..]
}

#[test]
fn rsapss() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let mut count = 0;
    for name in TestName::all() {
        let Ok(set) = TestSet::load(name) else {
            continue;
        };
        for group in set.test_groups {
            let (Some(alg), Some(mgf)) = (hash(group.hash), group.mgf_hash.and_then(hash)) else {
                continue;
            };
            let Ok(e) = u32::try_from(group.key.e.iter().fold(0u64, |e, b| e << 8 | u64::from(*b)))
            else {
                continue;
            };
            let Ok(key) = PublicKey::new(trimmed(&group.key.n), e) else {
                continue;
            };
            if alg != mgf {
                continue;
            }
            for test in group.tests {
                let digest = alg.digest(&[&test.msg]);
                let passed =
                    rsa::pss_verify(&key, alg, &digest, Some(group.salt_size), &test.sig).is_ok();
                compare(&test.result, passed, test.tc_id, &test.comment);
                count += 1;
            }
        }
    }
    assert!(count > 500, "{count}");
}

#[test]
fn rsa_decryption() {
    let mut rng = Drbg::new(b"wycheproof", b"");
    let mut count = 0;
    for name in wycheproof::rsa_oaep::TestName::all() {
        let set = wycheproof::rsa_oaep::TestSet::load(name).unwrap();
        for group in set.test_groups {
            let (Some(alg), Some(mgf)) = (hash(group.hash), hash(group.mgf_hash)) else {
                continue;
            };
            let key = PrivateKey::from_prime(trimmed(&group.key.n), 65537, trimmed(&group.key.p));
            if alg != mgf || trimmed(&group.key.e) != [1, 0, 1] {
                continue;
            }
            let Ok(key) = key else { continue };
            for test in group.tests {
                let plain = rsa::oaep_decrypt(&key, alg, &test.label, &test.ct, &mut rng);
                let passed = test.ct.len() == key.public().size()
                    && plain.is_ok_and(|p| p[..] == test.pt[..]);
                compare(&test.result, passed, test.tc_id, &test.comment);
                count += 1;
            }
        }
    }
    for name in wycheproof::rsa_pkcs1_decrypt::TestName::all() {
        let set = wycheproof::rsa_pkcs1_decrypt::TestSet::load(name).unwrap();
        for group in set.test_groups {
            let key = PrivateKey::from_prime(trimmed(&group.key.n), 65537, trimmed(&group.key.p))
                .unwrap();
            for test in group.tests {
                let plain = rsa::pkcs1_decrypt(&key, &test.ct, &mut rng);
                let passed = test.ct.len() == key.public().size()
                    && plain.is_ok_and(|p| p[..] == test.pt[..]);
                compare(&test.result, passed, test.tc_id, &test.comment);
                count += 1;
            }
        }
    }
    assert!(count > 200, "{count}");
}

#[test]
fn hmacs() {
    use wycheproof::mac::{TestName, TestSet};
    let mut count = 0;
    for (name, alg) in [
        (TestName::HmacSha1, HashAlg::Sha1),
        (TestName::HmacSha256, HashAlg::Sha256),
        (TestName::HmacSha384, HashAlg::Sha384),
        (TestName::HmacSha512, HashAlg::Sha512),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let mac = hmac(alg, &test.key, &[&test.msg]);
                let passed = mac[..group.tag_size / 8] == test.tag[..];
                compare(&test.result, passed, test.tc_id, &test.comment);
                count += 1;
            }
        }
    }
    assert!(count > 500, "{count}");
}

#[test]
fn aes_cbc() {
    use wycheproof::cipher::{TestName, TestSet};
    let mut count = 0;
    for group in TestSet::load(TestName::AesCbcPkcs5).unwrap().test_groups {
        for test in group.tests {
            // The padding is not the TPM's.
            let pad = 16 - test.pt.len() % 16;
            let mut data = test.pt.to_vec();
            data.resize(test.pt.len() + pad, pad as u8);
            let mut iv = test.nonce[..].try_into().unwrap();
            crypt(Mode::Cbc, true, &test.key, &mut iv, &mut data).unwrap();
            compare(&test.result, data == test.ct[..], test.tc_id, &test.comment);
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}
