//! `GetCapability`, `TestParms` and what else describes a TPM.

use std::collections::BTreeMap;

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{alg, cc};
use vtpm_tests::pair::Pair;
use vtpm_tests::response::Response;
use vtpm_tests::server::Server;

const ALGS: u32 = 0;
const HANDLES: u32 = 1;
const COMMANDS: u32 = 2;
const PP_COMMANDS: u32 = 3;
const AUDIT_COMMANDS: u32 = 4;
const PCRS: u32 = 5;
const TPM_PROPERTIES: u32 = 6;
const PCR_PROPERTIES: u32 = 7;
const ECC_CURVES: u32 = 8;
const AUTH_POLICIES: u32 = 9;

fn get(capability: u32, property: u32, count: u32) -> Command {
    let fields = Fields::new().u32(capability).u32(property).u32(count);
    Command::new(cc::GET_CAPABILITY).with(fields)
}

/// All entries of a list capability, as (key, value), asked for in small pieces.
fn list(
    server: &mut Server,
    capability: u32,
    from: u32,
    entry: impl Fn(&Response) -> Vec<(u32, u32)>,
) -> BTreeMap<u32, u32> {
    let mut found = BTreeMap::new();
    let mut next = from;
    loop {
        let response = server.run(&get(capability, next, 7)).unwrap();
        let more = response.body(0).u8();
        let entries = entry(&response);
        let keys: Vec<u32> = entries.iter().map(|(key, _)| *key).collect();
        assert!(keys.is_sorted(), "{keys:x?}");
        assert!(keys.first().is_none_or(|key| *key >= next), "{keys:x?}");
        found.extend(entries);
        match (more, keys.last()) {
            (1, Some(last)) => next = last + 1,
            (0, _) => return found,
            other => panic!("{other:?}"),
        }
    }
}

fn properties(response: &Response) -> Vec<(u32, u32)> {
    let mut body = response.body(0);
    body.raw(5);
    (0..body.u32()).map(|_| (body.u32(), body.u32())).collect()
}

fn algorithms(response: &Response) -> Vec<(u32, u32)> {
    let mut body = response.body(0);
    body.raw(5);
    (0..body.u32())
        .map(|_| (u32::from(body.u16()), body.u32()))
        .collect()
}

fn commands(response: &Response) -> Vec<(u32, u32)> {
    let mut body = response.body(0);
    body.raw(5);
    (0..body.u32())
        .map(|_| body.u32())
        .map(|attributes| (attributes & 0xffff, attributes))
        .collect()
}

/// Entries that both have must be the same.
fn compare_common(
    pair: &mut Pair,
    what: &str,
    ours: &BTreeMap<u32, u32>,
    theirs: &BTreeMap<u32, u32>,
) {
    assert!(!ours.is_empty() && !theirs.is_empty());
    for (key, value) in ours {
        if let Some(other) = theirs.get(key) {
            pair.compare(&format!("{what} {key:#x}"), *value, *other);
        }
    }
}

#[test]
fn commands_have_the_same_attributes() {
    let mut pair = Pair::new();
    let ours = list(&mut pair.ours, COMMANDS, 0, commands);
    let theirs = list(&mut pair.theirs, COMMANDS, 0, commands);
    compare_common(&mut pair, "command", &ours, &theirs);
    let missing: Vec<_> = theirs
        .keys()
        .filter(|key| !ours.contains_key(key))
        .collect();
    pair.compare("missing commands", missing, vec![]);
    pair.finish();
}

#[test]
fn algorithms_have_the_same_attributes() {
    let mut pair = Pair::new();
    let ours = list(&mut pair.ours, ALGS, 0, algorithms);
    let theirs = list(&mut pair.theirs, ALGS, 0, algorithms);
    compare_common(&mut pair, "algorithm", &ours, &theirs);
    // What swtpm has and Rampart's TPM leaves out: triple DES, Camellia, SM and
    // what goes with them, MGF1, KDF2, CMAC, ECMQV.
    const LEFT_OUT: [u32; 8] = [0x03, 0x07, 0x12, 0x13, 0x1b, 0x1d, 0x26, 0x3f];
    let missing: Vec<_> = theirs
        .keys()
        .filter(|key| !ours.contains_key(key) && !LEFT_OUT.contains(key))
        .collect();
    pair.compare("missing algorithms", missing, vec![]);
    pair.finish();
}

#[test]
fn fixed_properties_that_every_tpm_has() {
    let mut pair = Pair::new();
    let ours = list(&mut pair.ours, TPM_PROPERTIES, 0x100, properties);
    let theirs = list(&mut pair.theirs, TPM_PROPERTIES, 0x100, properties);
    // FAMILY_INDICATOR, LEVEL, PCR_COUNT, PCR_SELECT_MIN; the rest describes the
    // implementation.
    const SAME: [u32; 4] = [0x100, 0x101, 0x112, 0x113];
    for key in SAME {
        pair.compare(
            &format!("property {key:#x}"),
            ours.get(&key),
            theirs.get(&key),
        );
    }
    // At least as much room as swtpm has: INPUT_BUFFER, the numbers of objects and
    // sessions, NV_INDEX_MAX, the sizes of commands, responses and digests,
    // NV_BUFFER_MAX.
    const ROOM: [u32; 10] = [
        0x10d, 0x10e, 0x10f, 0x110, 0x111, 0x117, 0x11e, 0x11f, 0x120, 0x12c,
    ];
    for key in ROOM {
        let (our, their) = (ours.get(&key).copied(), theirs.get(&key).copied());
        pair.compare(
            &format!("property {key:#x}, {our:x?} and {their:x?}"),
            our >= their,
            true,
        );
    }
    // Counted, and not just said.
    let count = list(&mut pair.ours, COMMANDS, 0, commands).len() as u32;
    pair.compare("TOTAL_COMMANDS", ours.get(&0x129).copied(), Some(count));
    pair.finish();
}

#[test]
fn variable_properties() {
    let mut pair = Pair::new();
    let ours = list(&mut pair.ours, TPM_PROPERTIES, 0x200, properties);
    let theirs = list(&mut pair.theirs, TPM_PROPERTIES, 0x200, properties);
    // PERMANENT, the numbers of indices, sessions and objects of a TPM that was
    // just made, ALGORITHM_SET, LOCKOUT_COUNTER.
    const SAME: [u32; 10] = [
        0x200, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207, 0x20a, 0x20c, 0x20e,
    ];
    // STARTUP_CLEAR without the bit that says how the last session ended.
    let enabled = |found: &BTreeMap<u32, u32>| found.get(&0x201).map(|value| value & 0xf);
    pair.compare("STARTUP_CLEAR", enabled(&ours), enabled(&theirs));
    for key in SAME {
        pair.compare(
            &format!("property {key:#x}"),
            ours.get(&key),
            theirs.get(&key),
        );
    }
    pair.finish();
}

#[test]
fn pcrs_and_their_properties() {
    let mut pair = Pair::new();
    pair.same("banks", &get(PCRS, 0, 64));
    pair.same("banks from 1", &get(PCRS, 1, 64));
    for property in 0..0x17 {
        pair.same(
            &format!("PCR property {property:#x}"),
            &get(PCR_PROPERTIES, property, 1),
        );
    }
    pair.same("all PCR properties", &get(PCR_PROPERTIES, 0, 64));
    pair.finish();
}

#[test]
fn curves() {
    let mut pair = Pair::new();
    let known = |server: &mut Server| {
        let response = server.run(&get(ECC_CURVES, 0, 64)).unwrap();
        let mut body = response.body(0);
        body.raw(5);
        (0..body.u32()).map(|_| body.u16()).collect::<Vec<_>>()
    };
    let ours = known(&mut pair.ours);
    assert!(ours.is_sorted());
    for curve in [3, 4, 5] {
        assert!(ours.contains(&curve), "{ours:?}");
        let parameters = Command::new(cc::ECC_PARAMETERS).with(Fields::new().u16(curve));
        pair.same(&format!("curve {curve}"), &parameters);
    }
    pair.same(
        "no curve",
        &Command::new(cc::ECC_PARAMETERS).with(Fields::new().u16(0x99)),
    );
    pair.finish();
}

#[test]
fn handles() {
    let mut pair = Pair::new();
    let session = pair.trial();
    for kind in [0, 1, 2, 3, 0x40, 0x80, 0x81, 0x55] {
        let what = format!("handles of type {kind:#x}");
        pair.same(&what, &get(HANDLES, kind << 24, 254));
        pair.same(&what, &get(HANDLES, kind << 24, 1));
    }
    pair.flush(session);
    pair.same("sessions", &get(HANDLES, 2 << 24, 254));
    pair.finish();
}

#[test]
fn the_rest_and_what_does_not_exist() {
    let mut pair = Pair::new();
    pair.same("audited", &get(AUDIT_COMMANDS, 0, 64));
    pair.same_code("physical presence", &get(PP_COMMANDS, 0, 64));
    pair.same_code("policies", &get(AUTH_POLICIES, 0x4000_0001, 8));
    pair.same("policies of no handle", &get(AUTH_POLICIES, 1, 8));
    for capability in [0xb, 0xff, 0x100, 0x101, 0xffff_ffff] {
        pair.code(
            &format!("capability {capability:#x}"),
            &get(capability, 0, 1),
        );
    }
    for capability in 0..9 {
        let what = format!("nothing of capability {capability}");
        pair.code(
            &what,
            &get(capability, if capability == 1 { 0x8000_0000 } else { 0 }, 0),
        );
    }
    pair.same("beyond the last property", &get(TPM_PROPERTIES, 0x300, 8));
    pair.same("beyond the last algorithm", &get(ALGS, 0xff00, 8));
    pair.same("beyond the last command", &get(COMMANDS, 0x2000, 8));
    pair.same("beyond the last curve", &get(ECC_CURVES, 0xff00, 8));
    pair.finish();
}

/// The parameters of an RSA key for anything.
fn rsa_parms(bits: u16) -> Fields {
    Fields::new()
        .u16(alg::RSA)
        .u16(alg::NULL)
        .u16(alg::NULL)
        .u16(bits)
        .u32(0)
}

#[test]
fn test_parms() {
    let mut pair = Pair::new();
    let cases: [(&str, Fields); 16] = [
        (
            "RSA 2048",
            Fields::new()
                .u16(alg::RSA)
                .u16(alg::NULL)
                .u16(alg::NULL)
                .u16(2048)
                .u32(0),
        ),
        (
            "RSA 2049",
            Fields::new()
                .u16(alg::RSA)
                .u16(alg::NULL)
                .u16(alg::NULL)
                .u16(2049)
                .u32(0),
        ),
        (
            "RSA, exponent 3",
            Fields::new()
                .u16(alg::RSA)
                .u16(alg::NULL)
                .u16(alg::NULL)
                .u16(2048)
                .u32(3),
        ),
        ("RSA 1024", rsa_parms(1024)),
        ("RSA 512", rsa_parms(512)),
        (
            "RSA, exponent 65537",
            Fields::new()
                .u16(alg::RSA)
                .u16(alg::NULL)
                .u16(alg::NULL)
                .u16(2048)
                .u32(65537),
        ),
        (
            "RSA with ECDSA",
            Fields::new()
                .u16(alg::RSA)
                .u16(alg::NULL)
                .u16(alg::ECDSA)
                .u16(alg::SHA256)
                .u16(2048)
                .u32(0),
        ),
        (
            "P-256",
            Fields::new()
                .u16(alg::ECC)
                .u16(alg::NULL)
                .u16(alg::NULL)
                .u16(3)
                .u16(alg::NULL),
        ),
        (
            "no curve",
            Fields::new()
                .u16(alg::ECC)
                .u16(alg::NULL)
                .u16(alg::NULL)
                .u16(0x77)
                .u16(alg::NULL),
        ),
        (
            "P-256 with ECDSA",
            Fields::new()
                .u16(alg::ECC)
                .u16(alg::NULL)
                .u16(alg::ECDSA)
                .u16(alg::SHA256)
                .u16(3)
                .u16(alg::NULL),
        ),
        (
            "AES-128 CFB",
            Fields::new()
                .u16(alg::SYMCIPHER)
                .u16(alg::AES)
                .u16(128)
                .u16(alg::CFB),
        ),
        (
            "AES-129 CFB",
            Fields::new()
                .u16(alg::SYMCIPHER)
                .u16(alg::AES)
                .u16(129)
                .u16(alg::CFB),
        ),
        (
            "AES-256 of no mode",
            Fields::new()
                .u16(alg::SYMCIPHER)
                .u16(alg::AES)
                .u16(256)
                .u16(0x99),
        ),
        (
            "HMAC",
            Fields::new()
                .u16(alg::KEYEDHASH)
                .u16(alg::HMAC)
                .u16(alg::SHA256),
        ),
        (
            "HMAC of no hash",
            Fields::new()
                .u16(alg::KEYEDHASH)
                .u16(alg::HMAC)
                .u16(alg::AES),
        ),
        ("no type", Fields::new().u16(alg::SHA256)),
    ];
    for (what, fields) in cases {
        let command = Command::new(cc::TEST_PARMS).with(fields);
        pair.same(what, &command);
        for length in 0..command.parameters() {
            pair.same(
                &format!("{what}, {length} bytes of it"),
                &command.clone().cut(length),
            );
        }
    }
    pair.finish();
}
