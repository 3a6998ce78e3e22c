use super::*;
use crate::crypto::hash::HashAlg;
use crate::crypto::rng::Drbg;
use crate::crypto::testing::hex;
use crypto_bigint::{BoxedUint, NonZero, Resize};
use proptest::prelude::*;

fn drbg(seed: u64) -> Drbg {
    Drbg::new(&seed.to_be_bytes(), b"test")
}

fn generator(curve: Curve) -> Point {
    let parameters = curve.parameters();
    Point {
        x: parameters.gx.to_vec(),
        y: parameters.gy.to_vec(),
    }
}

fn any_curve() -> impl Strategy<Value = Curve> {
    prop::sample::select(Curve::ALL.to_vec())
}

/// n less a small number.
fn order_less(curve: Curve, less: u8) -> Vec<u8> {
    let mut bytes = curve.order().to_vec();
    // The last byte of each order is larger than what the tests take off.
    *bytes.last_mut().unwrap() -= less;
    bytes
}

#[test]
fn identifiers_and_sizes() {
    for curve in Curve::ALL {
        assert_eq!(Curve::from_id(curve.id()), Some(curve));
        assert_eq!(curve.field_len(), curve.bits().div_ceil(8) as usize);
        assert_eq!(curve.parameters().p.len(), curve.field_len());
        assert_eq!(curve.order().len(), curve.field_len());
    }
    assert_eq!(Curve::from_id(0x0010), None, "BN_P256 is not implemented");
    assert_eq!(Curve::from_id(0), None);
}

/// The constants are those that the curve crates compute with: G is 1 G, and
/// (n - 1) G is its negative; a and b fit because G is on the curve.
#[test]
fn parameters_are_the_curves() {
    for curve in Curve::ALL {
        let parameters = curve.parameters();
        let g = generator(curve);
        assert_eq!(public_key(curve, &[1]), Ok(g.clone()));
        let negative = public_key(curve, &order_less(curve, 1)).unwrap();
        assert_eq!(negative.x, g.x);
        assert_ne!(negative.y, g.y);
        assert_eq!(check(curve, &g.x, &g.y), Ok(g.clone()));

        let number = |bytes: &[u8]| {
            BoxedUint::from_be_slice(bytes, 8 * bytes.len() as u32)
                .unwrap()
                .resize(1088)
        };
        let p = NonZero::new(number(parameters.p)).unwrap();
        let (x, y) = (number(&g.x), number(&g.y));
        let left = y.mul_mod(&y, &p);
        let cube = x.mul_mod(&x, &p).mul_mod(&x, &p);
        let linear = number(parameters.a).mul_mod(&x, &p);
        let right = cube.add_mod(&linear, &p).add_mod(&number(parameters.b), &p);
        assert_eq!(left, right, "{curve:?}");
        assert_eq!(
            number(parameters.p).wrapping_sub(number(parameters.a)),
            number(&[3])
        );
    }
}

#[test]
fn scalars_out_of_range_are_refused() {
    for curve in Curve::ALL {
        let g = generator(curve);
        let n = curve.order().to_vec();
        let ff = vec![0xff; curve.field_len()];
        let long = [&[1][..], &vec![0; curve.field_len()]].concat();
        for bad in [&[][..], &[0], &n, &ff, &long, &[0; 100]] {
            assert_eq!(public_key(curve, bad), Err(CryptoError::Value));
            assert_eq!(mul(curve, bad, &g), Err(CryptoError::Value));
            assert_eq!(
                ecdsa_sign(curve, bad, &[1; 32], &mut drbg(0)),
                Err(CryptoError::Value)
            );
        }
        // Leading zeros do not matter.
        let padded = [&[0; 50][..], &order_less(curve, 1)].concat();
        assert_eq!(
            public_key(curve, &padded),
            public_key(curve, &order_less(curve, 1))
        );
    }
}

#[test]
fn points_off_the_curve_are_refused() {
    for curve in Curve::ALL {
        let g = generator(curve);
        let p = curve.parameters().p;
        let mut wrong_y = g.y.clone();
        wrong_y[5] ^= 1;
        let long = [&[1][..], &g.x].concat();
        for (x, y) in [
            (&g.x[..], &wrong_y[..]),
            (&g.y, &g.x),
            (&[], &[]),
            (&[0], &[0]),
            (p, &g.y),
            (&g.x, p),
            (&long, &g.y),
        ] {
            assert_eq!(check(curve, x, y), Err(CryptoError::Value));
            let point = Point {
                x: x.to_vec(),
                y: y.to_vec(),
            };
            assert_eq!(mul(curve, &[2], &point), Err(CryptoError::Value));
            assert_eq!(
                ecdsa_verify(curve, &point, &[1; 32], &[1], &[1]),
                Err(CryptoError::Value)
            );
        }
    }
}

/// Known answers of ECDH: NIST's CAVP vectors of the one-pass primitive for
/// P-256, first case.
#[test]
fn ecdh_vector() {
    let peer = check(
        Curve::P256,
        &hex("700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"),
        &hex("db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac"),
    )
    .unwrap();
    let d = hex("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534");
    assert_eq!(
        mul(Curve::P256, &d, &peer).unwrap().x,
        hex("46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b")
    );
}

/// The frozen way from a seed to a primary key; a few lines of Python gave the
/// same.
#[test]
fn keys_of_a_seed() {
    for (curve, expected) in [
        (
            Curve::P256,
            "f2bf610e0618c491c45a229a884e4a5d4e24a126597edbcaec26a4a388085ac5",
        ),
        (
            Curve::P384,
            "f2bf610e0618c491c45a229a884e4a5d4e24a126597edbcaec26a4a388085ac4\
             4c3179c6dfaa89b20102ae9c74a394df",
        ),
        (
            Curve::P521,
            "00bf610e0618c491c45a229a884e4a5d4e24a126597edbcaec26a4a388085ac4\
             4c3179c6dfaa89b20102ae9c74a394de97d5440274d6b91579f25d65ce009d19\
             98c4",
        ),
    ] {
        let mut stream = Drbg::derive(&[0x5a; 32], b"primary", &[b"test"]);
        let (d, point) = generate(curve, &mut stream);
        assert_eq!(d[..], hex(expected), "{curve:?}");
        assert_eq!(public_key(curve, &d), Ok(point));
    }
}

/// OpenSSL signed "rampart" with SHA-256 and, for P-521, SHA-512.
#[test]
fn signatures_of_openssl() {
    for (curve, alg, x, y, r, s) in include!("openssl.in") {
        let digest = alg.digest(&[b"rampart"]);
        let point = check(curve, &hex(x), &hex(y)).unwrap();
        assert_eq!(
            ecdsa_verify(curve, &point, &digest, &hex(r), &hex(s)),
            Ok(())
        );
        let other = alg.digest(&[b"Rampart"]);
        assert_eq!(
            ecdsa_verify(curve, &point, &other, &hex(r), &hex(s)),
            Err(CryptoError::Verify)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn ecdh_agrees(curve in any_curve(), seed: u64) {
        let mut rng = drbg(seed);
        let (a, a_point) = generate(curve, &mut rng);
        let (b, b_point) = generate(curve, &mut rng);
        prop_assert_ne!(&a, &b);
        prop_assert_eq!(mul(curve, &a, &b_point), mul(curve, &b, &a_point));
    }

    #[test]
    fn sums_of_multiples(curve in any_curve(), seed: u64) {
        let mut rng = drbg(seed);
        let (a, _) = generate(curve, &mut rng);
        let (b, b_point) = generate(curve, &mut rng);
        let (c, _) = generate(curve, &mut rng);
        // a G + c (b G) = (a + b c) G
        let sum = mul_add_scalars(curve, &a, &b, &c);
        prop_assert_eq!(
            mul2(curve, &a, &generator(curve), &c, &b_point),
            public_key(curve, &sum)
        );
        // a G + (n - 1) a G is the identity, which has no coordinates.
        let a_point = public_key(curve, &a).unwrap();
        prop_assert_eq!(
            mul2(curve, &[1], &a_point, &order_less(curve, 1), &a_point),
            Err(CryptoError::Value)
        );
    }

    /// As big integers reduce.
    #[test]
    fn reduction(curve in any_curve(), bytes in prop::collection::vec(any::<u8>(), 0..140), high: bool) {
        let bytes = if high { [&[0xff; 66], &bytes[..]].concat() } else { bytes };
        let number = |bytes: &[u8]| BoxedUint::from_be_slice(&[&[0; 256][bytes.len()..], bytes].concat(), 2048).unwrap();
        let n = NonZero::new(number(curve.order())).unwrap();
        let mut expected = number(&bytes).rem(&n);
        if bool::from(expected.is_zero()) {
            expected = number(&[1]);
        }
        prop_assert_eq!(number(&reduce(curve, &bytes)), expected);
        prop_assert_eq!(reduce(curve, &bytes).len(), curve.field_len());
        let p = NonZero::new(number(curve.parameters().p)).unwrap();
        prop_assert_eq!(number(&reduce_coordinate(curve, &bytes)), number(&bytes).rem(&p));
        prop_assert_eq!(reduce_coordinate(curve, &bytes).len(), curve.field_len());
    }

    #[test]
    fn ecdsa(curve in any_curve(), seed: u64, digest in prop::collection::vec(any::<u8>(), 0..80), flip in 0usize..4096) {
        let mut rng = drbg(seed);
        let (d, point) = generate(curve, &mut rng);
        let (mut r, mut s) = ecdsa_sign(curve, &d, &digest, &mut rng).unwrap();
        prop_assert_eq!(r.len(), curve.field_len());
        prop_assert_eq!(ecdsa_verify(curve, &point, &digest, &r, &s), Ok(()));
        let again = ecdsa_sign(curve, &d, &digest, &mut rng).unwrap();
        prop_assert_ne!(&again.0, &r, "the secret number is another each time");
        let bad = if flip % 2 == 0 { &mut r } else { &mut s };
        let at = flip / 16 % bad.len();
        bad[at] ^= 1 << (flip / 2 % 8);
        prop_assert_eq!(
            ecdsa_verify(curve, &point, &digest, &r, &s),
            Err(CryptoError::Verify)
        );
    }

    #[test]
    fn schnorr(curve in any_curve(), alg in prop::sample::select(HashAlg::ALL.to_vec()), seed: u64, flip in 0usize..4096) {
        let mut rng = drbg(seed);
        let digest = alg.digest(&[&seed.to_be_bytes()]);
        let (d, point) = generate(curve, &mut rng);
        let (mut r, mut s) = schnorr_sign(curve, alg, &d, &digest, &mut rng).unwrap();
        prop_assert_eq!(r.len(), alg.digest_size().min(curve.field_len()));
        prop_assert_eq!(schnorr_verify(curve, alg, &point, &digest, &r, &s), Ok(()));
        let padded = [&[0, 0][..], &r].concat();
        prop_assert_eq!(schnorr_verify(curve, alg, &point, &digest, &padded, &s), Ok(()));
        let bad = if flip % 2 == 0 { &mut r } else { &mut s };
        let at = flip / 16 % bad.len();
        bad[at] ^= 1 << (flip / 2 % 8);
        prop_assert_eq!(
            schnorr_verify(curve, alg, &point, &digest, &r, &s),
            Err(CryptoError::Verify)
        );
    }

    /// The verifier's equation of the ECDAA signature's TPM part:
    /// s G = R + T Q with T = H(k, P).
    #[test]
    fn ecdaa(curve in any_curve(), seed: u64) {
        let mut rng = drbg(seed);
        let (d, public) = generate(curve, &mut rng);
        let (commit, committed) = generate(curve, &mut rng);
        let (k, s) = ecdaa_sign(curve, HashAlg::Sha256, &d, &commit, b"digest", &mut rng).unwrap();
        let t = reduce(curve, &HashAlg::Sha256.digest(&[&k, b"digest"]));
        prop_assert_eq!(
            public_key(curve, &s),
            mul2(curve, &[1], &committed, &t, &public)
        );
    }
}
