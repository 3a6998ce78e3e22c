//! Snapshots of the whole state.

use crate::rc::Rc;
use crate::state::StateError;
use crate::testing::client::{ClientSession, Start};
use crate::testing::{Command, MemoryPlatform, run, started};
use crate::tpm::Tpm;
use crate::wire::{Handle, Tpm2bAuth};

#[test]
fn a_snapshot_goes_on_where_it_was_taken() {
    let mut tpm = started(1);
    let s = ClientSession::start(&mut tpm, &Start::default()).unwrap();
    let auth = Command::new(0x183)
        .auth(Handle::of_pcr(20), b"")
        .with(&Tpm2bAuth::cut(b"pcr"));
    assert_eq!(run(&mut tpm, &auth).rc, Rc::SUCCESS);
    let fingerprint = tpm.fingerprint();
    let image = tpm.snapshot(Some(b"key"), 3).unwrap();
    let mut other = Tpm::new(MemoryPlatform::new(99));
    assert_eq!(other.restore(&image, Some(b"key"), 3), Ok(()));
    assert!(other.fingerprint() == fingerprint);
    assert_eq!(
        run(&mut other, &Command::new(0x165).with(&s.handle)).rc,
        Rc::SUCCESS
    );
    // The platform holds the persistent part.
    assert_eq!(other.power_on(), Ok(()));
    // Both give the same random numbers from there on: a snapshot is a clone,
    // which the caller's key and counter guard against.
    assert_eq!(other.platform().records.len(), tpm.platform().records.len());
}

#[test]
fn what_is_not_whole_is_refused_and_changes_nothing() {
    let mut tpm = started(1);
    let image = tpm.snapshot(Some(b"key"), 3).unwrap().to_vec();
    let before = tpm.fingerprint();
    let records = tpm.platform().records.clone();
    let mut refused = |image: &[u8], key: Option<&[u8]>, least: u64| {
        let error = tpm.restore(image, key, least).unwrap_err();
        assert!(tpm.fingerprint() == before);
        assert!(tpm.platform().records == records);
        error
    };
    assert_eq!(refused(&image, Some(b"other"), 0), StateError::Damaged);
    assert_eq!(refused(&image, None, 0), StateError::Damaged);
    assert_eq!(refused(&image, Some(b"key"), 4), StateError::RolledBack);
    for len in 0..image.len() {
        assert_eq!(refused(&image[..len], Some(b"key"), 0), StateError::Damaged);
    }
    for at in (0..image.len()).step_by(7) {
        let mut altered = image.clone();
        altered[at] ^= 1;
        assert_eq!(refused(&altered, Some(b"key"), 0), StateError::Damaged);
    }
    // Another version, sealed as it would be.
    for (version, error) in [(1, StateError::Damaged), (3, StateError::Newer(3))] {
        let mut other = image[..image.len() - 32].to_vec();
        other[11] = version;
        let alg = crate::crypto::hash::HashAlg::Sha256;
        let seal = crate::crypto::hmac::hmac(alg, b"key", &[&other]);
        other.extend_from_slice(&seal);
        assert_eq!(refused(&other, Some(b"key"), 0), error);
    }
}
