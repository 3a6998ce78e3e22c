//! MakeCredential and ActivateCredential.

use super::keys::*;
use crate::crypto::hash::HashAlg;
use crate::rc::Rc;
use crate::testing::{Command, run, started};
use crate::wire::*;

fn credential_round_trip(ek: &Public) {
    let mut tpm = started(9);
    let key = primary(&mut tpm, Handle::ENDORSEMENT, ek);
    let signing = ecc(
        SIGNING.with(ObjectAttributes::RESTRICTED),
        SymDefObject(None),
        Scheme::EcDsa(HashAlg::Sha256),
    );
    let ak = child(&mut tpm, key, &signing, b"", b"");
    let name = read_public(&mut tpm, ak).1;
    let make = |tpm: &mut TestTpm, secret: &[u8]| {
        run(
            tpm,
            &Command::new(0x168)
                .handle(key)
                .with(&Tpm2bDigest::new(secret).unwrap())
                .with(&name),
        )
    };
    assert_eq!(make(&mut tpm, &[1; 33]).rc, Rc::SIZE.parameter(1));
    let made = buffers(&make(&mut tpm, b"credential"));
    let activate = |tpm: &mut TestTpm, activated, blob: &[u8], secret: &[u8]| {
        let command = Command::new(0x147)
            .auth(activated, b"")
            .auth(key, b"")
            .with(&Tpm2bIdObject::new(blob).unwrap())
            .with(&Tpm2bEncryptedSecret::new(secret).unwrap());
        run(tpm, &command)
    };
    let good = activate(&mut tpm, ak, &made[0], &made[1]);
    assert_eq!(good.rc, Rc::SUCCESS);
    assert_eq!(values::<Tpm2bDigest>(&good)[..], b"credential"[..]);
    assert_eq!(
        activate(&mut tpm, key, &made[0], &made[1]).rc,
        Rc::INTEGRITY.parameter(1)
    );
    let mut bad = made[0].clone();
    bad[40] ^= 1;
    assert_eq!(
        activate(&mut tpm, ak, &bad, &made[1]).rc,
        Rc::INTEGRITY.parameter(1)
    );
    let rc = activate(&mut tpm, ak, &made[0], &made[1][1..]).rc;
    assert_eq!(rc.base().parameter(2), rc, "{rc:?}");
}

#[test]
fn credentials_come_through_ecc_keys() {
    credential_round_trip(&storage_key());
}

#[test]
fn credentials_come_through_rsa_keys() {
    credential_round_trip(&rsa(STORAGE, AES128_CFB, Scheme::Null));
}
