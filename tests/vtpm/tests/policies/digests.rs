//! The digests of policy commands, in trial sessions of all hash algorithms.

use super::*;

#[test]
fn simple_digests_of_all_hashes() {
    for (hash, size) in HASHES {
        let mut pair = Pair::new();
        let digests = |count: u32| {
            (0..count).fold(Fields::new().u32(count), |fields, number| {
                fields.sized(&vec![number as u8; size])
            })
        };
        let pcr = |pcrs: &[u8]| Fields::new().sized(&[]).pcrs(alg::SHA256, pcrs);
        for kind in [se::TRIAL, se::POLICY] {
            let cases: Vec<(&str, u32, Fields)> = vec![
                ("nothing", cc::POLICY_RESTART, Fields::new()),
                ("AuthValue", cc::POLICY_AUTH_VALUE, Fields::new()),
                ("Password", cc::POLICY_PASSWORD, Fields::new()),
                (
                    "CommandCode",
                    cc::POLICY_COMMAND_CODE,
                    Fields::new().u32(cc::UNSEAL),
                ),
                (
                    "CommandCode of no command",
                    cc::POLICY_COMMAND_CODE,
                    Fields::new().u32(0x1fff),
                ),
                ("Locality 1", cc::POLICY_LOCALITY, Fields::new().u8(1)),
                (
                    "Locality 3 of them",
                    cc::POLICY_LOCALITY,
                    Fields::new().u8(7),
                ),
                ("Locality none", cc::POLICY_LOCALITY, Fields::new().u8(0)),
                (
                    "Locality extended",
                    cc::POLICY_LOCALITY,
                    Fields::new().u8(40),
                ),
                (
                    "Locality extended, of a kind",
                    cc::POLICY_LOCALITY,
                    Fields::new().u8(0xff),
                ),
                (
                    "PhysicalPresence",
                    cc::POLICY_PHYSICAL_PRESENCE,
                    Fields::new(),
                ),
                ("NvWritten yes", cc::POLICY_NV_WRITTEN, Fields::new().u8(1)),
                ("NvWritten no", cc::POLICY_NV_WRITTEN, Fields::new().u8(0)),
                (
                    "NvWritten maybe",
                    cc::POLICY_NV_WRITTEN,
                    Fields::new().u8(2),
                ),
                (
                    "CpHash",
                    cc::POLICY_CP_HASH,
                    Fields::new().sized(&vec![1; size]),
                ),
                (
                    "CpHash, short",
                    cc::POLICY_CP_HASH,
                    Fields::new().sized(&vec![1; size - 1]),
                ),
                (
                    "CpHash, empty",
                    cc::POLICY_CP_HASH,
                    Fields::new().sized(&[]),
                ),
                (
                    "NameHash",
                    cc::POLICY_NAME_HASH,
                    Fields::new().sized(&vec![2; size]),
                ),
                (
                    "NameHash, long",
                    cc::POLICY_NAME_HASH,
                    Fields::new().sized(&vec![2; size + 1]),
                ),
                (
                    "Template",
                    cc::POLICY_TEMPLATE,
                    Fields::new().sized(&vec![3; size]),
                ),
                (
                    "Template, empty",
                    cc::POLICY_TEMPLATE,
                    Fields::new().sized(&[]),
                ),
                ("OR of 1", cc::POLICY_OR, digests(1)),
                ("OR of 2", cc::POLICY_OR, digests(2)),
                ("OR of 8", cc::POLICY_OR, digests(8)),
                ("OR of 9", cc::POLICY_OR, digests(9)),
                (
                    "OR with nothing",
                    cc::POLICY_OR,
                    Fields::new()
                        .u32(2)
                        .sized(&vec![0; size])
                        .sized(&vec![0; size]),
                ),
                ("PCR 0", cc::POLICY_PCR, pcr(&[0])),
                ("PCR 0, 7, 23", cc::POLICY_PCR, pcr(&[0, 7, 23])),
                ("PCR none", cc::POLICY_PCR, pcr(&[])),
                (
                    "PCR, no selection",
                    cc::POLICY_PCR,
                    Fields::new().sized(&[]).u32(0),
                ),
                (
                    "PCR, no bank",
                    cc::POLICY_PCR,
                    Fields::new()
                        .sized(&[])
                        .u32(1)
                        .u16(0x66)
                        .u8(3)
                        .raw(&[1, 0, 0]),
                ),
                (
                    "PCR, a given digest",
                    cc::POLICY_PCR,
                    Fields::new().sized(&vec![9; size]).pcrs(alg::SHA1, &[1]),
                ),
                (
                    "PCR, a short digest",
                    cc::POLICY_PCR,
                    Fields::new().sized(&[9; 5]).pcrs(alg::SHA1, &[1]),
                ),
                (
                    "CounterTimer",
                    cc::POLICY_COUNTER_TIMER,
                    Fields::new().sized(&[0; 8]).u16(0).u16(2),
                ),
                (
                    "CounterTimer of clock",
                    cc::POLICY_COUNTER_TIMER,
                    Fields::new().sized(&[0xff; 8]).u16(8).u16(6),
                ),
                (
                    "CounterTimer beyond",
                    cc::POLICY_COUNTER_TIMER,
                    Fields::new().sized(&[0; 8]).u16(20).u16(2),
                ),
                (
                    "CounterTimer, no operation",
                    cc::POLICY_COUNTER_TIMER,
                    Fields::new().sized(&[0; 8]).u16(0).u16(12),
                ),
                (
                    "DuplicationSelect",
                    cc::POLICY_DUPLICATION_SELECT,
                    Fields::new().sized(&[4; 34]).sized(&[5; 34]).u8(1),
                ),
                (
                    "DuplicationSelect, without",
                    cc::POLICY_DUPLICATION_SELECT,
                    Fields::new().sized(&[4; 34]).sized(&[5; 34]).u8(0),
                ),
                (
                    "DuplicationSelect, 2",
                    cc::POLICY_DUPLICATION_SELECT,
                    Fields::new().sized(&[4; 34]).sized(&[5; 34]).u8(2),
                ),
                (
                    "Authorize",
                    cc::POLICY_AUTHORIZE,
                    Fields::new()
                        .sized(&vec![0; size])
                        .sized(b"ref")
                        .sized(&[0, 11, 1, 2])
                        .raw(&null_ticket(0x8022).0),
                ),
                (
                    "Authorize, no name",
                    cc::POLICY_AUTHORIZE,
                    Fields::new()
                        .sized(&[])
                        .sized(b"ref")
                        .sized(&[])
                        .raw(&null_ticket(0x8022).0),
                ),
                (
                    "Authorize, other tag",
                    cc::POLICY_AUTHORIZE,
                    Fields::new()
                        .sized(&[])
                        .sized(b"ref")
                        .sized(&[])
                        .raw(&null_ticket(0x8021).0),
                ),
                (
                    "Ticket",
                    cc::POLICY_TICKET,
                    Fields::new()
                        .sized(&[0; 8])
                        .sized(&[])
                        .sized(b"r")
                        .sized(&[0, 11])
                        .raw(&null_ticket(0x8025).0),
                ),
            ];
            let session = pair.session(kind, hash);
            for (what, code, fields) in cases {
                let what = format!("{what} ({kind}, {hash:#x})");
                let restart = Command::new(cc::POLICY_RESTART).handle(session);
                pair.same("restart", &restart);
                pair.same(&what, &on(code, session, fields.clone()));
                pair.same(&format!("digest of {what}"), &digest(session));
                // A second time, on what the first one left.
                pair.same(&format!("{what} again"), &on(code, session, fields));
                pair.same(&format!("digest of {what} again"), &digest(session));
            }
            pair.flush(session);
        }
        pair.finish();
    }
}
