//! Policy digests, in trial and in real sessions.

mod digests;

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{HASHES, alg, cc, rh, se};
use vtpm_tests::pair::Pair;
use vtpm_tests::templates::{
    attribute, create, create_primary, ecc_storage, keyedhash, load_public, public,
};

fn digest(session: u32) -> Command {
    Command::new(cc::POLICY_GET_DIGEST).handle(session)
}

fn on(code: u32, session: u32, fields: Fields) -> Command {
    Command::new(code).handle(session).with(fields)
}

fn define(index: u32, attributes: u32, size: u16) -> Command {
    let public = Fields::new()
        .u32(index)
        .u16(alg::SHA256)
        .u32(attributes)
        .sized(&[])
        .u16(size);
    Command::new(cc::NV_DEFINE_SPACE)
        .handle(rh::OWNER)
        .password(&[])
        .with(Fields::new().sized(&[]).sized(&public.0))
}

/// A ticket that is not one.
fn null_ticket(tag: u16) -> Fields {
    Fields::new().u16(tag).u32(rh::NULL).sized(&[])
}

#[test]
fn several_in_a_row() {
    let mut pair = Pair::new();
    let session = pair.trial();
    for command in [
        on(
            cc::POLICY_PCR,
            session,
            Fields::new().sized(&[]).pcrs(alg::SHA256, &[1, 2]),
        ),
        on(cc::POLICY_PASSWORD, session, Fields::new()),
        on(
            cc::POLICY_COMMAND_CODE,
            session,
            Fields::new().u32(cc::NV_READ),
        ),
        on(
            cc::POLICY_COMMAND_CODE,
            session,
            Fields::new().u32(cc::NV_WRITE),
        ),
        on(cc::POLICY_NAME_HASH, session, Fields::new().sized(&[1; 32])),
        on(cc::POLICY_CP_HASH, session, Fields::new().sized(&[1; 32])),
        on(cc::POLICY_TEMPLATE, session, Fields::new().sized(&[1; 32])),
        on(cc::POLICY_LOCALITY, session, Fields::new().u8(3)),
        on(cc::POLICY_LOCALITY, session, Fields::new().u8(4)),
        on(cc::POLICY_NV_WRITTEN, session, Fields::new().u8(1)),
        on(cc::POLICY_NV_WRITTEN, session, Fields::new().u8(0)),
    ] {
        pair.same("a policy", &command);
        pair.same("its digest", &digest(session));
    }
    pair.finish();
}

#[test]
fn secret_and_its_tickets() {
    let mut pair = Pair::new();
    for kind in [se::TRIAL, se::POLICY] {
        for (entity, expiration) in [
            (rh::OWNER, 0),
            (rh::ENDORSEMENT, 0),
            (rh::NULL, 0),
            (rh::LOCKOUT, 1_u32),
            (rh::PLATFORM, u32::MAX),
        ] {
            let session = pair.session(kind, alg::SHA256);
            let fields = Fields::new()
                .sized(&[])
                .sized(&[])
                .sized(b"reference")
                .u32(expiration);
            let secret = Command::new(cc::POLICY_SECRET)
                .handle(entity)
                .handle(session)
                .password(&[])
                .with(fields);
            let [ours, theirs] = pair.same_code("PolicySecret", &secret);
            pair.compare("length", ours.0.len(), theirs.0.len());
            pair.same("digest", &digest(session));
            let wrong = Fields::new().sized(&[1; 5]).sized(&[]).sized(b"").u32(0);
            let wrong = Command::new(cc::POLICY_SECRET)
                .handle(entity)
                .handle(session)
                .password(&[])
                .with(wrong);
            pair.same("wrong nonce", &wrong);
            let wrong = Fields::new().sized(&[]).sized(&[1; 5]).sized(b"").u32(0);
            let wrong = Command::new(cc::POLICY_SECRET)
                .handle(entity)
                .handle(session)
                .password(&[])
                .with(wrong);
            pair.same("wrong cpHash", &wrong);
            pair.flush(session);
        }
    }
    let session = pair.session(se::POLICY, alg::SHA256);
    let bad = Fields::new().sized(&[]).sized(&[]).sized(b"").u32(0);
    let bad = Command::new(cc::POLICY_SECRET)
        .handle(rh::OWNER)
        .handle(session)
        .password(b"bad")
        .with(bad);
    pair.same("wrong password", &bad);
    pair.finish();
}

#[test]
fn signed_by_a_key_that_does_not_sign() {
    let mut pair = Pair::new();
    let key = public(
        alg::RSA,
        alg::SHA256,
        attribute::SIGN | attribute::USER_WITH_AUTH,
        &[],
    )
    .u16(alg::NULL)
    .u16(alg::NULL)
    .u16(2048)
    .u32(0)
    .sized(&[0xc1; 256]);
    let [ours, theirs] = pair.same_code("load", &load_public(&key, rh::OWNER));
    pair.compare("key", ours.0.clone(), theirs.0.clone());
    let signature = |bytes: &[u8]| Fields::new().u16(alg::RSASSA).u16(alg::SHA256).sized(bytes);
    for kind in [se::TRIAL, se::POLICY] {
        let session = pair.session(kind, alg::SHA256);
        for (what, expiration) in [
            ("plain", 0),
            ("expiring", 5),
            ("with a ticket", u32::MAX - 4),
        ] {
            let fields = Fields::new()
                .sized(&[])
                .sized(&[])
                .sized(b"reference")
                .u32(expiration);
            let fields = fields.raw(&signature(&[1; 256]).0);
            let command = Command::new(cc::POLICY_SIGNED)
                .handle(ours.handle())
                .handle(session)
                .with(fields);
            pair.same(what, &command);
            pair.same("digest", &digest(session));
        }
        pair.flush(session);
    }
    pair.finish();
}

#[test]
fn over_nv() {
    let mut pair = Pair::new();
    // OWNERREAD | OWNERWRITE | AUTHREAD | AUTHWRITE | NO_DA
    pair.same("define", &define(0x0150_0001, 0x0206_0006, 8));
    let compare = |session: u32, operand: &[u8], offset: u16, operation: u16| {
        let fields = Fields::new().sized(operand).u16(offset).u16(operation);
        Command::new(cc::POLICY_NV)
            .handle(rh::OWNER)
            .handle(0x0150_0001)
            .handle(session)
            .password(&[])
            .with(fields)
    };
    let session = pair.session(se::POLICY, alg::SHA256);
    pair.same("before the first write", &compare(session, &[0; 8], 0, 0));
    let write = Fields::new().sized(&[0x80, 0, 0, 0, 0, 0, 0, 5]).u16(0);
    let write = Command::new(cc::NV_WRITE)
        .handle(rh::OWNER)
        .handle(0x0150_0001)
        .password(&[])
        .with(write);
    pair.same("write", &write);
    for kind in [se::POLICY, se::TRIAL] {
        for operation in 0..=12 {
            for operand in [
                &[0x80_u8, 0, 0, 0, 0, 0, 0, 5][..],
                &[0x7f, 0, 0, 0, 0, 0, 0, 5],
                // Negative as well: less, and more, in two's complement.
                &[0x80, 0, 0, 0, 0, 0, 0, 4],
                &[0xff, 0, 0, 0, 0, 0, 0, 5],
                &[0x80, 0],
                &[],
            ] {
                let session = pair.session(kind, alg::SHA256);
                let what = format!("{operand:x?} by operation {operation}");
                pair.same(&what, &compare(session, operand, 0, operation));
                pair.same(&what, &digest(session));
                pair.flush(session);
            }
        }
        let session = pair.session(kind, alg::SHA256);
        pair.same("beyond", &compare(session, &[1, 2], 7, 0));
        pair.same("far beyond", &compare(session, &[1, 2], 100, 0));
        pair.same("the last byte", &compare(session, &[5], 7, 0));
        pair.same("digest", &digest(session));
        pair.flush(session);
    }
    pair.finish();
}

#[test]
fn a_policy_that_lives_in_nv() {
    let mut pair = Pair::new();
    pair.same("define", &define(0x0150_0002, 0x0206_0006, 34));
    let session = pair.trial();
    pair.same("password", &on(cc::POLICY_PASSWORD, session, Fields::new()));
    let response = pair.same("digest", &digest(session));
    let policy = [&[0, 11], response.body(0).sized()].concat();
    let write = Fields::new().sized(&policy).u16(0);
    let write = Command::new(cc::NV_WRITE)
        .handle(rh::OWNER)
        .handle(0x0150_0002)
        .password(&[])
        .with(write);
    let authorize = |session: u32| {
        Command::new(cc::POLICY_AUTHORIZE_NV)
            .handle(rh::OWNER)
            .handle(0x0150_0002)
            .handle(session)
            .password(&[])
    };
    pair.same("not written", &authorize(session));
    pair.same("write", &write);
    let real = pair.session(se::POLICY, alg::SHA256);
    pair.same("not that policy", &authorize(real));
    pair.same("password", &on(cc::POLICY_PASSWORD, real, Fields::new()));
    pair.same("that policy", &authorize(real));
    pair.same("digest", &digest(real));
    pair.same("in a trial", &authorize(session));
    pair.same("digest", &digest(session));
    pair.finish();
}

/// A sealed object with a policy, and what opens it.
#[test]
fn policies_that_open_and_that_do_not() {
    let mut pair = Pair::new();
    let [primary, _] = pair.same_code("primary", &create_primary(rh::OWNER, &ecc_storage(3)));
    type Policy = fn(u32) -> Vec<Command>;
    let policies: [(&str, Policy, Policy); 8] = [
        (
            "PCR",
            |s| {
                vec![on(
                    cc::POLICY_PCR,
                    s,
                    Fields::new().sized(&[]).pcrs(alg::SHA256, &[16]),
                )]
            },
            |s| {
                vec![on(
                    cc::POLICY_PCR,
                    s,
                    Fields::new().sized(&[]).pcrs(alg::SHA256, &[15]),
                )]
            },
        ),
        (
            "command code",
            |s| {
                vec![on(
                    cc::POLICY_COMMAND_CODE,
                    s,
                    Fields::new().u32(cc::UNSEAL),
                )]
            },
            |s| vec![on(cc::POLICY_COMMAND_CODE, s, Fields::new().u32(cc::SIGN))],
        ),
        (
            "other command code",
            |s| vec![on(cc::POLICY_COMMAND_CODE, s, Fields::new().u32(cc::SIGN))],
            |_| vec![],
        ),
        (
            "locality",
            |s| vec![on(cc::POLICY_LOCALITY, s, Fields::new().u8(1))],
            |s| vec![on(cc::POLICY_LOCALITY, s, Fields::new().u8(2))],
        ),
        (
            "other locality",
            |s| vec![on(cc::POLICY_LOCALITY, s, Fields::new().u8(2))],
            |_| vec![],
        ),
        (
            "NV written",
            |s| vec![on(cc::POLICY_NV_WRITTEN, s, Fields::new().u8(1))],
            |_| vec![],
        ),
        (
            "cpHash of something else",
            |s| vec![on(cc::POLICY_CP_HASH, s, Fields::new().sized(&[1; 32]))],
            |_| vec![],
        ),
        (
            "name hash of something else",
            |s| vec![on(cc::POLICY_NAME_HASH, s, Fields::new().sized(&[1; 32]))],
            |_| vec![],
        ),
    ];
    for (what, right, wrong) in policies {
        let trial = pair.trial();
        for command in right(trial) {
            pair.same(what, &command);
        }
        let response = pair.same(what, &digest(trial));
        pair.flush(trial);
        let policy = response.body(0).sized().to_vec();
        let attributes = attribute::FIXED_TPM | attribute::FIXED_PARENT | attribute::NO_DA;
        let template = keyedhash(attributes, alg::NULL, &policy);
        let created = pair.same_code(what, &create(primary.handle(), b"", b"secret", &template));
        let mut handles = [0; 2];
        for ((server, response), handle) in [&mut pair.ours, &mut pair.theirs]
            .into_iter()
            .zip(&created)
            .zip(&mut handles)
        {
            let mut body = response.body(0);
            let (private, public) = (body.sized(), body.sized());
            let load = Command::new(cc::LOAD)
                .handle(primary.handle())
                .password(&[]);
            let load = load.with(Fields::new().sized(private).sized(public));
            *handle = server.run(&load).unwrap().handle();
        }
        pair.compare("handle", handles[0], handles[1]);
        let unseal = Command::new(cc::UNSEAL).handle(handles[0]);
        pair.same(&format!("{what}: password"), &unseal.clone().password(&[]));
        for (name, policy) in [("right", right), ("wrong", wrong)] {
            let session = pair.session(se::POLICY, alg::SHA256);
            for command in policy(session) {
                pair.same(what, &command);
            }
            // The nonce is each TPM's own.
            let [ours, theirs] = pair.each(&unseal.clone().policy(session));
            pair.compare(
                &format!("{what}: {name}"),
                ours.0.get(..22),
                theirs.0.get(..22),
            );
            if ours.code() != 0 {
                pair.flush(session);
            } else {
                pair.same("still there", &digest(session));
                pair.flush(session);
            }
        }
        pair.flush(handles[0]);
    }
    pair.finish();
}
