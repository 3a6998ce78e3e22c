//! Commit, and ECDAA signatures with what it gives.

use super::asymmetric::{PLAIN, points, wire};
use super::keys::*;
use crate::crypto::ecc::{self, Curve, Point};
use crate::crypto::hash::HashAlg;
use crate::crypto::rng::Drbg;
use crate::object::commit;
use crate::rc::Rc;
use crate::testing::{Command, Response, run, started};
use crate::wire::*;
use std::vec::Vec;

/// A y for the x that Commit makes of some s2.
fn base_point(curve: Curve) -> (Vec<u8>, Point) {
    let parameters = curve.parameters();
    let g = Point {
        x: parameters.gx.to_vec(),
        y: parameters.gy.to_vec(),
    };
    let n_less_1 = {
        let mut n = curve.order().to_vec();
        *n.last_mut().unwrap() -= 1;
        n
    };
    // Half of all numbers are an x; the square root is found with big integers.
    use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
    use crypto_bigint::{BoxedUint, Odd};
    assert_eq!(ecc::mul(curve, &n_less_1, &g).unwrap().x, g.x);
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, 256).unwrap();
    let p = number(parameters.p);
    let field = BoxedMontyParams::new(Odd::new(p.clone()).unwrap());
    let element = |bytes: &[u8]| BoxedMontyForm::new(number(bytes), &field);
    (0u8..)
        .find_map(|n| {
            let s2 = [n; 20].to_vec();
            let x = ecc::reduce_coordinate(curve, &HashAlg::Sha256.digest(&[&s2]));
            let e = element(&x);
            let right = e
                .square()
                .mul(&e)
                .add(&element(parameters.a).mul(&e))
                .add(&element(parameters.b));
            // p is 3 modulo 4.
            let root = right
                .pow(&p.wrapping_add(BoxedUint::one()).shr(2))
                .retrieve();
            ecc::check(curve, &x, &root.to_be_bytes())
                .ok()
                .map(|point| (s2, point))
        })
        .unwrap()
}

#[test]
fn commit_multiplies_what_it_is_given() {
    let mut tpm = started(7);
    let scheme = Scheme::EcDaa {
        hash: HashAlg::Sha256,
        count: 0,
    };
    let key = primary(&mut tpm, Handle::OWNER, &ecc(SIGNING, PLAIN, scheme));
    let (s2, base) = base_point(Curve::P256);
    let (_, p1) = ecc::generate(Curve::P256, &mut Drbg::new(&[6; 32], b""));
    let empty = Sized2b(EccPoint {
        x: Bytes::empty(),
        y: Bytes::empty(),
    });
    let send = |tpm: &mut TestTpm, key, p1: &Tpm2bEccPoint, s2: &[u8], y2: &[u8]| {
        let command = Command::new(0x18B)
            .auth(key, b"")
            .with(p1)
            .with(&Tpm2bSensitiveData::new(s2).unwrap())
            .with(&Tpm2bEccParameter::new(y2).unwrap());
        run(tpm, &command)
    };
    let secret = tpm
        .state()
        .object(key)
        .unwrap()
        .secrets()
        .unwrap()
        .data
        .clone();
    let name = tpm.state().object(key).unwrap().name.clone();
    for (p1_given, base_given) in [(true, true), (true, false), (false, true), (false, false)] {
        let number = commit::next(tpm.state());
        let r = commit::secret_number(tpm.state(), Curve::P256, number, &name);
        let mul = |d: &[u8], point| wire(&ecc::mul(Curve::P256, d, point).unwrap());
        let answer = send(
            &mut tpm,
            key,
            &if p1_given { wire(&p1) } else { empty.clone() },
            if base_given { &s2 } else { &[] },
            if base_given { &base.y } else { &[] },
        );
        let [k, l, e] = points(&answer);
        let (expected_k, expected_l) = if base_given {
            (mul(&secret, &base), mul(&r, &base))
        } else {
            (empty.clone(), empty.clone())
        };
        let expected_e = match (p1_given, base_given) {
            (true, _) => mul(&r, &p1),
            (false, true) => empty.clone(),
            (false, false) => wire(&ecc::public_key(Curve::P256, &r).unwrap()),
        };
        assert_eq!([k, l, e], [expected_k, expected_l, expected_e]);
    }
    let size = Rc::SIZE.parameter(3);
    assert_eq!(send(&mut tpm, key, &empty, &s2, &[]).rc, size);
    assert_eq!(send(&mut tpm, key, &empty, &[], &base.y).rc, size);
    let wrong = send(&mut tpm, key, &empty, &s2, &base.x).rc;
    assert_eq!(wrong, Rc::ECC_POINT.parameter(2));
    let mut off = wire(&p1);
    off.0.x = off.0.y.clone();
    let wrong = send(&mut tpm, key, &off, &s2, &base.y).rc;
    assert_eq!(wrong, Rc::ECC_POINT.parameter(1));
    let plain = primary(&mut tpm, Handle::OWNER, &ecc(SIGNING, PLAIN, Scheme::Null));
    assert_eq!(
        send(&mut tpm, plain, &empty, &[], &[]).rc,
        Rc::SCHEME.handle(1)
    );
    let mac = primary(
        &mut tpm,
        Handle::OWNER,
        &keyed_hash(SIGNING, Scheme::Hmac(HashAlg::Sha256)),
    );
    assert_eq!(send(&mut tpm, mac, &empty, &[], &[]).rc, Rc::KEY.handle(1));
}

fn sign(tpm: &mut TestTpm, key: Handle, digest: &[u8], scheme: Scheme) -> Response {
    let command = Command::new(0x15D)
        .auth(key, b"")
        .with(&Tpm2bDigest::new(digest).unwrap())
        .with(&SigScheme(scheme))
        .with(&crate::ticket::null(st::HASHCHECK));
    run(tpm, &command)
}

/// Commit, then Sign with its counter: s G = E + T Q holds, and a counter serves
/// once.
#[test]
fn ecdaa_signs_once_for_each_commit() {
    let mut tpm = started(8);
    let digest = HashAlg::Sha256.digest(&[b"message"]);
    let scheme = |count| Scheme::EcDaa {
        hash: HashAlg::Sha256,
        count,
    };
    let public = ecc(SIGNING, SymDefObject(None), scheme(0));
    let key = primary(&mut tpm, Handle::OWNER, &public);
    let commit = Command::new(0x18B)
        .auth(key, b"")
        .with(&Sized2b(EccPoint {
            x: Bytes::empty(),
            y: Bytes::empty(),
        }))
        .with(&Tpm2bSensitiveData::empty())
        .with(&Tpm2bEccParameter::empty());
    let mut counters = Vec::new();
    let mut points = Vec::new();
    for _ in 0..2 {
        let answer = run(&mut tpm, &commit);
        assert_eq!(answer.rc, Rc::SUCCESS);
        let mut r = Reader::new(&answer.parameters);
        let [k, l, e]: [Tpm2bEccPoint; 3] = core::array::from_fn(|_| r.read().unwrap());
        assert!(k.x.is_empty() && l.x.is_empty());
        points.push(ecc::check(Curve::P256, &e.x, &e.y).unwrap());
        counters.push(r.read::<u16>().unwrap());
    }
    assert_eq!(counters, [0, 1]);
    assert_ne!(points[0], points[1]);
    // The caller has to name the counter, of one that was handed out.
    let fit = Rc::SCHEME.parameter(2);
    assert_eq!(sign(&mut tpm, key, &digest, Scheme::Null).rc, fit);
    assert_eq!(sign(&mut tpm, key, &digest, scheme(2)).rc, Rc::VALUE);
    assert_eq!(sign(&mut tpm, key, &digest, scheme(0xffff)).rc, Rc::VALUE);
    let signed = sign(&mut tpm, key, &digest, scheme(1));
    assert_eq!(signed.rc, Rc::SUCCESS);
    let Signature::EcDaa { r, s, .. } = values(&signed) else {
        panic!("ECDAA was asked for")
    };
    let Unique::Ecc(q) = read_public(&mut tpm, key).0.unique else {
        panic!("an ECC key")
    };
    let q = ecc::check(Curve::P256, &q.x, &q.y).unwrap();
    let t = ecc::reduce(Curve::P256, &HashAlg::Sha256.digest(&[&r, &digest]));
    assert_eq!(
        ecc::public_key(Curve::P256, &s),
        ecc::mul2(Curve::P256, &[1], &points[1], &t, &q)
    );
    assert_eq!(sign(&mut tpm, key, &digest, scheme(1)).rc, Rc::VALUE);
    assert_eq!(sign(&mut tpm, key, &digest, scheme(0)).rc, Rc::SUCCESS);
}
