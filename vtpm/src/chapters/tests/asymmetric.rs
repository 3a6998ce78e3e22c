//! RSA_Encrypt, RSA_Decrypt, ECDH, two-phase key exchange, ECC encryption.

use super::keys::*;
use crate::crypto::ecc::{self, Curve, Point};
use crate::crypto::hash::HashAlg;
use crate::crypto::rng::Drbg;
use crate::rc::Rc;
use crate::state::Transient;
use crate::testing::{Command, Response, reset, run, started};
use crate::wire::*;
use std::vec::Vec;

/// Attributes of a key that decrypts what it gets.
const DECRYPTION: ObjectAttributes = ObjectAttributes(0x0002_0472);
pub(super) const PLAIN: SymDefObject = SymDefObject(None);

fn rsa_command(
    tpm: &mut TestTpm,
    command: Command,
    data: &[u8],
    scheme: Scheme,
    label: &[u8],
) -> Response {
    let command = command
        .with(&Tpm2bPublicKeyRsa::new(data).unwrap())
        .with(&RsaDecrypt(scheme))
        .with(&Tpm2bData::new(label).unwrap());
    run(tpm, &command)
}

fn encrypt(tpm: &mut TestTpm, key: Handle, data: &[u8], scheme: Scheme, label: &[u8]) -> Response {
    rsa_command(tpm, Command::new(0x174).handle(key), data, scheme, label)
}

fn decrypt(tpm: &mut TestTpm, key: Handle, data: &[u8], scheme: Scheme, label: &[u8]) -> Response {
    rsa_command(tpm, Command::new(0x159).auth(key, b""), data, scheme, label)
}

fn out(response: &Response) -> Vec<u8> {
    assert_eq!(response.rc, Rc::SUCCESS);
    buffers(response).remove(0)
}

#[test]
fn rsa_encrypts_and_decrypts() {
    let mut tpm = started(1);
    let key = primary(
        &mut tpm,
        Handle::OWNER,
        &rsa(DECRYPTION, PLAIN, Scheme::Null),
    );
    let oaep = Scheme::Oaep(HashAlg::Sha256);
    for (scheme, label) in [(oaep, &b"label\0"[..]), (oaep, b""), (Scheme::RsaEs, b"")] {
        let sent = out(&encrypt(&mut tpm, key, b"message", scheme, label));
        assert_eq!(sent.len(), 256);
        assert_eq!(
            out(&decrypt(&mut tpm, key, &sent, scheme, label)),
            b"message"
        );
        if scheme == oaep {
            let refused = decrypt(&mut tpm, key, &sent, scheme, b"Label\0").rc;
            assert_eq!(refused, Rc::VALUE);
        }
    }
    // Without a padding the message is a number.
    let sent = out(&encrypt(&mut tpm, key, b"message", Scheme::Null, b""));
    let message = out(&decrypt(&mut tpm, key, &sent, Scheme::Null, b""));
    assert_eq!(message.len(), 256);
    assert!(message.ends_with(b"\0message"));
    assert_eq!(decrypt(&mut tpm, key, &sent, oaep, b"").rc, Rc::VALUE);
    assert_eq!(
        decrypt(&mut tpm, key, &sent, Scheme::RsaEs, b"").rc,
        Rc::VALUE
    );
}

#[test]
fn rsa_refuses_what_does_not_fit() {
    let mut tpm = started(2);
    let oaep = Scheme::Oaep(HashAlg::Sha256);
    let key = primary(&mut tpm, Handle::OWNER, &rsa(DECRYPTION, PLAIN, oaep));
    let fit = Rc::SCHEME.parameter(2);
    let own = out(&encrypt(&mut tpm, key, b"message", Scheme::Null, b""));
    assert_eq!(out(&decrypt(&mut tpm, key, &own, oaep, b"")), b"message");
    for other in [Scheme::RsaEs, Scheme::Oaep(HashAlg::Sha1)] {
        assert_eq!(encrypt(&mut tpm, key, b"message", other, b"").rc, fit);
        assert_eq!(decrypt(&mut tpm, key, &own, other, b"").rc, fit);
    }
    let label = Rc::VALUE.parameter(3);
    assert_eq!(encrypt(&mut tpm, key, b"message", oaep, b"label").rc, label);
    assert_eq!(decrypt(&mut tpm, key, &own, oaep, b"label").rc, label);
    // 256 - 2 * 32 - 2 bytes are the most.
    assert_eq!(encrypt(&mut tpm, key, &[7; 190], oaep, b"").rc, Rc::SUCCESS);
    assert_eq!(encrypt(&mut tpm, key, &[7; 191], oaep, b"").rc, Rc::VALUE);
    let size = Rc::SIZE;
    assert_eq!(decrypt(&mut tpm, key, &own[1..], oaep, b"").rc, size);
    assert_eq!(decrypt(&mut tpm, key, &[], oaep, b"").rc, size);
    // Larger than any modulus.
    assert_eq!(
        decrypt(&mut tpm, key, &[0xff; 256], oaep, b"").rc,
        Rc::VALUE
    );

    let storage = primary(
        &mut tpm,
        Handle::OWNER,
        &rsa(STORAGE, AES128_CFB, Scheme::Null),
    );
    let sent = out(&encrypt(&mut tpm, storage, b"message", oaep, b""));
    let refused = decrypt(&mut tpm, storage, &sent, oaep, b"").rc;
    assert_eq!(refused, Rc::ATTRIBUTES.handle(1));
    flush(&mut tpm, storage);
    let curve = primary(&mut tpm, Handle::OWNER, &storage_key());
    assert_eq!(
        encrypt(&mut tpm, curve, b"x", oaep, b"").rc,
        Rc::KEY.handle(1)
    );
    assert_eq!(
        decrypt(&mut tpm, curve, b"x", oaep, b"").rc,
        Rc::KEY.handle(1)
    );
}

fn exchange_key(scheme: Scheme) -> Public {
    ecc(DECRYPTION, PLAIN, scheme)
}

pub(super) fn wire(point: &Point) -> Tpm2bEccPoint {
    Sized2b(EccPoint {
        x: Bytes::new(&point.x).unwrap(),
        y: Bytes::new(&point.y).unwrap(),
    })
}

pub(super) fn points<const N: usize>(response: &Response) -> [Tpm2bEccPoint; N] {
    assert_eq!(response.rc, Rc::SUCCESS);
    let mut r = Reader::new(&response.parameters);
    core::array::from_fn(|_| r.read().unwrap())
}

fn z_gen(tpm: &mut TestTpm, key: Handle, point: &Tpm2bEccPoint) -> Response {
    run(tpm, &Command::new(0x154).auth(key, b"").with(point))
}

#[test]
fn ecdh_gives_both_sides_the_same() {
    let mut tpm = started(3);
    let scheme = Scheme::EcDh(HashAlg::Sha256);
    let key = primary(&mut tpm, Handle::OWNER, &exchange_key(scheme));
    let [z, ephemeral] = points(&run(&mut tpm, &Command::new(0x163).handle(key)));
    let [again] = points(&z_gen(&mut tpm, key, &ephemeral));
    assert_eq!(z, again);
    assert_eq!((z.x.len(), z.y.len()), (32, 32));
    let [other, _] = points(&run(&mut tpm, &Command::new(0x163).handle(key)));
    assert_ne!(z, other);
    let mut off = ephemeral.clone();
    off.0.y = off.0.x.clone();
    assert_eq!(z_gen(&mut tpm, key, &off).rc, Rc::ECC_POINT.parameter(1));
    let storage = primary(&mut tpm, Handle::OWNER, &storage_key());
    assert_eq!(
        z_gen(&mut tpm, storage, &ephemeral).rc,
        Rc::ATTRIBUTES.handle(1)
    );
    // Encryption to a storage key is anyone's right.
    assert_eq!(
        run(&mut tpm, &Command::new(0x163).handle(storage)).rc,
        Rc::SUCCESS
    );
    let hash = primary(
        &mut tpm,
        Handle::OWNER,
        &keyed_hash(SIGNING, Scheme::Hmac(HashAlg::Sha256)),
    );
    assert_eq!(
        run(&mut tpm, &Command::new(0x163).handle(hash)).rc,
        Rc::KEY.handle(1)
    );
}

#[test]
fn curves_are_described() {
    let mut tpm = started(4);
    for (curve, len) in [(Curve::P256, 32), (Curve::P384, 48), (Curve::P521, 66)] {
        let response = run(&mut tpm, &Command::new(0x178).with(&curve));
        assert_eq!(response.rc, Rc::SUCCESS);
        let detail: super::super::ecdh::EccDetail = values(&response);
        assert_eq!(u32::from(detail.key_bits), curve.bits());
        assert_eq!(
            (detail.p.len(), detail.n.len(), detail.h.len()),
            (len, len, 1)
        );
        assert!(ecc::check(curve, &detail.gx, &detail.gy).is_ok());
    }
    // BN_P256 is not implemented.
    let refused = run(&mut tpm, &Command::new(0x178).with(&0x10u16)).rc;
    assert_eq!(refused, Rc::CURVE.parameter(1));
}

fn ephemeral(tpm: &mut TestTpm) -> (Tpm2bEccPoint, u16) {
    let response = run(tpm, &Command::new(0x18E).with(&Curve::P256));
    assert_eq!(response.rc, Rc::SUCCESS);
    let mut r = Reader::new(&response.parameters);
    (r.read().unwrap(), r.read().unwrap())
}

fn two_phase(
    tpm: &mut TestTpm,
    key: Handle,
    b: [&Tpm2bEccPoint; 2],
    scheme: u16,
    counter: u16,
) -> Response {
    let command = Command::new(0x18D)
        .auth(key, b"")
        .with(b[0])
        .with(b[1])
        .with(&scheme)
        .with(&counter);
    run(tpm, &command)
}

/// The full unified model: both secrets are what the other side computes with
/// its keys.
#[test]
fn two_phases() {
    let mut tpm = started(5);
    let key = primary(&mut tpm, Handle::OWNER, &exchange_key(Scheme::Null));
    let Unique::Ecc(own) = read_public(&mut tpm, key).0.unique else {
        panic!("an ECC key")
    };
    let own = ecc::check(Curve::P256, &own.x, &own.y).unwrap();
    let mut rng = Drbg::new(&[5; 32], b"");
    let (ds, qs) = ecc::generate(Curve::P256, &mut rng);
    let (de, qe) = ecc::generate(Curve::P256, &mut rng);
    let other = [&wire(&qs), &wire(&qe)];
    let (sent, counter) = ephemeral(&mut tpm);
    let sent = ecc::check(Curve::P256, &sent.x, &sent.y).unwrap();

    let scheme = two_phase(&mut tpm, key, other, id::ECDSA, counter).rc;
    assert_eq!(scheme, Rc::SCHEME.parameter(3));
    let unknown = two_phase(&mut tpm, key, other, id::ECDH, counter + 1).rc;
    assert_eq!(unknown, Rc::VALUE.parameter(4));
    let mut off = wire(&qs);
    off.0.x = off.0.y.clone();
    let point = two_phase(&mut tpm, key, [other[0], &off], id::ECDH, counter).rc;
    assert_eq!(point, Rc::ECC_POINT.parameter(2));

    let z = points(&two_phase(&mut tpm, key, other, id::ECDH, counter));
    let expected =
        [(&ds, &own), (&de, &sent)].map(|(d, q)| wire(&ecc::mul(Curve::P256, d, q).unwrap()));
    assert_eq!(z, expected);
    let used = two_phase(&mut tpm, key, other, id::ECDH, counter).rc;
    assert_eq!(used, Rc::VALUE.parameter(4));
}

/// As many numbers wait as the array has bits; older ones are forgotten, and
/// all of them at a reset.
#[test]
fn ephemeral_keys_wait_for_a_time() {
    let mut tpm = started(6);
    let public = exchange_key(Scheme::Null);
    let mut key = primary(&mut tpm, Handle::OWNER, &public);
    let (q, first) = ephemeral(&mut tpm);
    let exchange =
        |tpm: &mut TestTpm, key, counter| two_phase(tpm, key, [&q, &q], id::ECDH, counter).rc;
    for _ in 0..128 {
        ephemeral(&mut tpm);
    }
    assert_eq!(exchange(&mut tpm, key, first), Rc::VALUE.parameter(4));
    assert_eq!(exchange(&mut tpm, key, first + 1), Rc::SUCCESS);
    tpm.state().reset.commit_counter = 0x1_0000;
    tpm.state().reset.commit_array = [0; 16];
    let (_, last) = ephemeral(&mut tpm);
    let (_, next) = ephemeral(&mut tpm);
    assert_eq!((last, next), (0, 1));
    assert_eq!(exchange(&mut tpm, key, last), Rc::SUCCESS);
    assert_eq!(exchange(&mut tpm, key, last), Rc::VALUE.parameter(4));
    let (_, waiting) = ephemeral(&mut tpm);
    reset(&mut tpm);
    key = primary(&mut tpm, Handle::OWNER, &public);
    assert_eq!(exchange(&mut tpm, key, waiting), Rc::VALUE.parameter(4));
}

/// What is encrypted to a key comes out again, and nothing that was changed.
#[test]
fn ecc_encryption() {
    let mut tpm = started(9);
    let kdf2 = |hash| KdfScheme(Some((Kdf::Kdf2, hash)));
    let own = kdf2(HashAlg::Sha256);
    let public = exchange_key(Scheme::Null);
    let open = primary(&mut tpm, Handle::OWNER, &public);
    // No template may have a KDF yet, so it comes into the key by hand.
    let fixed = primary(&mut tpm, Handle::OWNER, &public);
    let Some(Transient::Object(object)) = tpm.state().volatile.transient.get_mut(&fixed.0) else {
        panic!("a loaded key")
    };
    if let PublicParams::Ecc { kdf, .. } = &mut object.public.params {
        *kdf = own;
    }
    let message = [0x5a; 100];
    let encrypt = |tpm: &mut TestTpm, key, scheme: KdfScheme| {
        let command = Command::new(0x199)
            .handle(key)
            .with(&Tpm2bMaxBuffer::new(&message).unwrap())
            .with(&scheme);
        run(tpm, &command)
    };
    type Sent = (Tpm2bEccPoint, Tpm2bMaxBuffer, Tpm2bDigest);
    let decrypt = |tpm: &mut TestTpm, key, sent: &Sent, scheme: KdfScheme| {
        let command = Command::new(0x19A)
            .auth(key, b"")
            .with(&sent.0)
            .with(&sent.1)
            .with(&sent.2)
            .with(&scheme);
        run(tpm, &command)
    };
    for (key, scheme) in [(open, own), (fixed, own), (fixed, KdfScheme(None))] {
        let answer = encrypt(&mut tpm, key, scheme);
        assert_eq!(answer.rc, Rc::SUCCESS);
        let mut r = Reader::new(&answer.parameters);
        let sent: Sent = (r.read().unwrap(), r.read().unwrap(), r.read().unwrap());
        assert_ne!(sent.1[..], message);
        let answer = decrypt(&mut tpm, key, &sent, scheme);
        assert_eq!(out(&answer), message);
        for changed in 0..3 {
            let mut bad = sent.clone();
            let rc = match changed {
                0 => {
                    bad.0.0.x = bad.0.0.y.clone();
                    Rc::ECC_POINT.parameter(1)
                }
                1 => {
                    bad.1.as_mut_slice()[99] ^= 1;
                    Rc::VALUE.parameter(3)
                }
                _ => {
                    bad.2 = Bytes::empty();
                    Rc::VALUE.parameter(3)
                }
            };
            assert_eq!(decrypt(&mut tpm, key, &bad, scheme).rc, rc);
        }
    }
    let fit = Rc::SCHEME.parameter(2);
    assert_eq!(encrypt(&mut tpm, open, KdfScheme(None)).rc, fit);
    assert_eq!(encrypt(&mut tpm, fixed, kdf2(HashAlg::Sha1)).rc, fit);
    let mgf1 = KdfScheme(Some((Kdf::Mgf1, HashAlg::Sha256)));
    assert_eq!(encrypt(&mut tpm, open, mgf1).rc, fit);
    let storage = primary(&mut tpm, Handle::OWNER, &storage_key());
    let answer = encrypt(&mut tpm, storage, own);
    let mut r = Reader::new(&answer.parameters);
    let sent: Sent = (r.read().unwrap(), r.read().unwrap(), r.read().unwrap());
    assert_eq!(
        decrypt(&mut tpm, storage, &sent, own).rc,
        Rc::ATTRIBUTES.handle(1)
    );
}
