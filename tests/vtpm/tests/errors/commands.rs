//! Commands as they should be.

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{alg, cc, rh};
use vtpm_tests::pair::start_session;

use super::{INDEX, KEY, SESSION};

/// A command of each kind, as it should be; of most a cut one changes nothing.
pub(crate) fn right() -> Vec<(&'static str, Command)> {
    [general(), super::objects::right(), sessions_and_state()].concat()
}

fn general() -> Vec<(&'static str, Command)> {
    let pcr = |fields: Fields| fields.pcrs(alg::SHA256, &[1]);
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
    ]
}

/// Sessions, NV, hierarchies, the clock and audit; and what came to the list last.
fn sessions_and_state() -> Vec<(&'static str, Command)> {
    let pcr = |fields: Fields| fields.pcrs(alg::SHA256, &[1]);
    let ticket = |tag: u16| Fields::new().u16(tag).u32(rh::NULL).sized(&[]);
    let scheme = |fields: Fields| fields.u16(alg::ECDSA).u16(alg::SHA256);
    vec![
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
