//! NV indices of every kind, with their names and their errors.

mod attributes;

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{HASHES, alg, cc, rh};
use vtpm_tests::pair::Pair;

mod attribute {
    pub(super) const PPWRITE: u32 = 1;
    pub(super) const OWNERWRITE: u32 = 1 << 1;
    pub(super) const AUTHWRITE: u32 = 1 << 2;
    pub(super) const POLICYWRITE: u32 = 1 << 3;
    pub(super) const COUNTER: u32 = 1 << 4;
    pub(super) const BITS: u32 = 2 << 4;
    pub(super) const EXTEND: u32 = 4 << 4;
    pub(super) const PIN_FAIL: u32 = 8 << 4;
    pub(super) const PIN_PASS: u32 = 9 << 4;
    pub(super) const POLICY_DELETE: u32 = 1 << 10;
    pub(super) const WRITELOCKED: u32 = 1 << 11;
    pub(super) const WRITEALL: u32 = 1 << 12;
    pub(super) const WRITEDEFINE: u32 = 1 << 13;
    pub(super) const WRITE_STCLEAR: u32 = 1 << 14;
    pub(super) const GLOBALLOCK: u32 = 1 << 15;
    pub(super) const PPREAD: u32 = 1 << 16;
    pub(super) const OWNERREAD: u32 = 1 << 17;
    pub(super) const AUTHREAD: u32 = 1 << 18;
    pub(super) const POLICYREAD: u32 = 1 << 19;
    pub(super) const NO_DA: u32 = 1 << 25;
    pub(super) const ORDERLY: u32 = 1 << 26;
    pub(super) const CLEAR_STCLEAR: u32 = 1 << 27;
    pub(super) const READLOCKED: u32 = 1 << 28;
    pub(super) const WRITTEN: u32 = 1 << 29;
    pub(super) const PLATFORMCREATE: u32 = 1 << 30;
    pub(super) const READ_STCLEAR: u32 = 1 << 31;
    pub(super) const OWNER: u32 = OWNERWRITE | OWNERREAD | AUTHWRITE | AUTHREAD | NO_DA;
}
use attribute::*;

const INDEX: u32 = 0x0150_0010;

fn define_by(
    who: u32,
    index: u32,
    hash: u16,
    attributes: u32,
    policy: &[u8],
    size: u16,
) -> Command {
    let public = Fields::new()
        .u32(index)
        .u16(hash)
        .u32(attributes)
        .sized(policy)
        .u16(size);
    Command::new(cc::NV_DEFINE_SPACE)
        .handle(who)
        .password(&[])
        .with(Fields::new().sized(b"nv").sized(&public.0))
}

fn define(attributes: u32, size: u16) -> Command {
    define_by(rh::OWNER, INDEX, alg::SHA256, attributes, &[], size)
}

fn undefine(index: u32) -> Command {
    Command::new(cc::NV_UNDEFINE_SPACE)
        .handle(rh::OWNER)
        .handle(index)
        .password(&[])
}

fn on(code: u32, fields: Fields) -> Command {
    Command::new(code)
        .handle(rh::OWNER)
        .handle(INDEX)
        .password(&[])
        .with(fields)
}

fn write(data: &[u8], offset: u16) -> Command {
    on(cc::NV_WRITE, Fields::new().sized(data).u16(offset))
}

fn read(size: u16, offset: u16) -> Command {
    on(cc::NV_READ, Fields::new().u16(size).u16(offset))
}

fn name() -> Command {
    Command::new(cc::NV_READ_PUBLIC).handle(INDEX)
}

#[test]
fn ordinary_data() {
    let mut pair = Pair::new();
    pair.same("no index", &name());
    pair.same("define", &define(OWNER, 16));
    pair.same("again", &define(OWNER, 16));
    pair.same("public", &name());
    pair.same("not written", &read(16, 0));
    pair.same("write", &write(&[1, 2, 3, 4], 0));
    pair.same("public after the write", &name());
    for (size, offset) in [
        (16, 0),
        (4, 0),
        (4, 2),
        (0, 0),
        (1, 15),
        (1, 16),
        (0, 16),
        (17, 0),
        (0xffff, 0),
        (1, 0xffff),
    ] {
        pair.same(&format!("read {size} at {offset}"), &read(size, offset));
    }
    for (data, offset) in [
        (&[5_u8; 16][..], 0),
        (&[6], 15),
        (&[6], 16),
        (&[], 0),
        (&[], 16),
        (&[7; 17], 0),
        (&[7], 0xffff),
    ] {
        pair.same(
            &format!("write {} at {offset}", data.len()),
            &write(data, offset),
        );
    }
    pair.same("read", &read(16, 0));
    for code in [cc::NV_INCREMENT, cc::NV_READ_LOCK, cc::NV_WRITE_LOCK] {
        pair.same(&format!("{code:#x}"), &on(code, Fields::new()));
    }
    pair.same("extend", &on(cc::NV_EXTEND, Fields::new().sized(&[1])));
    pair.same("bits", &on(cc::NV_SET_BITS, Fields::new().u64(1)));
    let by_itself = |password: &[u8]| {
        let fields = Fields::new().u16(4).u16(0);
        Command::new(cc::NV_READ)
            .handle(INDEX)
            .handle(INDEX)
            .password(password)
            .with(fields)
    };
    pair.same("by itself", &by_itself(b"nv"));
    pair.same("by itself, wrong", &by_itself(b"vn"));
    let platform = Fields::new().u16(4).u16(0);
    let platform = Command::new(cc::NV_READ)
        .handle(rh::PLATFORM)
        .handle(INDEX)
        .password(&[])
        .with(platform);
    pair.same("by the platform", &platform);
    pair.same(
        "undefine by the platform",
        &Command::new(cc::NV_UNDEFINE_SPACE)
            .handle(rh::PLATFORM)
            .handle(INDEX)
            .password(&[]),
    );
    pair.same("undefine", &undefine(INDEX));
    pair.same("undefine again", &undefine(INDEX));
    pair.same("read", &read(1, 0));
    pair.finish();
}

#[test]
fn counters_bits_and_extends() {
    let mut pair = Pair::new();
    pair.same("define", &define(OWNER | COUNTER, 8));
    pair.same("not written", &read(8, 0));
    for _ in 0..3 {
        pair.same("increment", &on(cc::NV_INCREMENT, Fields::new()));
        pair.same("read", &read(8, 0));
    }
    pair.same("write", &write(&[0; 8], 0));
    pair.same("name", &name());
    pair.same("undefine", &undefine(INDEX));
    // A new counter starts where the old one was.
    pair.same("define", &define(OWNER | COUNTER, 8));
    pair.same("increment", &on(cc::NV_INCREMENT, Fields::new()));
    pair.same("read", &read(8, 0));
    pair.same("undefine", &undefine(INDEX));

    pair.same("define", &define(OWNER | BITS, 8));
    for bits in [0, 5, 0x8000_0000_0000_0000, 5] {
        pair.same("set", &on(cc::NV_SET_BITS, Fields::new().u64(bits)));
        pair.same("read", &read(8, 0));
    }
    pair.same("part", &read(1, 7));
    pair.same("undefine", &undefine(INDEX));

    for (hash, size) in HASHES {
        pair.same(
            "define",
            &define_by(rh::OWNER, INDEX, hash, OWNER | EXTEND, &[], size as u16),
        );
        for data in [&b"a"[..], &[], &[9; 1024]] {
            pair.same("extend", &on(cc::NV_EXTEND, Fields::new().sized(data)));
            pair.same("read", &read(size as u16, 0));
        }
        pair.same("name", &name());
        pair.same("undefine", &undefine(INDEX));
    }
    pair.finish();
}

#[test]
fn pins() {
    let mut pair = Pair::new();
    let use_it = |password: &[u8]| {
        let fields = Fields::new().u16(8).u16(0);
        Command::new(cc::NV_READ)
            .handle(INDEX)
            .handle(INDEX)
            .password(password)
            .with(fields)
    };
    let secret = |password: &[u8], session: u32| {
        let fields = Fields::new().sized(&[]).sized(&[]).sized(&[]).u32(0);
        Command::new(cc::POLICY_SECRET)
            .handle(INDEX)
            .handle(session)
            .password(password)
            .with(fields)
    };
    for kind in [PIN_PASS, PIN_FAIL] {
        pair.same(
            "define",
            &define(OWNERWRITE | OWNERREAD | AUTHREAD | NO_DA | kind, 8),
        );
        pair.same("not written", &use_it(b"nv"));
        pair.same("count 0 of 2", &write(&[0, 0, 0, 0, 0, 0, 0, 2], 0));
        let session = pair.session(1, alg::SHA256);
        for password in [&b"nv"[..], b"no", b"nv", b"no", b"no", b"nv", b"nv"] {
            pair.same(&format!("use of {kind:#x}"), &use_it(password));
            pair.same(&format!("count of {kind:#x}"), &read(8, 0));
            pair.same_code(&format!("secret of {kind:#x}"), &secret(password, session));
            pair.same(&format!("count of {kind:#x}"), &read(8, 0));
        }
        pair.flush(session);
        pair.same("undefine", &undefine(INDEX));
    }
    pair.finish();
}

#[test]
fn locks() {
    let mut pair = Pair::new();
    let global = Command::new(cc::NV_GLOBAL_WRITE_LOCK)
        .handle(rh::OWNER)
        .password(&[]);
    for attributes in [
        WRITEDEFINE,
        WRITE_STCLEAR,
        READ_STCLEAR,
        GLOBALLOCK,
        WRITEALL,
        CLEAR_STCLEAR,
    ] {
        let what = format!("{attributes:#x}");
        pair.same(&what, &define(OWNER | attributes, 8));
        pair.same(&what, &on(cc::NV_READ_LOCK, Fields::new()));
        pair.same(&what, &on(cc::NV_WRITE_LOCK, Fields::new()));
        pair.same(&what, &name());
        pair.same(&what, &write(&[1; 4], 0));
        pair.same(&what, &write(&[1; 8], 0));
        pair.same(&what, &on(cc::NV_READ_LOCK, Fields::new()));
        pair.same(&what, &read(8, 0));
        pair.same(&what, &on(cc::NV_WRITE_LOCK, Fields::new()));
        pair.same(&what, &write(&[2; 8], 0));
        pair.same(&what, &name());
        pair.same(&what, &global);
        pair.same(&what, &write(&[3; 8], 0));
        pair.same(&what, &name());
        pair.code(
            "Shutdown",
            &Command::new(cc::SHUTDOWN).with(Fields::new().u16(0)),
        );
        pair.reset();
        pair.startup(0);
        pair.same(&format!("{what} after reset"), &name());
        pair.same(&format!("{what} after reset"), &write(&[4; 8], 0));
        pair.same(&format!("{what} after reset"), &read(8, 0));
        pair.same("undefine", &undefine(INDEX));
    }
    pair.finish();
}

#[test]
fn passwords() {
    let mut pair = Pair::new();
    pair.same("define", &define(OWNER, 8));
    let change = |old: &[u8], new: &[u8]| {
        Command::new(cc::NV_CHANGE_AUTH)
            .handle(INDEX)
            .password(old)
            .with(Fields::new().sized(new))
    };
    // The ADMIN role: a password will not do.
    pair.same("change", &change(b"nv", b"new"));
    let by_itself = |password: &[u8]| {
        let fields = Fields::new().sized(&[1; 8]).u16(0);
        Command::new(cc::NV_WRITE)
            .handle(INDEX)
            .handle(INDEX)
            .password(password)
            .with(fields)
    };
    pair.same("right", &by_itself(b"nv"));
    pair.same("trailing zeros", &by_itself(b"nv\0\0"));
    pair.same("wrong", &by_itself(b"vn"));
    pair.same("none", &by_itself(b""));
    pair.same("too long", &by_itself(&[1; 65]));
    pair.same(
        "policy without one",
        &Command::new(cc::NV_READ)
            .handle(INDEX)
            .handle(INDEX)
            .with(Fields::new().u16(1).u16(0)),
    );
    pair.same("undefine", &undefine(INDEX));
    let long = |length: usize| {
        let public = Fields::new()
            .u32(INDEX)
            .u16(alg::SHA256)
            .u32(OWNER)
            .sized(&[])
            .u16(8);
        Command::new(cc::NV_DEFINE_SPACE)
            .handle(rh::OWNER)
            .password(&[])
            .with(Fields::new().sized(&vec![1; length]).sized(&public.0))
    };
    pair.same("password of 33", &long(33));
    pair.same("password of 32", &long(32));
    pair.finish();
}

#[test]
fn special_undefine_needs_a_policy() {
    let mut pair = Pair::new();
    let session = pair.trial();
    let code = Command::new(cc::POLICY_COMMAND_CODE)
        .handle(session)
        .with(Fields::new().u32(cc::NV_UNDEFINE_SPACE_SPECIAL));
    pair.same("policy", &code);
    let response = pair.same(
        "digest",
        &Command::new(cc::POLICY_GET_DIGEST).handle(session),
    );
    let policy = response.body(0).sized().to_vec();
    pair.flush(session);
    let attributes = PPREAD | PPWRITE | PLATFORMCREATE | POLICY_DELETE | NO_DA;
    pair.same(
        "define",
        &define_by(rh::PLATFORM, INDEX, alg::SHA256, attributes, &policy, 8),
    );
    pair.same(
        "undefine",
        &Command::new(cc::NV_UNDEFINE_SPACE)
            .handle(rh::PLATFORM)
            .handle(INDEX)
            .password(&[]),
    );
    let special = |index: u32| {
        Command::new(cc::NV_UNDEFINE_SPACE_SPECIAL)
            .handle(index)
            .handle(rh::PLATFORM)
    };
    pair.same(
        "with a password",
        &special(INDEX).password(b"nv").password(&[]),
    );
    let session = pair.session(1, alg::SHA256);
    pair.same_code(
        "with an empty policy",
        &special(INDEX).policy(session).password(&[]),
    );
    let code = Command::new(cc::POLICY_COMMAND_CODE)
        .handle(session)
        .with(Fields::new().u32(cc::NV_UNDEFINE_SPACE_SPECIAL));
    pair.same("policy", &code);
    pair.same_code(
        "with the policy",
        &special(INDEX).policy(session).password(&[]),
    );
    pair.same("gone", &name());
    pair.finish();
}
