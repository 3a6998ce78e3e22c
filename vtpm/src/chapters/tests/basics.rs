//! Starting, capabilities, random numbers and PCRs.

use crate::crypto::hash::HashAlg;
use crate::rc::Rc;
use crate::testing::{Command, parse, powered, reset, run, run_from, send, started, startup};
use crate::wire::{BankSelection, DigestValues, Handle, Marshal, PcrSelection, Reader, TaggedHash};
use std::vec::Vec;

const STARTUP: u32 = 0x144;
const SHUTDOWN: u32 = 0x145;
const GET_RANDOM: u32 = 0x17B;
const GET_CAPABILITY: u32 = 0x17A;
const PCR_EXTEND: u32 = 0x182;
const PCR_READ: u32 = 0x17E;
const PCR_RESET: u32 = 0x13D;
const PCR_EVENT: u32 = 0x13C;

fn sha256(data: &[u8]) -> DigestValues {
    DigestValues::cut(vec![TaggedHash {
        alg: HashAlg::Sha256,
        digest: HashAlg::Sha256.digest(&[data]),
    }])
}

fn extend(pcr: usize, data: &[u8]) -> Command {
    Command::new(PCR_EXTEND)
        .auth(Handle::of_pcr(pcr), b"")
        .with(&sha256(data))
}

fn select(pcr: usize) -> PcrSelection {
    let mut s = BankSelection::none(HashAlg::Sha256);
    s.set(pcr, true);
    PcrSelection::cut(vec![s])
}

/// The counter and the value of a PCR of the SHA-256 bank.
fn read<P: crate::Platform>(tpm: &mut crate::Tpm<P>, pcr: usize) -> (u32, Vec<u8>) {
    let answer = run(tpm, &Command::new(PCR_READ).with(&select(pcr)));
    assert_eq!(answer.rc, Rc::SUCCESS);
    let mut r = Reader::new(&answer.parameters);
    let counter = r.read().unwrap();
    let out: PcrSelection = r.read().unwrap();
    assert_eq!(out, select(pcr));
    let values: crate::wire::Digests = r.read().unwrap();
    assert_eq!(values.len(), 1);
    (counter, values[0].to_vec())
}

#[test]
fn nothing_but_startup_works_first() {
    let mut tpm = powered(1);
    assert_eq!(
        run(&mut tpm, &Command::new(GET_RANDOM).with(&8u16)).rc,
        Rc::INITIALIZE
    );
    assert_eq!(startup(&mut tpm, 1), Rc::VALUE.parameter(1));
    assert_eq!(startup(&mut tpm, 2), Rc::VALUE.parameter(1));
    assert_eq!(startup(&mut tpm, 0), Rc::SUCCESS);
    assert_eq!(startup(&mut tpm, 0), Rc::INITIALIZE);
}

#[test]
fn headers_are_checked_in_order() {
    let mut tpm = started(1);
    let good = Command::new(GET_RANDOM).with(&8u16).to_bytes();
    let code = |bytes: &[u8], tpm: &mut _| parse(GET_RANDOM, &send(tpm, 0, bytes)).rc;
    let mut tag = good.clone();
    tag[1] = 0x03;
    assert_eq!(code(&tag, &mut tpm), Rc::BAD_TAG);
    let mut long = good.clone();
    long.push(0);
    assert_eq!(code(&long, &mut tpm), Rc::COMMAND_SIZE);
    let mut unknown = good.clone();
    unknown[8..10].copy_from_slice(&[0x0F, 0xFF]);
    assert_eq!(code(&unknown, &mut tpm), Rc::COMMAND_CODE);
    assert_eq!(
        run(&mut tpm, &Command::new(GET_RANDOM)).rc,
        Rc::INSUFFICIENT.parameter(1)
    );
    let trailing = Command::new(GET_RANDOM).with(&8u16).with(&0u8);
    assert_eq!(run(&mut tpm, &trailing).rc, Rc::SIZE);
    // A session that does nothing, on a command without handles.
    let idle = Command::new(GET_RANDOM)
        .session(Handle::PW, &[], 0, &[])
        .with(&8u16);
    assert_eq!(run(&mut tpm, &idle).rc, Rc::HANDLE.session(1));
    let startup_with = Command::new(STARTUP)
        .session(Handle::PW, &[], 0, &[])
        .with(&0u16);
    assert_eq!(run(&mut tpm, &startup_with).rc, Rc::AUTH_CONTEXT);
}

#[test]
fn random_bytes_differ_and_are_bounded() {
    let mut tpm = started(1);
    let mut get = |n: u16| run(&mut tpm, &Command::new(GET_RANDOM).with(&n)).parameters;
    assert_eq!(get(8).len(), 2 + 8);
    assert_ne!(get(32), get(32));
    assert_eq!(get(5000).len(), 2 + 64);
}

#[test]
fn extending_a_pcr_hashes_the_old_value_and_the_new() {
    let mut tpm = started(1);
    let (before, value) = read(&mut tpm, 7);
    assert_eq!(value, [0; 32]);
    assert_eq!(run(&mut tpm, &extend(7, b"x")).rc, Rc::SUCCESS);
    let (after, value) = read(&mut tpm, 7);
    let expected = HashAlg::Sha256.digest(&[&[0; 32], &HashAlg::Sha256.digest(&[b"x"])]);
    assert_eq!(value, expected.to_vec());
    assert_eq!(after, before + 1);
    // TPM_RH_NULL needs an authorization too, and changes nothing.
    let null = Command::new(PCR_EXTEND)
        .auth(Handle::NULL, b"")
        .with(&sha256(b"x"));
    assert_eq!(run(&mut tpm, &null).rc, Rc::SUCCESS);
    assert_eq!(read(&mut tpm, 7), (after, value));
    let none = Command::new(PCR_EXTEND)
        .handle(Handle::of_pcr(7))
        .with(&sha256(b"x"));
    assert_eq!(run(&mut tpm, &none).rc, Rc::AUTH_MISSING);
    let wrong = Command::new(PCR_EXTEND)
        .auth(Handle::of_pcr(7), b"secret")
        .with(&sha256(b"x"));
    assert_eq!(run(&mut tpm, &wrong).rc, Rc::BAD_AUTH.session(1));
}

#[test]
fn an_event_goes_to_all_banks() {
    let mut tpm = started(1);
    let event = Command::new(PCR_EVENT)
        .auth(Handle::of_pcr(3), b"")
        .with(&crate::wire::Tpm2bEvent::cut(b"event"));
    let answer = run(&mut tpm, &event);
    let digests = <DigestValues as crate::wire::Unmarshal>::from_bytes(&answer.parameters).unwrap();
    assert_eq!(
        digests.iter().map(|d| d.alg).collect::<Vec<_>>(),
        HashAlg::ALL
    );
    assert!(
        digests
            .iter()
            .all(|d| d.digest == d.alg.digest(&[b"event"]))
    );
    let expected = HashAlg::Sha256.digest(&[&[0; 32], &HashAlg::Sha256.digest(&[b"event"])]);
    assert_eq!(read(&mut tpm, 3).1, expected.to_vec());
}

#[test]
fn localities_bound_who_extends_and_resets() {
    let mut tpm = started(1);
    assert_eq!(read(&mut tpm, 17).1, [0xFF; 32]);
    assert_eq!(run(&mut tpm, &extend(17, b"x")).rc, Rc::LOCALITY);
    assert_eq!(run_from(&mut tpm, 2, &extend(17, b"x")).rc, Rc::SUCCESS);
    let reset = |n: usize| Command::new(PCR_RESET).auth(Handle::of_pcr(n), b"");
    assert_eq!(run(&mut tpm, &reset(17)).rc, Rc::LOCALITY);
    assert_eq!(run(&mut tpm, &reset(0)).rc, Rc::LOCALITY);
    assert_eq!(run(&mut tpm, &reset(16)).rc, Rc::SUCCESS);
    // Only _TPM_Hash_Start resets those of the dynamic launch.
    assert_eq!(run_from(&mut tpm, 4, &reset(17)).rc, Rc::LOCALITY);
    assert_eq!(run_from(&mut tpm, 2, &reset(20)).rc, Rc::SUCCESS);
    assert_eq!(read(&mut tpm, 20).1, [0; 32]);
}

#[test]
fn a_change_after_shutdown_makes_it_void() {
    let mut tpm = started(1);
    let shutdown = Command::new(SHUTDOWN).with(&1u16);
    assert_eq!(run(&mut tpm, &shutdown).rc, Rc::SUCCESS);
    assert_eq!(run(&mut tpm, &extend(7, b"x")).rc, Rc::SUCCESS);
    assert_eq!(tpm.power_on(), Ok(()));
    assert_eq!(startup(&mut tpm, 1), Rc::VALUE.parameter(1));
    assert_eq!(startup(&mut tpm, 0), Rc::SUCCESS);
}

#[test]
fn pcrs_survive_a_resume_and_nothing_else() {
    let mut tpm = started(1);
    run(&mut tpm, &extend(7, b"x"));
    run(&mut tpm, &extend(16, b"x"));
    let value = read(&mut tpm, 7).1;
    let shutdown = |kind: u16| Command::new(SHUTDOWN).with(&kind);
    assert_eq!(run(&mut tpm, &shutdown(1)).rc, Rc::SUCCESS);
    assert_eq!(tpm.power_on(), Ok(()));
    assert_eq!(startup(&mut tpm, 1), Rc::SUCCESS);
    assert_eq!(read(&mut tpm, 7).1, value);
    assert_eq!(read(&mut tpm, 16).1, [0; 32]);
    // The saved state is used up.
    assert_eq!(tpm.power_on(), Ok(()));
    assert_eq!(startup(&mut tpm, 1), Rc::VALUE.parameter(1));
    assert_eq!(startup(&mut tpm, 0), Rc::SUCCESS);
    assert_eq!(read(&mut tpm, 7).1, [0; 32]);
    run(&mut tpm, &extend(7, b"x"));
    run(&mut tpm, &shutdown(1));
    reset(&mut tpm);
    assert_eq!(read(&mut tpm, 7).1, [0; 32]);
}

#[test]
fn linux_finds_what_it_asks_for_first() {
    let mut tpm = started(1);
    let mut get = |cap: u32, property: u32, count: u32| {
        let answer = run(
            &mut tpm,
            &Command::new(GET_CAPABILITY)
                .with(&cap)
                .with(&property)
                .with(&count),
        );
        assert_eq!(answer.rc, Rc::SUCCESS);
        answer.parameters
    };
    // TPM_PT_TOTAL_COMMANDS.
    let total = u32::try_from(crate::command::all().count()).unwrap();
    let mut expected = vec![1];
    [6u32, 1, 0x129, total]
        .iter()
        .for_each(|n| n.marshal(&mut expected));
    assert_eq!(get(6, 0x129, 1), expected);
    // All commands in one answer.
    let commands = get(2, 0x11F, total);
    assert_eq!(commands[0], 0);
    assert_eq!(commands[1..9], [0, 0, 0, 2, 0, 0, 0, total as u8]);
    // All banks, three bytes each.
    let pcrs = get(5, 0, 1);
    assert_eq!(pcrs[..9], [0, 0, 0, 0, 5, 0, 0, 0, 4]);
    assert_eq!(pcrs[9..15], [0, 4, 3, 0xFF, 0xFF, 0xFF]);
    // Properties come sorted and go on where the last answer ended.
    let first = get(6, 0x100, 1000);
    assert_eq!(first[..5], [0, 0, 0, 0, 6]);
}

#[test]
fn without_nv_nothing_that_must_last_happens() {
    let mut tpm = started(1);
    tpm.platform().available = false;
    assert_eq!(
        run(&mut tpm, &Command::new(SHUTDOWN).with(&0u16)).rc,
        Rc::NV_UNAVAILABLE
    );
    // What a command does not ask for may wait.
    tpm.platform().now += 1 << 23;
    assert_eq!(
        run(&mut tpm, &Command::new(GET_RANDOM).with(&8u16)).rc,
        Rc::SUCCESS
    );
    // A failed authorization that counts could not be stored.
    let lockout = Command::new(0x139).auth(Handle::LOCKOUT, b"wrong");
    assert_eq!(run(&mut tpm, &lockout).rc, Rc::NV_UNAVAILABLE);
    tpm.platform().available = true;
    assert_eq!(run(&mut tpm, &lockout).rc, Rc::AUTH_FAIL.session(1));
    assert_eq!(
        run(&mut tpm, &Command::new(SHUTDOWN).with(&0u16)).rc,
        Rc::SUCCESS
    );
}

#[test]
fn a_failing_commit_ends_in_failure_mode() {
    let mut tpm = started(1);
    tpm.platform().broken = true;
    assert_eq!(
        run(&mut tpm, &Command::new(SHUTDOWN).with(&0u16)).rc,
        Rc::FAILURE
    );
    assert_eq!(
        run(&mut tpm, &Command::new(GET_RANDOM).with(&8u16)).rc,
        Rc::FAILURE
    );
    let result = run(&mut tpm, &Command::new(0x17C));
    assert_eq!(result.parameters, [0, 0, 0, 0, 1, 1]);
}
