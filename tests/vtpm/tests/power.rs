//! Startup, Shutdown and what a TPM says before and between them.

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{alg, cc, rh};
use vtpm_tests::pair::Pair;

fn shutdown(kind: u16) -> Command {
    Command::new(cc::SHUTDOWN).with(Fields::new().u16(kind))
}

fn random() -> Command {
    Command::new(cc::GET_RANDOM).with(Fields::new().u16(0))
}

#[test]
fn before_startup_and_twice() {
    let mut pair = Pair::cold().unwrap();
    assert_eq!(pair.code("before Startup", &random()), 0x100);
    pair.code("Shutdown before Startup", &shutdown(0));
    pair.code("unknown before Startup", &Command::new(0x1fff));
    pair.startup(7);
    pair.startup(1);
    assert_eq!(pair.startup(0), 0);
    pair.startup(0);
    pair.startup(1);
    pair.code("after Startup", &random());
    pair.finish();
}

#[test]
fn state_needs_a_shutdown_of_its_kind() {
    let mut pair = Pair::new();
    let extend = Command::new(cc::PCR_EXTEND)
        .handle(16)
        .password(&[])
        .with(Fields::new().u32(1).u16(alg::SHA256).raw(&[5; 32]));
    let read = Command::new(cc::PCR_READ).with(Fields::new().pcrs(alg::SHA256, &[0, 16]));
    // An orderly shutdown, but not with the state.
    pair.code("Shutdown CLEAR", &shutdown(0));
    pair.reset();
    pair.startup(1);
    pair.startup(0);
    // With the state: PCR 0 comes back, PCR 16 does not.
    pair.code("extend 16", &extend);
    let zero = Command::new(cc::PCR_EXTEND).handle(0).password(&[]);
    let zero = zero.with(Fields::new().u32(1).u16(alg::SHA256).raw(&[6; 32]));
    pair.code("extend 0", &zero);
    pair.code("Shutdown STATE", &shutdown(1));
    pair.reset();
    assert_eq!(pair.startup(1), 0);
    pair.same_tail("PCRs after resume", &read, 4);
    // Shutdown, then a command that spoils it.
    pair.code("Shutdown STATE", &shutdown(1));
    pair.code("a command behind it", &zero);
    pair.reset();
    pair.startup(1);
    pair.startup(0);
    // No shutdown at all.
    pair.reset();
    pair.startup(1);
    pair.startup(0);
    pair.same_tail("PCRs after restart", &read, 4);
    pair.code("bad Shutdown", &shutdown(2));
    pair.finish();
}

#[test]
fn the_counters_of_clock_info() {
    let mut pair = Pair::new();
    for (what, kind, next) in [
        ("restart", Some(0), 0),
        ("resume", Some(1), 1),
        ("hibernated", Some(1), 0),
        ("unclean", None, 0),
        ("restart again", Some(0), 0),
    ] {
        if let Some(kind) = kind {
            pair.code("Shutdown", &shutdown(kind));
        }
        pair.reset();
        pair.startup(next);
        let [ours, theirs] = pair.each(&Command::new(cc::READ_CLOCK));
        let counters = |response: &vtpm_tests::response::Response| {
            let mut body = response.body(0);
            body.raw(16);
            (body.u32(), body.u32(), body.u8())
        };
        pair.compare(what, counters(&ours), counters(&theirs));
    }
    pair.finish();
}

#[test]
fn what_a_reset_takes_away() {
    use vtpm_tests::templates::{create_primary, ecc_storage};
    let mut pair = Pair::new();
    pair.same_code("CreatePrimary", &create_primary(rh::OWNER, &ecc_storage(3)));
    let session = pair.trial();
    pair.reset();
    pair.startup(0);
    for handle in [0x8000_0000, session] {
        let flush = Command::new(cc::FLUSH_CONTEXT).with(Fields::new().u32(handle));
        pair.same("flush after reset", &flush);
    }
    let read = Command::new(cc::READ_PUBLIC).handle(0x8000_0000);
    pair.same("read after reset", &read);
    pair.finish();
}

#[test]
fn self_tests() {
    let mut pair = Pair::new();
    for full in [0, 1, 2] {
        let test = Command::new(cc::SELF_TEST).with(Fields::new().u8(full));
        pair.same("SelfTest", &test);
    }
    pair.same_code("GetTestResult", &Command::new(cc::GET_TEST_RESULT));
    let list = Fields::new().u32(2).u16(alg::SHA1).u16(alg::AES);
    pair.same(
        "IncrementalSelfTest",
        &Command::new(cc::INCREMENTAL_SELF_TEST).with(list),
    );
    for size in [0_usize, 32, 128] {
        let stir = Command::new(cc::STIR_RANDOM).with(Fields::new().sized(&vec![1; size]));
        pair.same("StirRandom", &stir);
    }
    let stir = Command::new(cc::STIR_RANDOM).with(Fields::new().sized(&[1; 129]));
    pair.same("StirRandom, too long", &stir);
    for size in [0_u16, 1, 32, 48, 64, 65, 1000] {
        let [ours, theirs] = pair.each(&Command::new(cc::GET_RANDOM).with(Fields::new().u16(size)));
        pair.compare("GetRandom's length", ours.0.len(), theirs.0.len());
    }
    pair.finish();
}
