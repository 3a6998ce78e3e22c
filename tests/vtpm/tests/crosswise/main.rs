//! What one TPM makes, the other one takes: duplicates, credentials, signatures.

mod movement;
mod templates;

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
