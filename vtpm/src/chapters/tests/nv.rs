//! NV indices, hierarchies, dictionary attacks and the clock.

use super::keys::TestTpm;
use crate::crypto::hash::HashAlg;
use crate::rc::Rc;
use crate::testing::{Command, Response, reset, run, started};
use crate::wire::*;
use std::vec::Vec;

const INDEX: Handle = Handle(0x0180_0001);
/// Written and read with the index's auth value and the owner's, no DA.
const PLAIN: u32 = 0x0206_0006;

fn public(attributes: u32, size: u16) -> NvPublic {
    NvPublic {
        index: RhNvIndex(INDEX),
        name_alg: HashAlg::Sha256,
        attributes: NvAttributes(attributes),
        auth_policy: Tpm2bDigest::empty(),
        data_size: size,
    }
}

fn define_by(tpm: &mut TestTpm, auth: Handle, public: NvPublic) -> Rc {
    let command = Command::new(0x12A)
        .auth(auth, b"")
        .with(&Tpm2bAuth::new(b"pin").unwrap())
        .with(&Sized2b(public));
    run(tpm, &command).rc
}

fn define(tpm: &mut TestTpm, attributes: u32, size: u16) {
    let rc = define_by(tpm, Handle::OWNER, public(attributes, size));
    assert_eq!(rc, Rc::SUCCESS);
}

/// A command on the index, authorized by its auth value.
fn on(code: u32) -> Command {
    Command::new(code).auth(INDEX, b"pin").handle(INDEX)
}

fn write(data: &[u8], offset: u16) -> Command {
    on(0x137)
        .with(&Tpm2bMaxNvBuffer::new(data).unwrap())
        .with(&offset)
}

fn read(size: u16, offset: u16) -> Command {
    on(0x14E).with(&size).with(&offset)
}

fn data(response: &Response) -> Vec<u8> {
    assert_eq!(response.rc, Rc::SUCCESS);
    let data: Tpm2bMaxNvBuffer = Reader::new(&response.parameters).read().unwrap();
    data.to_vec()
}

fn expect(tpm: &mut TestTpm, command: &Command, rc: Rc) {
    assert_eq!(run(tpm, command).rc, rc);
}

#[test]
fn data_is_written_read_and_kept() {
    let mut tpm = started(1);
    define(&mut tpm, PLAIN, 8);
    let again = define_by(&mut tpm, Handle::OWNER, public(PLAIN, 8));
    assert_eq!(again, Rc::NV_DEFINED);
    expect(&mut tpm, &read(8, 0), Rc::NV_UNINITIALIZED);
    expect(&mut tpm, &write(b"abc", 2), Rc::SUCCESS);
    assert_eq!(
        data(&run(&mut tpm, &read(8, 0))),
        b"\xFF\xFFabc\xFF\xFF\xFF"
    );
    expect(&mut tpm, &write(b"abc", 6), Rc::NV_RANGE);
    expect(&mut tpm, &write(b"", 9), Rc::VALUE.parameter(2));
    expect(&mut tpm, &read(3, 6), Rc::NV_RANGE);
    expect(&mut tpm, &read(0, 9), Rc::VALUE.parameter(2));
    expect(&mut tpm, &read(1025, 0), Rc::VALUE.parameter(1));
    // The platform has no rights to it.
    let other = Command::new(0x14E)
        .auth(Handle::PLATFORM, b"")
        .handle(INDEX)
        .with(&3u16)
        .with(&2u16);
    expect(&mut tpm, &other, Rc::NV_AUTHORIZATION);
    reset(&mut tpm);
    assert_eq!(data(&run(&mut tpm, &read(3, 2))), b"abc");
    let undefine = Command::new(0x122).auth(Handle::OWNER, b"").handle(INDEX);
    expect(&mut tpm, &undefine, Rc::SUCCESS);
    expect(&mut tpm, &read(3, 2), Rc::HANDLE.handle(1));
}

#[test]
fn nonsense_is_not_defined() {
    let mut tpm = started(2);
    let mut rc = |attributes, size| define_by(&mut tpm, Handle::OWNER, public(attributes, size));
    let attributes = Rc::ATTRIBUTES.parameter(2);
    assert_eq!(rc(0x0006_0000, 8), attributes, "no writer");
    assert_eq!(rc(0x0000_0006, 8), attributes, "no reader");
    assert_eq!(rc(PLAIN | 0x30, 8), attributes, "type 3");
    assert_eq!(rc(PLAIN | 1 << 29, 8), attributes, "written");
    assert_eq!(rc(PLAIN | 1 << 10, 8), attributes, "policy delete");
    assert_eq!(rc(PLAIN | 0x10 | 1 << 27, 8), attributes, "counter cleared");
    assert_eq!(rc(PLAIN | 1 << 30, 8), Rc::ATTRIBUTES.handle(1));
    assert_eq!(rc(PLAIN | 0x10, 7), Rc::SIZE.parameter(2));
    assert_eq!(rc(PLAIN | 0x40, 20), Rc::SIZE.parameter(2));
    assert_eq!(rc(PLAIN, 2049), Rc::SIZE.parameter(2));
    assert_eq!(
        rc(PLAIN | 0x80, 8),
        attributes,
        "a PIN that is its own writer"
    );
    assert_eq!(rc(PLAIN, 2048), Rc::SUCCESS);
}

#[test]
fn counters_never_come_back() {
    let mut tpm = started(3);
    let value = |tpm: &mut TestTpm| {
        let bytes = data(&run(tpm, &read(8, 0)));
        u64::from_be_bytes(bytes.try_into().unwrap())
    };
    define(&mut tpm, PLAIN | 0x10, 8);
    expect(&mut tpm, &write(&[0; 8], 0), Rc::ATTRIBUTES);
    for n in 1..=3 {
        expect(&mut tpm, &on(0x134), Rc::SUCCESS);
        assert_eq!(value(&mut tpm), n);
    }
    let undefine = Command::new(0x122).auth(Handle::OWNER, b"").handle(INDEX);
    expect(&mut tpm, &undefine, Rc::SUCCESS);
    define(&mut tpm, PLAIN | 0x10 | 1 << 26, 8);
    expect(&mut tpm, &on(0x134), Rc::SUCCESS);
    assert_eq!(value(&mut tpm), 4, "above what any counter was");
    expect(&mut tpm, &on(0x134), Rc::SUCCESS);
    // An orderly counter after a clean stop, and after one that was none.
    let shutdown = Command::new(0x145).with(&0u16);
    expect(&mut tpm, &shutdown, Rc::SUCCESS);
    reset(&mut tpm);
    assert_eq!(value(&mut tpm), 5);
    expect(&mut tpm, &on(0x134), Rc::SUCCESS);
    reset(&mut tpm);
    assert_eq!(value(&mut tpm), 255);
    expect(&mut tpm, &on(0x134), Rc::SUCCESS);
    reset(&mut tpm);
    assert_eq!(value(&mut tpm), 511);
}

#[test]
fn bits_are_set_and_digests_extended() {
    let mut tpm = started(4);
    define(&mut tpm, PLAIN | 0x20, 8);
    for bits in [1u64, 1 << 63] {
        expect(&mut tpm, &on(0x135).with(&bits), Rc::SUCCESS);
    }
    assert_eq!(
        data(&run(&mut tpm, &read(8, 0))),
        [0x80, 0, 0, 0, 0, 0, 0, 1]
    );
    expect(&mut tpm, &on(0x134), Rc::ATTRIBUTES.handle(2));
    let undefine = Command::new(0x122).auth(Handle::OWNER, b"").handle(INDEX);
    expect(&mut tpm, &undefine, Rc::SUCCESS);
    define(&mut tpm, PLAIN | 0x40, 32);
    let extend = on(0x136).with(&Tpm2bMaxNvBuffer::new(b"event").unwrap());
    expect(&mut tpm, &extend, Rc::SUCCESS);
    let expected = HashAlg::Sha256.digest(&[&[0; 32], b"event"]);
    assert_eq!(data(&run(&mut tpm, &read(32, 0))), expected[..]);
}

#[test]
fn locks_hold_until_the_start_that_ends_them() {
    let mut tpm = started(5);
    // WRITE_STCLEAR and READ_STCLEAR.
    define(&mut tpm, PLAIN | 1 << 14 | 1 << 31, 4);
    expect(&mut tpm, &write(b"once", 0), Rc::SUCCESS);
    for _ in 0..2 {
        expect(&mut tpm, &on(0x138), Rc::SUCCESS);
    }
    expect(&mut tpm, &write(b"more", 0), Rc::NV_LOCKED);
    for _ in 0..2 {
        expect(&mut tpm, &on(0x14F), Rc::SUCCESS);
    }
    expect(&mut tpm, &read(4, 0), Rc::NV_LOCKED);
    reset(&mut tpm);
    assert_eq!(data(&run(&mut tpm, &read(4, 0))), b"once");
    expect(&mut tpm, &write(b"more", 0), Rc::SUCCESS);
    let undefine = Command::new(0x122).auth(Handle::OWNER, b"").handle(INDEX);
    expect(&mut tpm, &undefine, Rc::SUCCESS);
    // WRITEDEFINE and GLOBALLOCK: for ever once written.
    define(&mut tpm, PLAIN | 1 << 13 | 1 << 15, 4);
    expect(&mut tpm, &on(0x14F), Rc::ATTRIBUTES.handle(2));
    expect(&mut tpm, &write(b"ever", 0), Rc::SUCCESS);
    let global = Command::new(0x132).auth(Handle::OWNER, b"");
    expect(&mut tpm, &global, Rc::SUCCESS);
    reset(&mut tpm);
    expect(&mut tpm, &write(b"more", 0), Rc::NV_LOCKED);
}

#[test]
fn failures_count_and_lock() {
    let mut tpm = started(6);
    // The same index, protected against dictionary attacks.
    define(&mut tpm, PLAIN & !(1 << 25), 4);
    let parameters = Command::new(0x13A)
        .auth(Handle::LOCKOUT, b"")
        .with(&2u32)
        .with(&100u32)
        .with(&100u32);
    expect(&mut tpm, &parameters, Rc::SUCCESS);
    let guess = Command::new(0x137)
        .auth(INDEX, b"nip")
        .handle(INDEX)
        .with(&Tpm2bMaxNvBuffer::empty())
        .with(&0u16);
    expect(&mut tpm, &guess, Rc::AUTH_FAIL.session(1));
    expect(&mut tpm, &guess, Rc::AUTH_FAIL.session(1));
    expect(&mut tpm, &write(b"data", 0), Rc::LOCKOUT);
    // Time heals one failure, the lockout's authority all.
    tpm.platform().now += 100_000;
    expect(&mut tpm, &write(b"data", 0), Rc::SUCCESS);
    expect(&mut tpm, &guess, Rc::AUTH_FAIL.session(1));
    expect(&mut tpm, &write(b"data", 0), Rc::LOCKOUT);
    let lock_reset = Command::new(0x139).auth(Handle::LOCKOUT, b"");
    expect(&mut tpm, &lock_reset, Rc::SUCCESS);
    expect(&mut tpm, &write(b"data", 0), Rc::SUCCESS);
    // A wrong guess at the lockout's own authority shuts that at once.
    let wrong = Command::new(0x139).auth(Handle::LOCKOUT, b"no");
    expect(&mut tpm, &wrong, Rc::AUTH_FAIL.session(1));
    expect(&mut tpm, &lock_reset, Rc::LOCKOUT);
    tpm.platform().now += 100_000;
    expect(&mut tpm, &lock_reset, Rc::SUCCESS);
}

#[test]
fn a_pin_counts_its_uses() {
    let mut tpm = started(7);
    // PIN pass, written by the owner, read with the PIN.
    define(&mut tpm, 0x0204_0002 | 0x90, 8);
    let set = Command::new(0x137)
        .auth(Handle::OWNER, b"")
        .handle(INDEX)
        .with(&Tpm2bMaxNvBuffer::new(&[0, 0, 0, 0, 0, 0, 0, 2]).unwrap())
        .with(&0u16);
    expect(&mut tpm, &read(8, 0), Rc::AUTH_UNAVAILABLE);
    expect(&mut tpm, &set, Rc::SUCCESS);
    assert_eq!(data(&run(&mut tpm, &read(8, 0)))[..4], [0, 0, 0, 1]);
    expect(&mut tpm, &read(8, 0), Rc::SUCCESS);
    expect(&mut tpm, &read(8, 0), Rc::AUTH_UNAVAILABLE);
}

#[test]
fn clear_takes_what_is_the_owners() {
    let mut tpm = started(8);
    define(&mut tpm, PLAIN, 4);
    let change = Command::new(0x129)
        .auth(Handle::OWNER, b"")
        .with(&Tpm2bAuth::new(b"mine\0").unwrap());
    expect(&mut tpm, &change, Rc::SUCCESS);
    let forbid = |by: Handle, disable: bool| Command::new(0x127).auth(by, b"").with(&disable);
    let clear = Command::new(0x126).auth(Handle::LOCKOUT, b"");
    expect(&mut tpm, &forbid(Handle::LOCKOUT, true), Rc::SUCCESS);
    expect(&mut tpm, &clear, Rc::DISABLED);
    expect(&mut tpm, &forbid(Handle::LOCKOUT, false), Rc::AUTH_FAIL);
    expect(&mut tpm, &forbid(Handle::PLATFORM, false), Rc::SUCCESS);
    expect(&mut tpm, &clear, Rc::SUCCESS);
    expect(&mut tpm, &read(4, 0), Rc::HANDLE.handle(1));
    define(&mut tpm, PLAIN, 4);
}

#[test]
fn a_hierarchy_is_disabled_by_its_owner_and_enabled_by_the_platform() {
    let mut tpm = started(9);
    let control = |by: Handle, which: Handle, on: bool| {
        Command::new(0x121).auth(by, b"").with(&which).with(&on)
    };
    use Handle as H;
    expect(
        &mut tpm,
        &control(H::OWNER, H::PLATFORM, false),
        Rc::AUTH_TYPE,
    );
    expect(
        &mut tpm,
        &control(H::OWNER, H::ENDORSEMENT, false),
        Rc::AUTH_TYPE,
    );
    expect(&mut tpm, &control(H::OWNER, H::OWNER, false), Rc::SUCCESS);
    expect(
        &mut tpm,
        &control(H::OWNER, H::OWNER, true),
        Rc::HIERARCHY.handle(1),
    );
    expect(&mut tpm, &control(H::PLATFORM, H::OWNER, true), Rc::SUCCESS);
    define(&mut tpm, PLAIN, 4);
}

#[test]
fn the_clock_goes_forward_only() {
    let mut tpm = started(10);
    let clock = |tpm: &mut TestTpm| {
        let response = run(tpm, &Command::new(0x181));
        assert_eq!(response.rc, Rc::SUCCESS);
        let info: TimeInfo = Reader::new(&response.parameters).read().unwrap();
        info.clock_info.clock
    };
    let set = |to: u64| Command::new(0x128).auth(Handle::OWNER, b"").with(&to);
    let now = clock(&mut tpm);
    tpm.platform().now += 500;
    assert_eq!(clock(&mut tpm), now + 500);
    expect(&mut tpm, &set(now), Rc::VALUE.parameter(1));
    expect(&mut tpm, &set(u64::MAX), Rc::VALUE.parameter(1));
    expect(&mut tpm, &set(1_000_000), Rc::SUCCESS);
    tpm.platform().now += 5;
    assert_eq!(clock(&mut tpm), 1_000_005);
    let clear = Command::new(0x126).auth(Handle::PLATFORM, b"");
    expect(&mut tpm, &clear, Rc::SUCCESS);
    assert_eq!(clock(&mut tpm), 0);
    tpm.platform().now += 5;
    assert_eq!(clock(&mut tpm), 5);
}

#[test]
fn the_rate_of_the_clock_is_adjusted() {
    let mut tpm = started(11);
    let read = |tpm: &mut TestTpm| -> TimeInfo {
        let response = run(tpm, &Command::new(0x181));
        assert_eq!(response.rc, Rc::SUCCESS);
        Reader::new(&response.parameters).read().unwrap()
    };
    // How far time and clock get in so many milliseconds of the platform.
    let advance = |tpm: &mut TestTpm, milliseconds: u64| {
        let before = read(tpm);
        tpm.platform().now += milliseconds;
        let after = read(tpm);
        let clock = after.clock_info.clock - before.clock_info.clock;
        assert_eq!(clock, after.time - before.time);
        clock
    };
    let adjust = |by: i8| Command::new(0x130).auth(Handle::OWNER, b"").with(&by);
    assert_eq!(advance(&mut tpm, 1_000_000), 1_000_000);
    // The steps add up: 1 %, 0.1 % and 0.001 %.
    for (by, pace) in [
        (3, 1_010_000),
        (3, 1_020_000),
        (2, 1_021_000),
        (1, 1_021_010),
        (0, 1_021_010),
        (-3, 1_011_010),
        (-2, 1_010_010),
        (-1, 1_010_000),
        (-3, 1_000_000),
        (-3, 990_000),
    ] {
        // What the clock has got to stays.
        let before = read(&mut tpm);
        expect(&mut tpm, &adjust(by), Rc::SUCCESS);
        assert_eq!(read(&mut tpm), before);
        assert_eq!(advance(&mut tpm, 1_000_000), pace);
    }
    for by in [-4, 4, i8::MIN, i8::MAX] {
        expect(&mut tpm, &adjust(by), Rc::VALUE.parameter(1));
    }
    // 15 % in either direction, and no more.
    for _ in 0..14 {
        expect(&mut tpm, &adjust(-3), Rc::SUCCESS);
    }
    for by in [-3, -2, -1] {
        expect(&mut tpm, &adjust(by), Rc::VALUE.parameter(1));
    }
    assert_eq!(advance(&mut tpm, 1_000_000), 850_000);
    // A snapshot keeps the rate, a power cycle does not.
    let image = tpm.snapshot(None, 0).unwrap();
    tpm.platform().now += 1000;
    assert_eq!(tpm.restore(&image, None, 0), Ok(()));
    assert_eq!(advance(&mut tpm, 1_000_000), 850_000);
    reset(&mut tpm);
    assert_eq!(advance(&mut tpm, 1_000_000), 1_000_000);
    for _ in 0..15 {
        expect(&mut tpm, &adjust(3), Rc::SUCCESS);
    }
    expect(&mut tpm, &adjust(1), Rc::VALUE.parameter(1));
    // A platform whose clock is at its end stops time, and it does not go back.
    tpm.platform().now = u64::MAX;
    let last = read(&mut tpm).time;
    assert_eq!(last, u64::MAX);
}
