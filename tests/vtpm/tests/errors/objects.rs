//! Commands on objects and sequences as they should be.

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{alg, cc, rh};
use vtpm_tests::templates::{attribute, create, create_primary, keyedhash};

use super::{INDEX, KEY, PRIMARY, SESSION};

pub(crate) fn right() -> Vec<(&'static str, Command)> {
    let pcr = |fields: Fields| fields.pcrs(alg::SHA256, &[1]);
    let ticket = |tag: u16| Fields::new().u16(tag).u32(rh::NULL).sized(&[]);
    let sealed = keyedhash(attribute::USER_WITH_AUTH, alg::NULL, &[]);
    let scheme = |fields: Fields| fields.u16(alg::ECDSA).u16(alg::SHA256);
    vec![
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
    ]
}
