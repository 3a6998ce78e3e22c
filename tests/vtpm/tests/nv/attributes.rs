//! Attributes of NV indices that contradict each other.

use super::*;

#[test]
fn attributes_that_cannot_be() {
    let mut pair = Pair::new();
    let rights = OWNERWRITE | OWNERREAD;
    for (what, attributes, size) in [
        ("nothing", 0, 8),
        ("read only", OWNERREAD, 8),
        ("write only", OWNERWRITE, 8),
        ("written", rights | WRITTEN, 8),
        ("read locked", rights | READLOCKED, 8),
        ("write locked", rights | WRITELOCKED, 8),
        ("reserved bit", rights | 1 << 8, 8),
        ("reserved bit 20", rights | 1 << 20, 8),
        ("platform's", rights | PLATFORMCREATE, 8),
        ("policy delete", rights | POLICY_DELETE, 8),
        (
            "platform's, policy delete",
            rights | PLATFORMCREATE | POLICY_DELETE,
            8,
        ),
        ("counter of 7", rights | COUNTER, 7),
        ("counter", rights | COUNTER, 8),
        ("counter, clear", rights | COUNTER | CLEAR_STCLEAR, 8),
        ("counter, orderly", rights | COUNTER | ORDERLY, 8),
        ("bits of 9", rights | BITS, 9),
        ("bits", rights | BITS, 8),
        ("extend of 20", rights | EXTEND, 20),
        ("extend", rights | EXTEND, 32),
        ("type 3", rights | 3 << 4, 8),
        ("type 15", rights | 15 << 4, 8),
        ("PIN fail", rights | PIN_FAIL, 8),
        ("PIN fail, no DA", rights | PIN_FAIL | NO_DA, 8),
        (
            "PIN fail, no DA, auth write",
            rights | PIN_FAIL | NO_DA | AUTHWRITE,
            8,
        ),
        ("PIN fail of 7", rights | PIN_FAIL | NO_DA, 7),
        ("PIN pass", rights | PIN_PASS, 8),
        ("PIN pass, auth write", rights | PIN_PASS | AUTHWRITE, 8),
        (
            "write all and global lock",
            rights | WRITEALL | GLOBALLOCK,
            8,
        ),
        ("write define", rights | WRITEDEFINE, 8),
        (
            "write define and stclear",
            rights | WRITEDEFINE | WRITE_STCLEAR,
            8,
        ),
        ("clear", rights | CLEAR_STCLEAR, 8),
        ("clear and define", rights | CLEAR_STCLEAR | WRITEDEFINE, 8),
        ("clear, of 600", rights | CLEAR_STCLEAR, 600),
        ("orderly", rights | ORDERLY, 8),
        ("orderly of 600", rights | ORDERLY, 600),
        ("of nothing", rights, 0),
        ("of 2048", rights, 2048),
        ("of 2049", rights, 2049),
        ("of 65535", rights, 65535),
        ("policy", POLICYREAD | POLICYWRITE, 8),
        ("platform's rights", PPREAD | PPWRITE, 8),
    ] {
        let code = pair.code(what, &define(attributes, size));
        if code == 0 {
            pair.same(&format!("name of {what}"), &name());
            pair.same("undefine", &undefine(INDEX));
        }
        let by_platform = define_by(rh::PLATFORM, INDEX, alg::SHA256, attributes, &[], size);
        let code = pair.code(&format!("{what}, by the platform"), &by_platform);
        if code == 0 {
            pair.same(&format!("name of {what}"), &name());
            let undefine = Command::new(cc::NV_UNDEFINE_SPACE)
                .handle(rh::PLATFORM)
                .handle(INDEX)
                .password(&[]);
            pair.same(&format!("undefine {what}"), &undefine);
        }
    }
    for (what, command) in [
        (
            "no hash",
            define_by(rh::OWNER, INDEX, alg::NULL, OWNER, &[], 8),
        ),
        (
            "not a hash",
            define_by(rh::OWNER, INDEX, 0x66, OWNER, &[], 8),
        ),
        (
            "short policy",
            define_by(rh::OWNER, INDEX, alg::SHA256, OWNER, &[1; 20], 8),
        ),
        (
            "long policy",
            define_by(rh::OWNER, INDEX, alg::SHA256, OWNER, &[1; 48], 8),
        ),
        (
            "no NV handle",
            define_by(rh::OWNER, 0x8000_0000, alg::SHA256, OWNER, &[], 8),
        ),
        (
            "by the lockout",
            define_by(rh::LOCKOUT, INDEX, alg::SHA256, OWNER, &[], 8),
        ),
        (
            "by endorsement",
            define_by(rh::ENDORSEMENT, INDEX, alg::SHA256, OWNER, &[], 8),
        ),
    ] {
        pair.same(what, &command);
    }
    for (hash, size) in HASHES {
        pair.same(
            "define",
            &define_by(rh::OWNER, INDEX, hash, OWNER, &vec![7; size], 8),
        );
        pair.same("name", &name());
        pair.same("undefine", &undefine(INDEX));
    }
    pair.finish();
}
