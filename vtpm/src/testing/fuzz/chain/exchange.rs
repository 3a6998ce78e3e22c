//! Secrets for a key and from it: RSA, ECDH, ECC encryption, Commit.

use super::parts::*;
use crate::crypto::ecc::Curve;
use crate::testing::Command;
use crate::testing::fuzz::Fuzz;
use crate::wire::sample::Sample;
use crate::wire::{
    Handle, Kdf, KdfScheme, Reader, RsaDecrypt, Scheme, SigScheme, Tpm2bData, Tpm2bDigest,
    Tpm2bEccParameter, Tpm2bEccPoint, Tpm2bMaxBuffer, Tpm2bPublicKeyRsa, Tpm2bSensitiveData, id,
    st,
};

/// RSA_Encrypt, RSA_Decrypt.
pub(super) fn rsa(f: &mut Fuzz) -> Option<()> {
    let any = [Scheme::Null, Scheme::RsaEs, Scheme::Oaep(HASH)];
    let own = f.g.pick(&any);
    let key = rsa_external(f, DECRYPT, own)?;
    let given = RsaDecrypt(if own == Scheme::Null {
        f.g.pick(&any)
    } else {
        own
    });
    let len = f.g.below(100);
    let message = Tpm2bPublicKeyRsa::cut(&f.g.bytes(len));
    let label = Tpm2bData::cut(f.g.pick(&[&b""[..], b"label\0"]));
    let encrypt = Command::new(0x174).handle(key);
    let sent: Tpm2bPublicKeyRsa = f.first(&encrypt.with(&message).with(&given).with(&label))?;
    let decrypt = Command::new(0x159).auth(key, b"");
    let got: Tpm2bPublicKeyRsa = f.first(&decrypt.with(&sent).with(&given).with(&label))?;
    assert!(got.ends_with(&message), "a message comes out as it went in");
    Some(())
}

/// ECDH_KeyGen and ECDH_ZGen, or EC_Ephemeral and ZGen_2Phase.
pub(super) fn ecdh(f: &mut Fuzz) -> Option<()> {
    let two_phases = f.g.once_in(2);
    let scheme = match two_phases {
        true => Scheme::Null,
        false => f.g.pick(&[Scheme::Null, Scheme::EcDh(HASH)]),
    };
    let key = primary(f, &super::parts::ecc(DECRYPT, NONE, scheme))?;
    let generated = f.ask(&Command::new(0x163).handle(key))?;
    let mut r = Reader::new(&generated.parameters);
    let (z, point): (Tpm2bEccPoint, Tpm2bEccPoint) = (r.read().ok()?, r.read().ok()?);
    if !two_phases {
        let command = Command::new(0x154).auth(key, b"").with(&point);
        let again: Tpm2bEccPoint = f.first(&command)?;
        assert_eq!(z, again, "both sides get the same");
        return Some(());
    }
    let ephemeral = f.ask(&Command::new(0x18E).with(&Curve::P256))?;
    let mut r = Reader::new(&ephemeral.parameters);
    let (q, counter): (Tpm2bEccPoint, u16) = (r.read().ok()?, r.read().ok()?);
    let command = Command::new(0x18D)
        .auth(key, b"")
        .with(&point)
        .with(&q)
        .with(&id::ECDH)
        .with(&counter);
    f.ask(&command).map(|_| ())
}

/// ECC_Encrypt, ECC_Decrypt.
pub(super) fn ecc(f: &mut Fuzz) -> Option<()> {
    let key = primary(f, &super::parts::ecc(DECRYPT, NONE, Scheme::Null))?;
    let kdf = KdfScheme(Some((Kdf::Kdf2, Sample::sample(&mut f.g))));
    let len = 1 + f.g.below(100);
    let message = Tpm2bMaxBuffer::cut(&f.g.bytes(len));
    let sent = f.ask(&Command::new(0x199).handle(key).with(&message).with(&kdf))?;
    let mut r = Reader::new(&sent.parameters);
    let (c1, c2, c3): (Tpm2bEccPoint, Tpm2bMaxBuffer, Tpm2bDigest) =
        (r.read().ok()?, r.read().ok()?, r.read().ok()?);
    let command = Command::new(0x19A)
        .auth(key, b"")
        .with(&c1)
        .with(&c2)
        .with(&c3)
        .with(&kdf);
    let got: Tpm2bMaxBuffer = f.first(&command)?;
    assert_eq!(got, message, "a message comes out as it went in");
    Some(())
}

/// The y that belongs to the x that Commit makes of `BASE` on P-256.
const BASE: &[u8] = b"base point 0";
const BASE_Y: &str = "8081f86e9247e2852729f2cbc39a62b20cedef252f6f258c237a44c32af0e715";

/// Commit, Sign.
pub(super) fn ecdaa(f: &mut Fuzz) -> Option<()> {
    let scheme = |count| Scheme::EcDaa { hash: HASH, count };
    let key = primary(f, &super::parts::ecc(SIGN, NONE, scheme(0)))?;
    let p1 = match f.g.once_in(2) {
        true => nowhere(),
        false => match read_public(f, key)?.0.unique {
            crate::wire::Unique::Ecc(point) => crate::wire::Sized2b(point),
            _ => return None,
        },
    };
    let (s2, y2) = match f.g.once_in(2) {
        true => (Tpm2bSensitiveData::empty(), Tpm2bEccParameter::empty()),
        false => (
            Tpm2bSensitiveData::cut(BASE),
            Tpm2bEccParameter::cut(&from_hex(BASE_Y)),
        ),
    };
    let committed = f.ask(
        &Command::new(0x18B)
            .auth(key, b"")
            .with(&p1)
            .with(&s2)
            .with(&y2),
    )?;
    let mut r = Reader::new(&committed.parameters);
    for _ in 0..3 {
        r.read::<Tpm2bEccPoint>().ok()?;
    }
    let counter: u16 = r.read().ok()?;
    let sign = Command::new(0x15D)
        .auth(key, b"")
        .with(&Tpm2bDigest::cut(&[3; 32]))
        .with(&SigScheme(scheme(counter)))
        .with(&st::HASHCHECK)
        .with(&Handle::NULL)
        .with(&Tpm2bDigest::empty());
    f.ask(&sign).map(|_| ())
}
