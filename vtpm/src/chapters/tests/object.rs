//! CreatePrimary, Create, Load, LoadExternal, ReadPublic, Unseal,
//! ObjectChangeAuth, EvictControl.

use super::keys::*;
use crate::crypto::hash::HashAlg;
use crate::crypto::rng::Drbg;
use crate::crypto::testing::hex;
use crate::rc::Rc;
use crate::state::hierarchy::Seed;
use crate::testing::{Command, reset, run, started};
use crate::wire::*;
use std::vec::Vec;

#[test]
fn a_primary_key_is_what_linux_checks() {
    let mut tpm = started(1);
    let template = storage_key();
    let response = run(
        &mut tpm,
        &create_primary_command(Handle::NULL, &template, b"", b""),
    );
    assert_eq!(response.rc, Rc::SUCCESS);
    let mut r = Reader::new(&response.parameters);
    let public: Tpm2bPublic = r.read().unwrap();
    let data: Vec<u8> = r.read::<Bytes<1024>>().unwrap().to_vec();
    let hash: Tpm2bDigest = r.read().unwrap();
    let ticket: TkCreation = r.read().unwrap();
    let name: Tpm2bName = r.read().unwrap();
    assert!(r.is_empty());
    let mut echoed = public.0.clone();
    echoed.unique = template.unique.clone();
    assert_eq!(echoed, template);
    assert_eq!(hash[..], HashAlg::Sha256.digest(&[&data])[..]);
    assert_eq!(*ticket.0.hierarchy, Handle::NULL);
    let expected = [
        &[0, 0x0B],
        &HashAlg::Sha256.digest(&[&public.0.to_bytes()])[..],
    ]
    .concat();
    assert_eq!(name[..], expected[..]);
    let (read, read_name, qualified) = read_public(&mut tpm, response.handle.unwrap());
    assert_eq!((read, read_name), (public.0, name.clone()));
    let digest = HashAlg::Sha256.digest(&[&Handle::NULL.to_bytes(), &name]);
    assert_eq!(qualified[2..], digest[..]);
}

#[test]
fn primary_keys_come_again_and_differ_by_all_that_they_are_made_of() {
    let mut tpm = started(2);
    let key = |tpm: &mut TestTpm, hierarchy, public: &Public, data: &[u8]| {
        let response = run(
            tpm,
            &create_primary_command(hierarchy, public, b"auth", data),
        );
        assert_eq!(response.rc, Rc::SUCCESS);
        flush(tpm, response.handle.unwrap());
        values::<Tpm2bPublic>(&response).0
    };
    let first = key(&mut tpm, Handle::OWNER, &storage_key(), b"");
    let null = key(&mut tpm, Handle::NULL, &storage_key(), b"");
    assert_eq!(first, key(&mut tpm, Handle::OWNER, &storage_key(), b""));
    assert_ne!(first, key(&mut tpm, Handle::OWNER, &storage_key(), b"more"));
    assert_ne!(
        first,
        key(&mut tpm, Handle::ENDORSEMENT, &storage_key(), b"")
    );
    let mut other = storage_key();
    other.unique = Unique::Ecc(EccPoint {
        x: Bytes::new(&[1]).unwrap(),
        y: Bytes::empty(),
    });
    assert_ne!(first, key(&mut tpm, Handle::OWNER, &other, b""));
    assert_eq!(null, key(&mut tpm, Handle::NULL, &storage_key(), b""));
    reset(&mut tpm);
    assert_eq!(first, key(&mut tpm, Handle::OWNER, &storage_key(), b""));
    assert_ne!(null, key(&mut tpm, Handle::NULL, &storage_key(), b""));
}

/// The frozen derivation: with this seed this template always gives this key,
/// whatever becomes of the code.
#[test]
fn primary_keys_never_change() {
    let mut tpm = started(3);
    tpm.state().hierarchies.sp_seed = Seed::new(&[0x5A; 64]).unwrap();
    let public = |tpm: &mut TestTpm, template: &Public| {
        let h = primary(tpm, Handle::OWNER, template);
        let public = read_public(tpm, h).0;
        flush(tpm, h);
        public
    };
    let Unique::Ecc(point) = public(&mut tpm, &storage_key()).unique else {
        panic!("not ECC")
    };
    assert_eq!(hex(PRIMARY_ECC), [&point.x[..], &point.y[..]].concat());
    let template = rsa(STORAGE, AES128_CFB, Scheme::Null);
    let Unique::Rsa(n) = public(&mut tpm, &template).unique else {
        panic!("not RSA")
    };
    assert_eq!(hex(PRIMARY_RSA), HashAlg::Sha256.digest(&[&n])[..]);
}

/// X and Y; a few lines of Python gave the same.
const PRIMARY_ECC: &str = "b52c015e434a1b848b3d1e6b84844b56cb21cc266f2f0a3d096b4468b6240948\
     4137baa107ba08d7ffcd127d658c66149f24749321e00422c550cf2b67acd9e0";
/// The SHA-256 digest of the modulus.
const PRIMARY_RSA: &str = "0216db5a0bfcab0250748135b6c9e544917806b31d19d955052a1fa99afe4381";

#[test]
fn children_are_made_loaded_and_used_for_sealing() {
    let mut tpm = started(4);
    let parent = primary(&mut tpm, Handle::OWNER, &storage_key());
    let sealed = keyed_hash(SEALED, Scheme::Null);
    let (private, public) = create(&mut tpm, parent, &sealed, b"pass\0", b"secret").unwrap();
    let loaded = load(&mut tpm, parent, &private, &public);
    assert_eq!(loaded.rc, Rc::SUCCESS);
    let h = loaded.handle.unwrap();
    let unseal = |tpm: &mut TestTpm, auth: &[u8]| run(tpm, &Command::new(0x15E).auth(h, auth));
    assert_eq!(
        values::<Tpm2bSensitiveData>(&unseal(&mut tpm, b"pass"))[..],
        b"secret"[..]
    );
    assert_eq!(unseal(&mut tpm, b"Pass").rc, Rc::BAD_AUTH.session(1));
    assert_eq!(
        run(&mut tpm, &Command::new(0x15E).auth(parent, b"")).rc,
        Rc::TYPE.handle(1)
    );
    // Any changed byte is noticed.
    for at in [0, 1, 2, 33, 36, 60, private.len() - 1] {
        let mut bad = private.clone();
        bad.as_mut_slice()[at] ^= 1;
        let rc = load(&mut tpm, parent, &bad, &public).rc;
        assert!(
            [Rc::INTEGRITY, Rc::SIZE, Rc::INSUFFICIENT]
                .map(|rc| rc.parameter(1))
                .contains(&rc),
            "{at}: {rc:?}"
        );
    }
    let mut bad = public.clone();
    bad.attributes = bad.attributes.without(ObjectAttributes::NO_DA);
    assert_eq!(
        load(&mut tpm, parent, &private, &bad).rc,
        Rc::INTEGRITY.parameter(1)
    );
    assert_eq!(
        load(&mut tpm, parent, &Bytes::empty(), &public).rc,
        Rc::SIZE.parameter(1)
    );
    assert_eq!(
        load(&mut tpm, h, &private, &public).rc,
        Rc::BAD_AUTH.session(1)
    );
}

/// What is below a storage key is protected by CFB, whatever mode the key names.
#[test]
fn storage_keys_of_any_mode() {
    for mode in [None, Some(crate::crypto::sym::Mode::Ctr)] {
        let mut tpm = started(6);
        let mut template = storage_key();
        if let PublicParams::Ecc {
            symmetric: SymDefObject(Some(aes)),
            ..
        } = &mut template.params
        {
            aes.mode = mode;
        }
        let parent = primary(&mut tpm, Handle::OWNER, &template);
        let sealed = keyed_hash(SEALED, Scheme::Null);
        let (private, public) = create(&mut tpm, parent, &sealed, b"", b"secret").unwrap();
        let loaded = load(&mut tpm, parent, &private, &public);
        assert_eq!(loaded.rc, Rc::SUCCESS, "{mode:?}");
        let unsealed = run(
            &mut tpm,
            &Command::new(0x15E).auth(loaded.handle.unwrap(), b""),
        );
        assert_eq!(values::<Tpm2bSensitiveData>(&unsealed)[..], b"secret"[..]);
    }
}

#[test]
fn an_auth_value_is_changed_below_the_right_parent_only() {
    let mut tpm = started(5);
    let parent = primary(&mut tpm, Handle::OWNER, &storage_key());
    let other = primary(&mut tpm, Handle::ENDORSEMENT, &storage_key());
    let (private, public) = create(
        &mut tpm,
        parent,
        &keyed_hash(SEALED, Scheme::Null),
        b"old",
        b"secret",
    )
    .unwrap();
    let h = load(&mut tpm, parent, &private, &public).handle.unwrap();
    let change = |tpm: &mut TestTpm, parent, auth: &[u8]| {
        run(
            tpm,
            &Command::new(0x150)
                .auth(h, b"old")
                .handle(parent)
                .with(&Tpm2bAuth::new(auth).unwrap()),
        )
    };
    assert_eq!(change(&mut tpm, other, b"new").rc, Rc::TYPE.handle(2));
    assert_eq!(change(&mut tpm, parent, &[1; 33]).rc, Rc::SIZE.parameter(1));
    let changed = change(&mut tpm, parent, b"new");
    assert_eq!(changed.rc, Rc::SUCCESS);
    flush(&mut tpm, h);
    let h = load(&mut tpm, parent, &values(&changed), &public)
        .handle
        .unwrap();
    assert_eq!(
        run(&mut tpm, &Command::new(0x15E).auth(h, b"new")).rc,
        Rc::SUCCESS
    );
}

#[test]
fn templates_that_contradict_themselves_are_refused() {
    let mut tpm = started(6);
    use ObjectAttributes as A;
    let sign = Scheme::EcDsa(HashAlg::Sha256);
    let cases: &[(Public, Rc)] = &[
        (
            ecc(STORAGE.with(A::SIGN), AES128_CFB, Scheme::Null),
            Rc::ATTRIBUTES,
        ),
        (
            ecc(STORAGE.without(A::FIXED_PARENT), AES128_CFB, Scheme::Null),
            Rc::ATTRIBUTES,
        ),
        (
            ecc(
                STORAGE.with(A::ENCRYPTED_DUPLICATION),
                AES128_CFB,
                Scheme::Null,
            ),
            Rc::ATTRIBUTES,
        ),
        (
            ecc(
                STORAGE.without(A::SENSITIVE_DATA_ORIGIN),
                AES128_CFB,
                Scheme::Null,
            ),
            Rc::ATTRIBUTES,
        ),
        (
            ecc(STORAGE, SymDefObject(None), Scheme::Null),
            Rc::SYMMETRIC,
        ),
        (
            ecc(STORAGE, AES128_CFB, Scheme::EcDh(HashAlg::Sha256)),
            Rc::SCHEME,
        ),
        (ecc(SIGNING, AES128_CFB, sign), Rc::SYMMETRIC),
        (
            ecc(SIGNING, SymDefObject(None), Scheme::EcDh(HashAlg::Sha256)),
            Rc::SCHEME,
        ),
        (
            ecc(
                SIGNING.with(A::RESTRICTED),
                SymDefObject(None),
                Scheme::Null,
            ),
            Rc::SCHEME,
        ),
        (
            ecc(SIGNING.with(A::DECRYPT), SymDefObject(None), sign),
            Rc::SCHEME,
        ),
        (
            ecc(SIGNING.without(A::SIGN), SymDefObject(None), sign),
            Rc::ATTRIBUTES,
        ),
        (
            keyed_hash(SEALED.with(A::SENSITIVE_DATA_ORIGIN), Scheme::Null),
            Rc::ATTRIBUTES,
        ),
        (keyed_hash(SIGNING, Scheme::Null), Rc::SCHEME),
        (
            keyed_hash(SIGNING.with(A::DECRYPT), Scheme::Hmac(HashAlg::Sha256)),
            Rc::SCHEME,
        ),
    ];
    for (public, rc) in cases {
        let response = run(
            &mut tpm,
            &create_primary_command(Handle::OWNER, public, b"", b""),
        );
        assert_eq!(response.rc, rc.parameter(2), "{public:?}");
    }
    let mut policy = storage_key();
    policy.auth_policy = Bytes::new(&[0; 20]).unwrap();
    let response = run(
        &mut tpm,
        &create_primary_command(Handle::OWNER, &policy, b"", b""),
    );
    assert_eq!(response.rc, Rc::SIZE.parameter(2));
    let response = run(
        &mut tpm,
        &create_primary_command(Handle::OWNER, &storage_key(), &[7; 33], b""),
    );
    assert_eq!(response.rc, Rc::SIZE.parameter(1));
}

#[test]
fn external_keys_are_checked() {
    let mut tpm = started(7);
    let attributes = ObjectAttributes::SIGN.with(ObjectAttributes::USER_WITH_AUTH);
    let mut public = ecc(attributes, SymDefObject(None), Scheme::Null);
    let (d, point) = crate::crypto::ecc::generate(
        crate::crypto::ecc::Curve::P256,
        &mut Drbg::new(&[9; 32], b""),
    );
    public.unique = Unique::Ecc(crate::object::make::ecc_point(&point).unwrap());
    let private = Sensitive {
        kind: ObjectType::Ecc,
        auth: Bytes::empty(),
        seed: Bytes::empty(),
        data: Bytes::new(&d).unwrap(),
    };
    let good = load_external(&mut tpm, None, &public, Handle::OWNER);
    assert_eq!(good.rc, Rc::SUCCESS);
    let (_, name, qualified) = read_public(&mut tpm, good.handle.unwrap());
    assert_eq!(name, qualified);
    assert_eq!(
        load_external(&mut tpm, Some(private.clone()), &public, Handle::NULL).rc,
        Rc::SUCCESS
    );
    let rc = load_external(&mut tpm, Some(private.clone()), &public, Handle::OWNER).rc;
    assert_eq!(rc, Rc::HIERARCHY.parameter(3));
    let mut other = private.clone();
    other.data.as_mut_slice()[31] ^= 1;
    assert_eq!(
        load_external(&mut tpm, Some(other), &public, Handle::NULL).rc,
        Rc::BINDING
    );
    let mut restricted = public.clone();
    restricted.attributes = attributes.with(ObjectAttributes::RESTRICTED);
    let rc = load_external(&mut tpm, Some(private), &restricted, Handle::NULL).rc;
    assert_eq!(rc, Rc::ATTRIBUTES.parameter(2));
    let mut off = public.clone();
    if let Unique::Ecc(point) = &mut off.unique {
        point.y.as_mut_slice()[5] ^= 1;
    }
    assert_eq!(
        load_external(&mut tpm, None, &off, Handle::OWNER).rc,
        Rc::ECC_POINT.parameter(2)
    );
}

#[test]
fn persistent_objects_stay_over_a_reset() {
    let mut tpm = started(8);
    let parent = primary(&mut tpm, Handle::OWNER, &storage_key());
    let evict = |tpm: &mut TestTpm, auth, h, to: u32| {
        run(
            tpm,
            &Command::new(0x120)
                .auth(auth, b"")
                .handle(h)
                .with(&Handle(to)),
        )
        .rc
    };
    assert_eq!(
        evict(&mut tpm, Handle::PLATFORM, parent, 0x8180_0000),
        Rc::HIERARCHY.handle(2)
    );
    assert_eq!(
        evict(&mut tpm, Handle::OWNER, parent, 0x8180_0000),
        Rc::RANGE.parameter(1)
    );
    assert_eq!(
        evict(&mut tpm, Handle::OWNER, parent, 0x8100_0001),
        Rc::SUCCESS
    );
    assert_eq!(
        evict(&mut tpm, Handle::OWNER, parent, 0x8100_0001),
        Rc::NV_DEFINED
    );
    let temporary = primary(&mut tpm, Handle::NULL, &storage_key());
    assert_eq!(
        evict(&mut tpm, Handle::OWNER, temporary, 0x8100_0002),
        Rc::ATTRIBUTES.handle(2)
    );
    let before = read_public(&mut tpm, parent);
    reset(&mut tpm);
    let kept = Handle(0x8100_0001);
    assert_eq!(read_public(&mut tpm, kept), before);
    assert!(create(&mut tpm, kept, &keyed_hash(SEALED, Scheme::Null), b"", b"x").is_ok());
    assert_eq!(
        evict(&mut tpm, Handle::OWNER, kept, 0x8100_0002),
        Rc::HANDLE.handle(2)
    );
    assert_eq!(
        evict(&mut tpm, Handle::OWNER, kept, 0x8100_0001),
        Rc::SUCCESS
    );
    assert_eq!(
        run(&mut tpm, &Command::new(0x173).handle(kept)).rc,
        Rc::HANDLE.handle(1)
    );
}

#[test]
fn sealed_data_have_a_limit() {
    let mut tpm = started(3);
    let sealed = keyed_hash(SEALED, Scheme::Null);
    let most = run(
        &mut tpm,
        &create_primary_command(Handle::OWNER, &sealed, b"", &[1; 128]),
    );
    assert_eq!(most.rc, Rc::SUCCESS);
    let more = run(
        &mut tpm,
        &create_primary_command(Handle::OWNER, &sealed, b"", &[1; 129]),
    );
    assert_eq!(more.rc, Rc::SIZE.parameter(1));
}
