//! What one TPM makes, the other one takes: duplicates, credentials, signatures.

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{alg, cc, rh, se};
use vtpm_tests::pair::{Pair, start_session};
use vtpm_tests::server::Server;
use vtpm_tests::templates::{
    attribute, create, create_primary, ecc_key, ecc_storage, keyedhash, load_public, public,
    rsa_key, rsa_storage,
};

/// What must succeed.
fn done(server: &mut Server, what: &str, command: &Command) -> vtpm_tests::response::Response {
    let response = server.run(command).unwrap();
    assert_eq!(
        response.code(),
        0,
        "{what} on {:?}: {response:?}",
        server.kind()
    );
    response
}

fn flush(server: &mut Server, handle: u32) {
    let flush = Command::new(cc::FLUSH_CONTEXT).with(Fields::new().u32(handle));
    done(server, "flush", &flush);
}

fn policy_session(server: &mut Server, kind: u8, code: u32) -> u32 {
    let session = done(server, "session", &start_session(kind, alg::SHA256)).handle();
    let policy = Command::new(cc::POLICY_COMMAND_CODE)
        .handle(session)
        .with(Fields::new().u32(code));
    done(server, "policy", &policy);
    session
}

/// The digest of a policy that lets a key be duplicated.
fn duplication_policy(server: &mut Server) -> Vec<u8> {
    let session = policy_session(server, se::TRIAL, cc::DUPLICATE);
    let digest = done(
        server,
        "digest",
        &Command::new(cc::POLICY_GET_DIGEST).handle(session),
    );
    flush(server, session);
    digest.body(0).sized().to_vec()
}

/// With this policy and without what binds it to its TPM.
fn movable(mut template: Fields, policy: &[u8], encrypted: bool) -> Fields {
    let mut attributes = u32::from_be_bytes(template.0[4..8].try_into().unwrap());
    attributes &= !(attribute::FIXED_TPM | attribute::FIXED_PARENT);
    if encrypted {
        attributes |= attribute::ENCRYPTED_DUPLICATION;
    }
    template.0[4..8].copy_from_slice(&attributes.to_be_bytes());
    let rest = template.0.split_off(10);
    template.0.truncate(8);
    template.sized(policy).raw(&rest)
}

/// Moves a key from one TPM to the other; the handles of the key in both.
fn moved(
    from: &mut Server,
    to: &mut Server,
    parents: [&Fields; 2],
    template: &Fields,
    data: &[u8],
    encrypted: bool,
) -> [u32; 2] {
    let policy = duplication_policy(from);
    let template = movable(template.clone(), &policy, encrypted);
    let parent = done(from, "parent", &create_primary(rh::OWNER, parents[0])).handle();
    let created = done(
        from,
        "create",
        &create(parent, b"password", data, &template),
    );
    let mut body = created.body(0);
    let (private, area) = (body.sized().to_vec(), body.sized().to_vec());
    let load = |parent: u32, private: &[u8]| {
        let fields = Fields::new().sized(private).sized(&area);
        Command::new(cc::LOAD)
            .handle(parent)
            .password(&[])
            .with(fields)
    };
    let key = done(from, "load", &load(parent, &private)).handle();
    flush(from, parent);

    let new_parent = done(to, "new parent", &create_primary(rh::OWNER, parents[1])).handle();
    let read = done(
        to,
        "read",
        &Command::new(cc::READ_PUBLIC).handle(new_parent),
    );
    let new_area = Fields(read.body(0).sized().to_vec());
    let target = done(from, "target", &load_public(&new_area, rh::OWNER)).handle();
    let session = policy_session(from, se::POLICY, cc::DUPLICATE);
    let inner = if encrypted {
        Fields::new()
            .sized(&[])
            .u16(alg::AES)
            .u16(128)
            .u16(alg::CFB)
    } else {
        Fields::new().sized(&[]).u16(alg::NULL)
    };
    let duplicate = Command::new(cc::DUPLICATE)
        .handle(key)
        .handle(target)
        .policy(session)
        .with(inner);
    let duplicate = done(from, "duplicate", &duplicate);
    let mut body = duplicate.body(0);
    let (inner_key, blob, seed) = (body.sized(), body.sized(), body.sized());
    let fields = Fields::new()
        .sized(inner_key)
        .sized(&area)
        .sized(blob)
        .sized(seed);
    let fields = if encrypted {
        fields.u16(alg::AES).u16(128).u16(alg::CFB)
    } else {
        fields.u16(alg::NULL)
    };
    let import = Command::new(cc::IMPORT)
        .handle(new_parent)
        .password(&[])
        .with(fields);
    let imported = done(to, "import", &import);
    let private = imported.body(0).sized().to_vec();
    let new_key = done(to, "load", &load(new_parent, &private)).handle();
    flush(from, session);
    flush(from, target);
    flush(to, new_parent);
    [key, new_key]
}

fn signed(server: &mut Server, key: u32, scheme: &Fields) -> Vec<u8> {
    let fields = Fields::new().sized(&[0x42; 32]).raw(&scheme.0);
    let fields = fields.u16(0x8024).u32(rh::NULL).sized(&[]);
    let sign = Command::new(cc::SIGN)
        .handle(key)
        .password(b"password")
        .with(fields);
    let response = done(server, "sign", &sign);
    let body = response.body(0).0;
    body[..body.len() - 5].to_vec()
}

fn verify(key: u32, signature: &[u8]) -> Command {
    let fields = Fields::new().sized(&[0x42; 32]).raw(signature);
    Command::new(cc::VERIFY_SIGNATURE).handle(key).with(fields)
}

#[test]
fn a_key_of_one_moves_to_the_other() {
    let signing = attribute::USUAL | attribute::SIGN;
    let ecdsa = Fields::new().u16(alg::ECDSA).u16(alg::SHA256);
    let rsassa = Fields::new().u16(alg::RSASSA).u16(alg::SHA256);
    for (template, scheme) in [
        (ecc_key(signing, 3, alg::NULL), &ecdsa),
        (ecc_key(signing, 4, alg::NULL), &ecdsa),
        (rsa_key(signing, 2048, alg::NULL), &rsassa),
    ] {
        for parents in [
            [ecc_storage(3), ecc_storage(4)],
            [rsa_storage(2048), ecc_storage(3)],
            [ecc_storage(3), rsa_storage(2048)],
        ] {
            for encrypted in [false, true] {
                let mut pair = Pair::new();
                let parents = [&parents[0], &parents[1]];
                for way in 0..2 {
                    let (from, to) = match way {
                        0 => (&mut pair.ours, &mut pair.theirs),
                        _ => (&mut pair.theirs, &mut pair.ours),
                    };
                    let [old, new] = moved(from, to, parents, &template, &[], encrypted);
                    let signature = signed(to, new, scheme);
                    done(from, "verify", &verify(old, &signature));
                    let signature = signed(from, old, scheme);
                    done(to, "verify", &verify(new, &signature));
                    flush(from, old);
                    flush(to, new);
                }
            }
        }
    }
}

#[test]
fn a_secret_of_one_moves_to_the_other() {
    let template = keyedhash(attribute::USER_WITH_AUTH | attribute::NO_DA, alg::NULL, &[]);
    let mut pair = Pair::new();
    for way in 0..2 {
        let (from, to) = match way {
            0 => (&mut pair.ours, &mut pair.theirs),
            _ => (&mut pair.theirs, &mut pair.ours),
        };
        let parents = [&ecc_storage(3), &ecc_storage(3)];
        let [_, new] = moved(from, to, parents, &template, b"a secret", true);
        let unseal = Command::new(cc::UNSEAL).handle(new).password(b"password");
        assert_eq!(done(to, "unseal", &unseal).body(0).sized(), b"a secret");
        let wrong = Command::new(cc::UNSEAL).handle(new).password(b"wrong");
        assert_eq!(to.run(&wrong).unwrap().code(), 0x9a2);
    }
}

#[test]
fn a_credential_of_one_opens_in_the_other() {
    for storage in [ecc_storage(3), ecc_storage(4), rsa_storage(2048)] {
        let mut pair = Pair::new();
        for way in 0..2 {
            let (maker, owner) = match way {
                0 => (&mut pair.ours, &mut pair.theirs),
                _ => (&mut pair.theirs, &mut pair.ours),
            };
            let key = done(owner, "key", &create_primary(rh::ENDORSEMENT, &storage)).handle();
            let read = done(owner, "read", &Command::new(cc::READ_PUBLIC).handle(key));
            let mut body = read.body(0);
            let (area, name) = (Fields(body.sized().to_vec()), body.sized().to_vec());
            let copy = done(maker, "copy", &load_public(&area, rh::NULL)).handle();
            let make = Fields::new().sized(b"credential").sized(&name);
            let made = done(
                maker,
                "make",
                &Command::new(cc::MAKE_CREDENTIAL).handle(copy).with(make),
            );
            let mut body = made.body(0);
            let fields = Fields::new().sized(body.sized()).sized(body.sized());
            let activate = Command::new(cc::ACTIVATE_CREDENTIAL)
                .handle(key)
                .handle(key);
            let activate = activate.password(&[]).password(&[]).with(fields);
            let opened = done(owner, "activate", &activate);
            assert_eq!(opened.body(0).sized(), b"credential");
            flush(maker, copy);
            flush(owner, key);
        }
    }
}

#[test]
fn attestations_verify_with_the_other() {
    let restricted = attribute::USUAL | attribute::SIGN | attribute::RESTRICTED;
    for template in [
        ecc_key(restricted, 3, alg::ECDSA),
        rsa_key(restricted, 2048, alg::RSASSA),
        rsa_key(restricted, 2048, alg::RSAPSS),
    ] {
        let mut pair = Pair::new();
        for way in 0..2 {
            let (maker, other) = match way {
                0 => (&mut pair.ours, &mut pair.theirs),
                _ => (&mut pair.theirs, &mut pair.ours),
            };
            let key = done(maker, "key", &create_primary(rh::ENDORSEMENT, &template)).handle();
            let read = done(maker, "read", &Command::new(cc::READ_PUBLIC).handle(key));
            let copy = done(
                other,
                "copy",
                &load_public(&Fields(read.body(0).sized().to_vec()), rh::NULL),
            )
            .handle();
            let quote = Fields::new()
                .sized(b"nonce")
                .u16(alg::NULL)
                .pcrs(alg::SHA256, &[0, 7, 16]);
            let certify = Fields::new().sized(b"nonce").u16(alg::NULL);
            for (what, command) in [
                (
                    "quote",
                    Command::new(cc::QUOTE)
                        .handle(key)
                        .password(&[])
                        .with(quote),
                ),
                (
                    "certify",
                    Command::new(cc::CERTIFY)
                        .handle(key)
                        .handle(key)
                        .password(&[])
                        .password(&[])
                        .with(certify.clone()),
                ),
                (
                    "time",
                    Command::new(cc::GET_TIME)
                        .handle(rh::ENDORSEMENT)
                        .handle(key)
                        .password(&[])
                        .password(&[])
                        .with(certify),
                ),
            ] {
                let made = done(maker, what, &command);
                let mut body = made.body(0);
                let attest = body.sized().to_vec();
                let sessions = if what == "quote" { 5 } else { 10 };
                let signature = body.0[..body.0.len() - sessions].to_vec();
                assert_eq!(attest[..4], *b"\xffTCG", "{what}");
                let hash = Fields::new().sized(&attest).u16(alg::SHA256).u32(rh::NULL);
                let digest = done(other, "hash", &Command::new(cc::HASH).with(hash));
                let digest = digest.body(0).sized().to_vec();
                let check = |digest: &[u8]| {
                    Command::new(cc::VERIFY_SIGNATURE)
                        .handle(copy)
                        .with(Fields::new().sized(digest).raw(&signature))
                };
                done(other, what, &check(&digest));
                let mut wrong = digest.clone();
                wrong[0] ^= 1;
                assert_eq!(other.run(&check(&wrong)).unwrap().code(), 0x2db, "{what}");
            }
            flush(maker, key);
            flush(other, copy);
        }
    }
}

/// The fields of an attestation that do not hang on the key or the time.
#[test]
fn attestations_say_the_same() {
    let mut pair = Pair::new();
    let restricted = attribute::USUAL | attribute::SIGN | attribute::RESTRICTED;
    let key = create_primary(rh::ENDORSEMENT, &ecc_key(restricted, 3, alg::ECDSA));
    let [ours, _] = pair.same_code("key", &key);
    let key = ours.handle();
    let quote = |fields: Fields| {
        Command::new(cc::QUOTE)
            .handle(key)
            .password(&[])
            .with(fields)
    };
    for (what, fields) in [
        (
            "one bank",
            Fields::new()
                .sized(b"nonce")
                .u16(alg::NULL)
                .pcrs(alg::SHA256, &[0, 7]),
        ),
        ("nothing", Fields::new().sized(b"").u16(alg::NULL).u32(0)),
        (
            "the scheme given",
            Fields::new()
                .sized(b"")
                .u16(alg::ECDSA)
                .u16(alg::SHA256)
                .pcrs(alg::SHA1, &[1]),
        ),
        (
            "a bank of which there is nothing",
            Fields::new()
                .sized(b"")
                .u16(alg::NULL)
                .pcrs(alg::SHA512, &[]),
        ),
    ] {
        let [ours, theirs] = pair.same_code(what, &quote(fields));
        let about = |response: &vtpm_tests::response::Response| {
            let mut attest = response.body(0);
            let mut attest = vtpm_tests::response::Reader(attest.sized());
            let head = attest.raw(6).to_vec();
            let signer = attest.sized().len();
            let extra = attest.sized().to_vec();
            // Clock, resetCount, restartCount, safe, firmwareVersion.
            attest.raw(8 + 4 + 4 + 1 + 8);
            (head, signer, extra, attest.0.to_vec())
        };
        pair.compare(what, about(&ours), about(&theirs));
    }
    for (what, fields) in [
        (
            "another scheme",
            Fields::new()
                .sized(b"")
                .u16(alg::ECDSA)
                .u16(alg::SHA384)
                .u32(0),
        ),
        (
            "a long nonce",
            Fields::new().sized(&[1; 67]).u16(alg::NULL).u32(0),
        ),
        (
            "no bank",
            Fields::new()
                .sized(b"")
                .u16(alg::NULL)
                .u32(1)
                .u16(0x66)
                .u8(3)
                .raw(&[0; 3]),
        ),
    ] {
        pair.same(what, &quote(fields));
    }
    pair.finish();
}

/// The public areas that Create gives back are the templates with the key in them.
#[test]
fn templates_come_back() {
    let mut pair = Pair::new();
    let usual = attribute::USUAL;
    for (what, template) in [
        ("P-256 storage", ecc_storage(3)),
        ("P-384 storage", ecc_storage(4)),
        ("RSA storage", rsa_storage(2048)),
        ("ECDSA", ecc_key(usual | attribute::SIGN, 3, alg::ECDSA)),
        ("ECDAA", ecc_key(usual | attribute::SIGN, 3, alg::ECDAA)),
        (
            "Schnorr",
            ecc_key(usual | attribute::SIGN, 3, alg::ECSCHNORR),
        ),
        ("ECDH", ecc_key(usual | attribute::DECRYPT, 3, alg::ECDH)),
        (
            "RSASSA",
            rsa_key(usual | attribute::SIGN, 2048, alg::RSASSA),
        ),
        (
            "RSAES",
            rsa_key(usual | attribute::DECRYPT, 2048, alg::RSAES),
        ),
        ("OAEP", rsa_key(usual | attribute::DECRYPT, 2048, alg::OAEP)),
        ("HMAC", keyedhash(usual | attribute::SIGN, alg::HMAC, &[])),
        (
            "XOR",
            public(alg::KEYEDHASH, alg::SHA256, usual | attribute::DECRYPT, &[])
                .u16(alg::XOR)
                .u16(alg::SHA256)
                .u16(alg::KDF1_SP800_108)
                .sized(&[]),
        ),
        (
            "AES",
            public(
                alg::SYMCIPHER,
                alg::SHA256,
                usual | attribute::DECRYPT | attribute::SIGN,
                &[],
            )
            .u16(alg::AES)
            .u16(256)
            .u16(alg::CTR)
            .sized(&[]),
        ),
        (
            "derivation parent",
            public(
                alg::KEYEDHASH,
                alg::SHA256,
                usual | attribute::DECRYPT | attribute::RESTRICTED,
                &[],
            )
            .u16(alg::XOR)
            .u16(alg::SHA256)
            .u16(alg::KDF1_SP800_108)
            .sized(&[]),
        ),
        (
            "restricted signing without a scheme",
            ecc_key(
                usual | attribute::SIGN | attribute::RESTRICTED,
                3,
                alg::NULL,
            ),
        ),
        (
            "restricted both",
            ecc_key(
                usual | attribute::SIGN | attribute::DECRYPT | attribute::RESTRICTED,
                3,
                alg::ECDSA,
            ),
        ),
        ("neither", ecc_key(usual, 3, alg::NULL)),
        (
            "sealed without data",
            keyedhash(usual & !attribute::SENSITIVE_DATA_ORIGIN, alg::NULL, &[]),
        ),
        ("sealed of its own", keyedhash(usual, alg::NULL, &[])),
        (
            "RSA 1024",
            rsa_key(usual | attribute::SIGN, 1024, alg::RSASSA),
        ),
        (
            "RSA 2047",
            rsa_key(usual | attribute::SIGN, 2047, alg::RSASSA),
        ),
        (
            "encrypted duplication, fixed",
            ecc_key(
                usual | attribute::SIGN | attribute::ENCRYPTED_DUPLICATION,
                3,
                alg::ECDSA,
            ),
        ),
        (
            "fixed TPM, free parent",
            ecc_key(
                (usual & !attribute::FIXED_PARENT) | attribute::SIGN,
                3,
                alg::ECDSA,
            ),
        ),
    ] {
        // 1024 bits are swtpm's, and not the profile's.
        if what == "RSA 1024" {
            continue;
        }
        let [ours, theirs] = pair.same_code(what, &create_primary(rh::OWNER, &template));
        if ours.code() != 0 || theirs.code() != 0 {
            continue;
        }
        pair.compare(&format!("{what}: length"), ours.0.len(), theirs.0.len());
        let areas = [&ours, &theirs].map(|response| response.body(1).sized().to_vec());
        // Up to the unique field, which is empty in the template.
        let unique = if template.0[..2] == alg::ECC.to_be_bytes() {
            4
        } else {
            2
        };
        let same = template.0.len() - unique;
        pair.compare(
            &format!("{what}: template"),
            &areas[0][..same],
            &template.0[..same],
        );
        pair.compare(
            &format!("{what}: template"),
            &areas[0][..same],
            &areas[1][..same],
        );
        // Without creation PCRs the creation data hang on nothing.
        let creation = [&ours, &theirs].map(|response| {
            let mut body = response.body(1);
            body.sized();
            (
                body.sized().to_vec(),
                body.sized().to_vec(),
                body.u16(),
                body.u32(),
            )
        });
        pair.compare(
            &format!("{what}: creation data, hash, ticket"),
            &creation[0],
            &creation[1],
        );
        pair.flush(ours.handle());
    }
    pair.finish();
}
