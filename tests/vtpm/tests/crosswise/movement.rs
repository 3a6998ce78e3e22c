//! Keys, secrets and credentials that go from one TPM to the other.

use super::*;

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
