//! Commands that are wrong: the response code says what, and in which order a
//! TPM looks (Part 3, chapter 5).

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{alg, cc, rh};
use vtpm_tests::pair::{Pair, start_session};
use vtpm_tests::templates::{attribute, create, create_primary, ecc_key, ecc_storage, keyedhash};

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

/// A command of each kind, as it should be; of most a cut one changes nothing.
fn right() -> Vec<(&'static str, Command)> {
    let pcr = |fields: Fields| fields.pcrs(alg::SHA256, &[1]);
    let ticket = |tag: u16| Fields::new().u16(tag).u32(rh::NULL).sized(&[]);
    let sealed = keyedhash(attribute::USER_WITH_AUTH, alg::NULL, &[]);
    let scheme = |fields: Fields| fields.u16(alg::ECDSA).u16(alg::SHA256);
    vec![
        (
            "GetRandom",
            Command::new(cc::GET_RANDOM).with(Fields::new().u16(8)),
        ),
        (
            "GetCapability",
            Command::new(cc::GET_CAPABILITY).with(Fields::new().u32(6).u32(0x100).u32(1)),
        ),
        (
            "SelfTest",
            Command::new(cc::SELF_TEST).with(Fields::new().u8(0)),
        ),
        (
            "IncrementalSelfTest",
            Command::new(cc::INCREMENTAL_SELF_TEST).with(Fields::new().u32(1).u16(alg::SHA1)),
        ),
        (
            "StirRandom",
            Command::new(cc::STIR_RANDOM).with(Fields::new().sized(b"abc")),
        ),
        (
            "PCR_Read",
            Command::new(cc::PCR_READ).with(pcr(Fields::new())),
        ),
        (
            "PCR_Extend",
            Command::new(cc::PCR_EXTEND)
                .handle(4)
                .password(&[])
                .with(Fields::new().u32(1).u16(alg::SHA1).raw(&[1; 20])),
        ),
        (
            "PCR_Event",
            Command::new(cc::PCR_EVENT)
                .handle(4)
                .password(&[])
                .with(Fields::new().sized(b"abc")),
        ),
        (
            "PCR_Reset",
            Command::new(cc::PCR_RESET).handle(16).password(&[]),
        ),
        (
            "Hash",
            Command::new(cc::HASH).with(Fields::new().sized(b"abc").u16(alg::SHA256).u32(rh::NULL)),
        ),
        (
            "HashSequenceStart",
            Command::new(cc::HASH_SEQUENCE_START).with(Fields::new().sized(&[]).u16(alg::SHA256)),
        ),
        ("ReadPublic", Command::new(cc::READ_PUBLIC).handle(KEY)),
        ("ReadClock", Command::new(cc::READ_CLOCK)),
        ("CreatePrimary", create_primary(rh::OWNER, &sealed)),
        ("Create", create(PRIMARY, b"pw", b"data", &sealed)),
        (
            "CreateLoaded",
            Command::new(cc::CREATE_LOADED)
                .handle(PRIMARY)
                .password(&[])
                .with(
                    Fields::new()
                        .sized(&Fields::new().sized(b"pw").sized(b"data").0)
                        .sized(&sealed.0),
                ),
        ),
        (
            "Load",
            Command::new(cc::LOAD)
                .handle(PRIMARY)
                .password(&[])
                .with(Fields::new().sized(&[1; 60]).sized(&sealed.0)),
        ),
        (
            "LoadExternal",
            Command::new(cc::LOAD_EXTERNAL)
                .with(Fields::new().sized(&[]).sized(&sealed.0).u32(rh::NULL)),
        ),
        (
            "Import",
            Command::new(cc::IMPORT).handle(PRIMARY).password(&[]).with(
                Fields::new()
                    .sized(&[])
                    .sized(&sealed.0)
                    .sized(&[1; 40])
                    .sized(&[])
                    .u16(alg::NULL),
            ),
        ),
        (
            "Duplicate",
            Command::new(cc::DUPLICATE)
                .handle(KEY)
                .handle(rh::NULL)
                .password(&[])
                .with(Fields::new().sized(&[]).u16(alg::NULL)),
        ),
        (
            "ObjectChangeAuth",
            Command::new(cc::OBJECT_CHANGE_AUTH)
                .handle(KEY)
                .handle(PRIMARY)
                .password(&[])
                .with(Fields::new().sized(b"new")),
        ),
        (
            "Sign",
            Command::new(cc::SIGN)
                .handle(KEY)
                .password(&[])
                .with(scheme(Fields::new().sized(&[1; 32])).raw(&ticket(0x8024).0)),
        ),
        (
            "VerifySignature",
            Command::new(cc::VERIFY_SIGNATURE).handle(KEY).with(
                scheme(Fields::new().sized(&[1; 32]))
                    .sized(&[1; 32])
                    .sized(&[1; 32]),
            ),
        ),
        (
            "Quote",
            Command::new(cc::QUOTE)
                .handle(KEY)
                .password(&[])
                .with(pcr(scheme(Fields::new().sized(b"n")))),
        ),
        (
            "Certify",
            Command::new(cc::CERTIFY)
                .handle(PRIMARY)
                .handle(KEY)
                .password(&[])
                .password(&[])
                .with(scheme(Fields::new().sized(b"n"))),
        ),
        (
            "CertifyCreation",
            Command::new(cc::CERTIFY_CREATION)
                .handle(KEY)
                .handle(PRIMARY)
                .password(&[])
                .with(scheme(Fields::new().sized(b"n").sized(&[1; 32])).raw(&ticket(0x8021).0)),
        ),
        (
            "GetTime",
            Command::new(cc::GET_TIME)
                .handle(rh::ENDORSEMENT)
                .handle(KEY)
                .password(&[])
                .password(&[])
                .with(scheme(Fields::new().sized(b"n"))),
        ),
        (
            "GetSessionAuditDigest",
            Command::new(cc::GET_SESSION_AUDIT_DIGEST)
                .handle(rh::ENDORSEMENT)
                .handle(KEY)
                .handle(SESSION)
                .password(&[])
                .password(&[])
                .with(scheme(Fields::new().sized(b"n"))),
        ),
        (
            "NV_Certify",
            Command::new(cc::NV_CERTIFY)
                .handle(KEY)
                .handle(rh::OWNER)
                .handle(INDEX)
                .password(&[])
                .password(&[])
                .with(scheme(Fields::new().sized(b"n")).u16(8).u16(0)),
        ),
        (
            "MakeCredential",
            Command::new(cc::MAKE_CREDENTIAL)
                .handle(PRIMARY)
                .with(Fields::new().sized(b"secret").sized(&[0, 11, 1])),
        ),
        (
            "ActivateCredential",
            Command::new(cc::ACTIVATE_CREDENTIAL)
                .handle(KEY)
                .handle(PRIMARY)
                .password(&[])
                .password(&[])
                .with(Fields::new().sized(&[1; 40]).sized(&[2; 70])),
        ),
        ("ECDH_KeyGen", Command::new(cc::ECDH_KEYGEN).handle(PRIMARY)),
        (
            "ECDH_ZGen",
            Command::new(cc::ECDH_ZGEN)
                .handle(PRIMARY)
                .password(&[])
                .with(Fields::new().sized(&Fields::new().sized(&[1; 32]).sized(&[1; 32]).0)),
        ),
        (
            "RSA_Encrypt",
            Command::new(cc::RSA_ENCRYPT)
                .handle(PRIMARY)
                .with(Fields::new().sized(b"a").u16(alg::NULL).sized(&[])),
        ),
        (
            "RSA_Decrypt",
            Command::new(cc::RSA_DECRYPT)
                .handle(PRIMARY)
                .password(&[])
                .with(Fields::new().sized(b"a").u16(alg::NULL).sized(&[])),
        ),
        (
            "EncryptDecrypt2",
            Command::new(cc::ENCRYPT_DECRYPT_2)
                .handle(KEY)
                .password(&[])
                .with(
                    Fields::new()
                        .sized(b"a")
                        .u8(0)
                        .u16(alg::CFB)
                        .sized(&[1; 16]),
                ),
        ),
        (
            "HMAC",
            Command::new(cc::HMAC)
                .handle(KEY)
                .password(&[])
                .with(Fields::new().sized(b"a").u16(alg::SHA256)),
        ),
        (
            "HMAC_Start",
            Command::new(cc::HMAC_START)
                .handle(KEY)
                .password(&[])
                .with(Fields::new().sized(b"a").u16(alg::SHA256)),
        ),
        (
            "SequenceUpdate",
            Command::new(cc::SEQUENCE_UPDATE)
                .handle(KEY)
                .password(&[])
                .with(Fields::new().sized(b"a")),
        ),
        (
            "SequenceComplete",
            Command::new(cc::SEQUENCE_COMPLETE)
                .handle(KEY)
                .password(&[])
                .with(Fields::new().sized(b"a").u32(rh::NULL)),
        ),
        (
            "EventSequenceComplete",
            Command::new(cc::EVENT_SEQUENCE_COMPLETE)
                .handle(3)
                .handle(KEY)
                .password(&[])
                .password(&[])
                .with(Fields::new().sized(b"a")),
        ),
        ("Unseal", Command::new(cc::UNSEAL).handle(KEY).password(&[])),
        ("ContextSave", Command::new(cc::CONTEXT_SAVE).handle(KEY)),
        (
            "ContextLoad",
            Command::new(cc::CONTEXT_LOAD).with(
                Fields::new()
                    .u64(1)
                    .u32(0x8000_0000)
                    .u32(rh::OWNER)
                    .sized(&[7; 80]),
            ),
        ),
        (
            "FlushContext",
            Command::new(cc::FLUSH_CONTEXT).with(Fields::new().u32(0x8000_0002)),
        ),
        (
            "EvictControl",
            Command::new(cc::EVICT_CONTROL)
                .handle(rh::OWNER)
                .handle(KEY)
                .password(&[])
                .with(Fields::new().u32(0x8180_0000)),
        ),
        ("StartAuthSession", start_session(0, alg::SHA256)),
        (
            "PolicyRestart",
            Command::new(cc::POLICY_RESTART).handle(SESSION),
        ),
        (
            "PolicySecret",
            Command::new(cc::POLICY_SECRET)
                .handle(rh::OWNER)
                .handle(SESSION)
                .password(&[])
                .with(Fields::new().sized(&[]).sized(&[]).sized(b"r").u32(0)),
        ),
        (
            "PolicySigned",
            Command::new(cc::POLICY_SIGNED)
                .handle(KEY)
                .handle(SESSION)
                .with(
                    scheme(Fields::new().sized(&[]).sized(&[]).sized(b"r").u32(0))
                        .sized(&[1; 32])
                        .sized(&[1; 32]),
                ),
        ),
        (
            "PolicyNV",
            Command::new(cc::POLICY_NV)
                .handle(rh::OWNER)
                .handle(INDEX)
                .handle(SESSION)
                .password(&[])
                .with(Fields::new().sized(&[0; 8]).u16(0).u16(0)),
        ),
        (
            "PolicyPCR",
            Command::new(cc::POLICY_PCR)
                .handle(SESSION)
                .with(pcr(Fields::new().sized(&[]))),
        ),
        (
            "PolicyOR",
            Command::new(cc::POLICY_OR)
                .handle(SESSION)
                .with(Fields::new().u32(2).sized(&[0; 32]).sized(&[1; 32])),
        ),
        (
            "PolicyCounterTimer",
            Command::new(cc::POLICY_COUNTER_TIMER)
                .handle(SESSION)
                .with(Fields::new().sized(&[0; 4]).u16(0).u16(0)),
        ),
        (
            "PolicyAuthorize",
            Command::new(cc::POLICY_AUTHORIZE).handle(SESSION).with(
                Fields::new()
                    .sized(&[0; 32])
                    .sized(&[])
                    .sized(&[0, 11, 1])
                    .raw(&ticket(0x8022).0),
            ),
        ),
        (
            "PolicyGetDigest",
            Command::new(cc::POLICY_GET_DIGEST).handle(SESSION),
        ),
        (
            "NV_ReadPublic",
            Command::new(cc::NV_READ_PUBLIC).handle(INDEX),
        ),
        (
            "NV_Read",
            Command::new(cc::NV_READ)
                .handle(rh::OWNER)
                .handle(INDEX)
                .password(&[])
                .with(Fields::new().u16(8).u16(0)),
        ),
        (
            "NV_DefineSpace",
            Command::new(cc::NV_DEFINE_SPACE)
                .handle(rh::OWNER)
                .password(&[])
                .with(
                    Fields::new().sized(&[]).sized(
                        &Fields::new()
                            .u32(0x0150_0002)
                            .u16(alg::SHA256)
                            .u32(0x0206_0006)
                            .sized(&[])
                            .u16(8)
                            .0,
                    ),
                ),
        ),
        (
            "NV_ChangeAuth",
            Command::new(cc::NV_CHANGE_AUTH)
                .handle(INDEX)
                .password(&[])
                .with(Fields::new().sized(b"a")),
        ),
        (
            "HierarchyChangeAuth",
            Command::new(cc::HIERARCHY_CHANGE_AUTH)
                .handle(rh::NULL)
                .password(&[])
                .with(Fields::new().sized(b"a")),
        ),
        (
            "HierarchyControl",
            Command::new(cc::HIERARCHY_CONTROL)
                .handle(rh::PLATFORM)
                .password(&[])
                .with(Fields::new().u32(rh::OWNER).u8(1)),
        ),
        (
            "SetPrimaryPolicy",
            Command::new(cc::SET_PRIMARY_POLICY)
                .handle(rh::OWNER)
                .password(&[])
                .with(Fields::new().sized(&[1; 32]).u16(alg::SHA256)),
        ),
        (
            "ClearControl",
            Command::new(cc::CLEAR_CONTROL)
                .handle(rh::PLATFORM)
                .password(&[])
                .with(Fields::new().u8(0)),
        ),
        (
            "ClockSet",
            Command::new(cc::CLOCK_SET)
                .handle(rh::OWNER)
                .password(&[])
                .with(Fields::new().u64(0)),
        ),
        (
            "ClockRateAdjust",
            Command::new(cc::CLOCK_RATE_ADJUST)
                .handle(rh::OWNER)
                .password(&[])
                .with(Fields::new().u8(0)),
        ),
        (
            "DictionaryAttackLockReset",
            Command::new(cc::DICTIONARY_ATTACK_LOCK_RESET)
                .handle(rh::LOCKOUT)
                .password(&[]),
        ),
        (
            "DictionaryAttackParameters",
            Command::new(cc::DICTIONARY_ATTACK_PARAMETERS)
                .handle(rh::LOCKOUT)
                .password(&[])
                .with(Fields::new().u32(3).u32(1000).u32(1000)),
        ),
        (
            "PCR_SetAuthPolicy",
            Command::new(cc::PCR_SET_AUTH_POLICY)
                .handle(rh::PLATFORM)
                .password(&[])
                .with(Fields::new().sized(&[1; 32]).u16(alg::SHA256).u32(20)),
        ),
        (
            "PCR_SetAuthValue",
            Command::new(cc::PCR_SET_AUTH_VALUE)
                .handle(20)
                .password(&[])
                .with(Fields::new().sized(b"a")),
        ),
        (
            "SetCommandCodeAuditStatus",
            Command::new(cc::SET_COMMAND_CODE_AUDIT_STATUS)
                .handle(rh::OWNER)
                .password(&[])
                .with(Fields::new().u16(alg::NULL).u32(1).u32(cc::UNSEAL).u32(0)),
        ),
        (
            "GetCommandAuditDigest",
            Command::new(cc::GET_COMMAND_AUDIT_DIGEST)
                .handle(rh::ENDORSEMENT)
                .handle(KEY)
                .password(&[])
                .password(&[])
                .with(scheme(Fields::new().sized(b"n"))),
        ),
        (
            "EC_Ephemeral",
            Command::new(cc::EC_EPHEMERAL).with(Fields::new().u16(3)),
        ),
        (
            "Commit",
            Command::new(cc::COMMIT)
                .handle(KEY)
                .password(&[])
                .with(Fields::new().sized(&[]).sized(&[]).sized(&[])),
        ),
        (
            "ECC_Parameters",
            Command::new(cc::ECC_PARAMETERS).with(Fields::new().u16(3)),
        ),
    ]
}

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
    const OTHERS: [u32; 14] = [
        0,
        23,
        24,
        0x0100_0000,
        0x0150_0009,
        0x0200_0000,
        0x0300_0000,
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
