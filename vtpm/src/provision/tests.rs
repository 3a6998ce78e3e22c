//! A TPM as it leaves the factory.

use super::*;
use crate::testing::{Command, powered, run, started, startup};

#[test]
fn a_provisioned_tpm_has_its_keys_and_certificates_for_ever() {
    let mut tpm = started(5);
    let mut authority = LocalAuthority::new(&[7; 32], "Test authority", "20260101000000Z");
    let keys = [EndorsementKey::P256, EndorsementKey::P384];
    assert_eq!(tpm.provision(&mut authority, &keys), Ok(()));
    // Again: what is there is replaced.
    assert_eq!(tpm.provision(&mut authority, &keys), Ok(()));
    assert_eq!(tpm.power_on(), Ok(()));
    assert_eq!(startup(&mut tpm, 0), Rc::SUCCESS);
    let read_public = run(&mut tpm, &Command::new(0x173).handle(SRK_HANDLE));
    assert_eq!(read_public.rc, Rc::SUCCESS);
    for key in keys {
        let stored = tpm
            .platform()
            .records
            .get(&key.certificate_index().0)
            .cloned();
        assert!(stored.is_some_and(|bytes| bytes.len() > 300));
        // The same key comes from the template again.
        let (_, first) = tpm.make(Handle::ENDORSEMENT, &key.template()).unwrap();
        let (_, second) = tpm.make(Handle::ENDORSEMENT, &key.template()).unwrap();
        assert_eq!(first, second);
        assert_eq!(tpm.power_on(), Ok(()));
        assert_eq!(startup(&mut tpm, 0), Rc::SUCCESS);
    }
}

#[test]
fn a_certificate_holds_the_key_and_is_signed_by_the_authority() {
    let mut tpm = started(5);
    let mut authority = LocalAuthority::new(&[7; 32], "Test authority", "20260101000000Z");
    let (_, public) = tpm
        .make(Handle::ENDORSEMENT, &EndorsementKey::P256.template())
        .unwrap();
    let certificate = certify(&mut authority, &public).unwrap();
    let crate::wire::Unique::Ecc(point) = &public.unique else {
        panic!("an ECC key")
    };
    let key = [&[4][..], &point.x, &point.y].concat();
    assert!(certificate.windows(key.len()).any(|w| w == key));
    // The length of the whole, and of TBSCertificate.
    assert_eq!(certificate[..2], [0x30, 0x82]);
    assert_eq!(
        usize::from(u16::from_be_bytes([certificate[2], certificate[3]])),
        certificate.len() - 4
    );
}

#[test]
fn a_tpm_that_is_not_started_is_not_provisioned() {
    let mut tpm = powered(5);
    let mut authority = LocalAuthority::new(&[7; 32], "Test authority", "20260101000000Z");
    let result = tpm.provision(&mut authority, &[EndorsementKey::P256]);
    assert_eq!(result, Err(ProvisionError::Command(Rc::INITIALIZE)));
}

#[test]
fn an_equipped_tpm_has_its_keys_and_banks_and_waits_for_startup() {
    let banks = [HashAlg::Sha256, HashAlg::Sha384];
    let mut tpm = Tpm::new(crate::testing::MemoryPlatform::new(5));
    let public = tpm.equip(&banks, None).unwrap();
    let read_public = Command::new(0x173).handle(EK_HANDLE);
    assert_eq!(run(&mut tpm, &read_public).rc, Rc::INITIALIZE);
    assert_eq!(startup(&mut tpm, 0), Rc::SUCCESS);
    let kept = run(&mut tpm, &read_public);
    assert_eq!(kept.rc, Rc::SUCCESS);
    let bytes = public.to_bytes();
    assert!(kept.parameters.windows(bytes.len()).any(|w| w == bytes));
    let again = tpm
        .make(Handle::ENDORSEMENT, &EndorsementKey::Rsa2048.template())
        .unwrap();
    assert_eq!(again.1, public);
    let active: Vec<_> = tpm.state().clear.pcrs.selections().map(|s| s.alg).collect();
    assert_eq!(active, banks);
    let digests: [(HashAlg, &[u8]); 2] = [(banks[0], &[1; 32]), (banks[1], &[2; 48])];
    assert_eq!(tpm.extend(5, &digests), Ok(()));
}

#[test]
fn the_same_seed_gives_the_same_endorsement_key_and_nothing_else_of_it() {
    let equipped = |platform, seed: &[u8; 64]| {
        let mut tpm = Tpm::new(crate::testing::MemoryPlatform::new(platform));
        let public = tpm.equip(&[HashAlg::Sha256], Some(seed)).unwrap();
        assert_eq!(startup(&mut tpm, 0), Rc::SUCCESS);
        let (_, srk) = tpm.make(Handle::OWNER, &storage_root_key()).unwrap();
        (public, srk)
    };
    let (first, first_srk) = equipped(1, &[7; 64]);
    let (second, second_srk) = equipped(2, &[7; 64]);
    let (other, _) = equipped(1, &[8; 64]);
    assert_eq!(first, second);
    assert_ne!(first_srk, second_srk);
    assert_ne!(first, other);
}
