//! Commands that are wrong: the response code says what, and in which order a
//! TPM looks (Part 3, chapter 5).

mod commands;
mod objects;

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{alg, cc, rh};
use vtpm_tests::pair::{Pair, start_session};
use vtpm_tests::templates::{attribute, create_primary, ecc_key, ecc_storage};

use commands::right;

/// A TPM with an object in 0x80000000 (a P-256 storage key), one in 0x80000001
/// (a signing key), a policy session, an NV index.
fn furnished() -> Pair {
    let mut pair = Pair::new();
    pair.same_code("primary", &create_primary(rh::OWNER, &ecc_storage(3)));
    let signing = attribute::USUAL | attribute::SIGN;
    let key = create_primary(rh::OWNER, &ecc_key(signing, 3, alg::NULL));
    pair.same_code("signing key", &key);
    pair.same_code("session", &start_session(1, alg::SHA256));
    let area = Fields::new()
        .u32(0x0150_0001)
        .u16(alg::SHA256)
        .u32(0x0206_0006);
    let area = area.sized(&[]).u16(8);
    let define = Command::new(cc::NV_DEFINE_SPACE)
        .handle(rh::OWNER)
        .password(&[]);
    pair.same(
        "index",
        &define.with(Fields::new().sized(&[]).sized(&area.0)),
    );
    pair
}

const PRIMARY: u32 = 0x8000_0000;
const KEY: u32 = 0x8000_0001;
const SESSION: u32 = 0x0300_0000;
const INDEX: u32 = 0x0150_0001;

/// Where Rampart's TPM goes another way than swtpm, and why.
fn differs(what: &str) -> bool {
    const KNOWN: [&str; 13] = [
        // A Name of 512 bytes: too long, or not all there.
        "MakeCredential, bit 73",
        // Part 3, 17.8: the handle is wrong, not a parameter.
        "SequenceUpdate",
        // What is first found wrong in a private area that is none.
        "Import, bit",
        // A quote that nobody signs needs no scheme.
        "Quote, handle 1 is 0x40000007",
        // The handle of a saved session is looked at before its size.
        "ContextLoad, handle 3",
        // Enabled already: nothing to do for swtpm, not allowed here.
        "HierarchyControl, handle 1 is 0x40000001",
        // Part 3, 5.6: all sessions are read before one is checked.
        "Duplicate, one password",
        "Duplicate, two passwords",
        "Duplicate, policy",
        "NV_ChangeAuth, one password",
        "NV_ChangeAuth, two passwords",
        "NV_ChangeAuth, policy",
        "ReadClock",
    ];
    KNOWN.iter().any(|known| what.starts_with(known))
}

/// Sends it to both, and undoes what it may have made.
fn code(pair: &mut Pair, what: &str, bytes: &[u8]) {
    let [ours, theirs] = pair.each_raw(0, bytes);
    // Part 3, 5.4 says AUTHSIZE where swtpm says SIZE, of a session or of none.
    let same_size = ours.code() == 0x144 && matches!(theirs.code(), 0x95 | 0xc95);
    // The tag of a ticket: TAG in Part 2, 10.7, VALUE in swtpm.
    let same_tag = ours.code() & 0xff == 0xd7 && theirs.code() == (ours.code() & 0xf00 | 0xc4);
    if !same_size && !same_tag && !differs(what) {
        pair.compare(what, ours.code(), theirs.code());
    }
    // Sequences, objects and sessions beyond those of `furnished`.
    for (server, response) in [(&mut pair.ours, ours), (&mut pair.theirs, theirs)] {
        if response.code() == 0 && response.0.len() >= 14 {
            let handle = u32::from_be_bytes([
                response.0[10],
                response.0[11],
                response.0[12],
                response.0[13],
            ]);
            if handle == 0x8000_0002 || handle == 0x0200_0001 {
                let flush = Command::new(cc::FLUSH_CONTEXT).with(Fields::new().u32(handle));
                server.run(&flush).unwrap();
            }
        }
    }
}

#[test]
fn cut_at_every_byte() {
    let mut pair = furnished();
    for (what, command) in right() {
        for length in 0..command.parameters() {
            let bytes = command.clone().cut(length).bytes();
            code(
                &mut pair,
                &format!("{what}, parameters of {length} bytes"),
                &bytes,
            );
        }
        let longer = command.with(Fields::new().u8(0)).bytes();
        code(&mut pair, &format!("{what}, a byte too much"), &longer);
    }
    pair.finish();
}

#[test]
fn as_it_should_be() {
    // Each on TPMs of their own: some of them change much.
    let mut all = Pair::new();
    for (what, command) in right() {
        let mut pair = furnished();
        code(&mut pair, what, &command.bytes());
        all.join(pair);
    }
    all.finish();
}

/// Every handle replaced by one of another kind.
#[test]
fn wrong_handles() {
    let mut pair = furnished();
    const OTHERS: [u32; 16] = [
        0,
        23,
        24,
        0x0100_0000,
        0x0150_0009,
        0x0200_0000,
        0x0200_0005,
        0x0300_0000,
        0x0300_0005,
        rh::OWNER,
        rh::NULL,
        rh::PW,
        0x4000_0fff,
        0x8000_0002,
        0x8100_0000,
        0xffff_ffff,
    ];
    for (what, command) in right() {
        let bytes = command.bytes();
        // A handle is where one of the known ones stands behind the header.
        for at in [10, 14, 18] {
            let Some(found) = bytes.get(at..at + 4) else {
                continue;
            };
            let found = u32::from_be_bytes(found.try_into().unwrap());
            if ![
                PRIMARY,
                KEY,
                SESSION,
                INDEX,
                rh::OWNER,
                rh::PLATFORM,
                rh::ENDORSEMENT,
                rh::LOCKOUT,
            ]
            .contains(&found)
            {
                continue;
            }
            for other in OTHERS {
                let mut bytes = bytes.clone();
                bytes[at..at + 4].copy_from_slice(&other.to_be_bytes());
                code(
                    &mut pair,
                    &format!("{what}, handle {} is {other:#x}", (at - 10) / 4 + 1),
                    &bytes,
                );
            }
        }
    }
    pair.finish();
}

/// Passwords left out, doubled, wrong, with odd attributes.
#[test]
fn wrong_sessions() {
    let mut pair = furnished();
    for (what, command) in right() {
        let bytes = command.bytes();
        let mut no_sessions = bytes.clone();
        no_sessions[1] = 1;
        code(
            &mut pair,
            &format!("{what}, tag without sessions"),
            &no_sessions,
        );
        let mut sessions = bytes.clone();
        sessions[1] = 2;
        if bytes[1] == 1 {
            code(&mut pair, &format!("{what}, tag with sessions"), &sessions);
            let password = command.clone().password(&[]).bytes();
            code(
                &mut pair,
                &format!("{what}, a password that nobody needs"),
                &password,
            );
            continue;
        }
        // Wrong passwords count where a dictionary attack is guarded against.
        let [one, two, three] = [1, 2, 3].map(|count| {
            (0..count)
                .fold(command.clone(), |command, _| command.password(&[]))
                .bytes()
        });
        code(&mut pair, &format!("{what}, one password too many"), &one);
        code(&mut pair, &format!("{what}, two passwords too many"), &two);
        code(
            &mut pair,
            &format!("{what}, three passwords too many"),
            &three,
        );
        for (name, handle) in [
            ("PCR", 0),
            ("NULL", rh::NULL),
            ("no session", 0x0200_0030),
            ("object", KEY),
            ("policy", SESSION),
        ] {
            let odd = command.clone().session(handle, &[], 1, &[]).bytes();
            code(
                &mut pair,
                &format!("{what}, {name} as one more session"),
                &odd,
            );
        }
    }
    pair.finish();
}

#[test]
fn sizes_of_the_session_area() {
    let mut pair = furnished();
    let body = |sessions: &[u8]| {
        let mut bytes = vec![0x80, 2, 0, 0, 0, 0, 0, 0, 1, 0x82, 0, 0, 0, 4];
        bytes.extend(sessions);
        bytes.extend([0, 0, 0, 1, 0, 11]);
        bytes.extend([1; 32]);
        let length = bytes.len() as u32;
        bytes[2..6].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    for size in [
        0_u32,
        1,
        8,
        9,
        10,
        12,
        46,
        47,
        48,
        100,
        0x8000_0000,
        u32::MAX,
    ] {
        let area = Fields::new()
            .u32(size)
            .u32(rh::PW)
            .sized(&[])
            .u8(1)
            .sized(&[]);
        code(&mut pair, &format!("area of {size}"), &body(&area.0));
    }
    for attributes in 0..=255 {
        let area = Fields::new()
            .u32(9)
            .u32(rh::PW)
            .sized(&[])
            .u8(attributes)
            .sized(&[]);
        code(
            &mut pair,
            &format!("attributes {attributes:#x}"),
            &body(&area.0),
        );
    }
    let nonce = Fields::new()
        .u32(25)
        .u32(rh::PW)
        .sized(&[1; 16])
        .u8(1)
        .sized(&[]);
    code(&mut pair, "password with a nonce", &body(&nonce.0));
    let long = Fields::new()
        .u32(74)
        .u32(rh::PW)
        .sized(&[])
        .u8(1)
        .sized(&[1; 65]);
    code(&mut pair, "password of 65", &body(&long.0));
    let long = Fields::new()
        .u32(74)
        .u32(rh::PW)
        .sized(&[1; 65])
        .u8(1)
        .sized(&[]);
    code(&mut pair, "nonce of 65", &body(&long.0));
    pair.finish();
}

#[test]
fn headers() {
    let mut pair = Pair::new();
    let good = Command::new(cc::GET_RANDOM)
        .with(Fields::new().u16(4))
        .bytes();
    // swtpm has its own answers to some of these; Part 3, 5.2 has one for all.
    for tag in [0_u16, 0xc1, 0xc4, 0x8000, 0x8003, 0xffff] {
        let mut bytes = good.clone();
        bytes[..2].copy_from_slice(&tag.to_be_bytes());
        let [ours, _] = pair.each_raw(0, &bytes);
        let bad_tag = vec![0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 0x1e];
        pair.compare(&format!("tag {tag:#x}"), ours.0, bad_tag);
    }
    for code in [
        0_u32,
        0x11e,
        0x1a0,
        0x1fff,
        0x2000_0000,
        0x2000_017b,
        0x8000_017b,
        u32::MAX,
    ] {
        let mut bytes = good.clone();
        bytes[6..10].copy_from_slice(&code.to_be_bytes());
        let [ours, theirs] = pair.each_raw(0, &bytes);
        pair.compare(&format!("code {code:#x}"), ours, theirs);
    }
    pair.finish();
}

/// A bit turned: what one TPM refuses, the other does, for the same reason.
#[test]
fn turned_bits() {
    let mut pair = furnished();
    // Those whose success changes nothing that the next one would see.
    const CALM: [&str; 14] = [
        "GetCapability",
        "IncrementalSelfTest",
        "PCR_Read",
        "Hash",
        "Sign",
        "VerifySignature",
        "Quote",
        "Certify",
        "CertifyCreation",
        "MakeCredential",
        "ECDH_ZGen",
        "ActivateCredential",
        "NV_Read",
        "Import",
    ];
    for (what, command) in right().into_iter().filter(|(what, _)| CALM.contains(what)) {
        for bit in 0..command.parameters() * 8 {
            let bytes = command.clone().flipped(bit).bytes();
            code(&mut pair, &format!("{what}, bit {bit}"), &bytes);
        }
    }
    pair.finish();
}
