//! Sessions: authorization, encryption, audit, and moving them out and in.

use crate::crypto::hash::HashAlg;
use crate::crypto::sym::Mode;
use crate::platform::Platform;
use crate::rc::Rc;
use crate::session::SessionType;
use crate::testing::client::{ClientSession, Start, handle_name, run_with};
use crate::testing::{Command, MemoryPlatform, reset, run, started, startup};
use crate::tpm::Tpm;
use crate::wire::{
    Aes, DigestValues, Handle, SessionAttributes, SymDef, TaggedHash, Tpm2bAuth, Tpm2bMaxBuffer,
};
use std::vec::Vec;

const PCR_EXTEND: u32 = 0x182;
const GET_RANDOM: u32 = 0x17B;
const HASH: u32 = 0x17D;
const CONTEXT_SAVE: u32 = 0x162;
const CONTEXT_LOAD: u32 = 0x161;
const FLUSH: u32 = 0x165;
const PCR_SET_AUTH: u32 = 0x183;
const GET_CAPABILITY: u32 = 0x17A;

const CFB_128: SymDef = SymDef::Aes(Aes {
    key_bits: 128,
    mode: Some(Mode::Cfb),
});

fn extend(pcr: usize) -> Command {
    let value = TaggedHash {
        alg: HashAlg::Sha256,
        digest: HashAlg::Sha256.digest(&[b"x"]),
    };
    Command::new(PCR_EXTEND)
        .handle(Handle::of_pcr(pcr))
        .with(&DigestValues::cut(vec![value]))
}

fn name(pcr: usize) -> Vec<Vec<u8>> {
    vec![handle_name(Handle::of_pcr(pcr))]
}

/// A TPM whose PCR 20 has an auth value.
fn with_pcr_auth(auth: &[u8]) -> Tpm<MemoryPlatform> {
    let mut tpm = started(3);
    set_auth(&mut tpm, b"", auth);
    tpm
}

fn set_auth<P: Platform>(tpm: &mut Tpm<P>, old: &[u8], new: &[u8]) {
    let set = Command::new(PCR_SET_AUTH)
        .auth(Handle::of_pcr(20), old)
        .with(&Tpm2bAuth::cut(new));
    assert_eq!(run(tpm, &set).rc, Rc::SUCCESS);
}

fn set_auth_again(auth: &[u8]) -> Command {
    Command::new(PCR_SET_AUTH)
        .handle(Handle::of_pcr(20))
        .with(&Tpm2bAuth::cut(auth))
}

#[test]
fn an_hmac_session_authorizes_again_and_again() {
    let mut tpm = with_pcr_auth(b"pcr");
    for hash in HashAlg::ALL {
        let start = Start {
            hash,
            ..Start::default()
        };
        let mut s = [ClientSession::start(&mut tpm, &start)
            .unwrap()
            .with_auth(b"pcr")];
        for _ in 0..3 {
            let response = run_with(&mut tpm, &set_auth_again(b"pcr"), &name(20), &mut s);
            assert_eq!(response.rc, Rc::SUCCESS);
        }
        // The old nonce does not work a second time, nor does a wrong secret.
        let mut stale = s.clone();
        stale[0].nonce_tpm[0] ^= 1;
        assert_eq!(
            run_with(&mut tpm, &set_auth_again(b"pcr"), &name(20), &mut stale).rc,
            Rc::BAD_AUTH.session(1)
        );
        let mut wrong = [s[0].clone().with_auth(b"PCR")];
        assert_eq!(
            run_with(&mut tpm, &set_auth_again(b"pcr"), &name(20), &mut wrong).rc,
            Rc::BAD_AUTH.session(1)
        );
        // Failures leave the session as it was; without continueSession it ends.
        s[0].attributes = SessionAttributes(0);
        assert_eq!(
            run_with(&mut tpm, &set_auth_again(b"pcr"), &name(20), &mut s).rc,
            Rc::SUCCESS
        );
        assert_eq!(
            run_with(&mut tpm, &set_auth_again(b"pcr"), &name(20), &mut s).rc,
            Rc::reference_session(0)
        );
    }
}

#[test]
fn a_bound_session_needs_no_auth_value_until_it_changes() {
    let mut tpm = with_pcr_auth(b"pcr");
    let start = Start {
        bind: Handle::of_pcr(20),
        bind_auth: b"pcr",
        ..Start::default()
    };
    let mut s = [ClientSession::start(&mut tpm, &start).unwrap()];
    let same = run_with(&mut tpm, &set_auth_again(b"pcr"), &name(20), &mut s);
    assert_eq!(same.rc, Rc::SUCCESS);
    // A change from elsewhere ends the binding.
    set_auth(&mut tpm, b"pcr", b"new");
    assert_eq!(
        run_with(&mut tpm, &set_auth_again(b"new"), &name(20), &mut s).rc,
        Rc::BAD_AUTH.session(1)
    );
    let mut s = [s[0].clone().with_auth(b"new")];
    assert_eq!(
        run_with(&mut tpm, &set_auth_again(b"new"), &name(20), &mut s).rc,
        Rc::SUCCESS
    );
}

#[test]
fn parameters_are_encrypted_both_ways() {
    let mut tpm = started(3);
    for symmetric in [
        CFB_128,
        SymDef::Aes(Aes {
            key_bits: 256,
            mode: Some(Mode::Cfb),
        }),
        SymDef::Xor(HashAlg::Sha256),
    ] {
        let start = Start {
            symmetric,
            bind: Handle::OWNER,
            ..Start::default()
        };
        let mut s = [ClientSession::start(&mut tpm, &start).unwrap()];
        s[0].attributes = SessionAttributes::DECRYPT.with(SessionAttributes::ENCRYPT);
        let command = Command::new(HASH)
            .with(&Tpm2bMaxBuffer::cut(b"secret"))
            .with(&HashAlg::Sha256)
            .with(&Handle::NULL);
        let response = run_with(&mut tpm, &command, &[], &mut s);
        assert_eq!(response.rc, Rc::SUCCESS);
        assert_eq!(
            response.parameters[2..34],
            *HashAlg::Sha256.digest(&[b"secret"])
        );
    }
}

#[test]
fn one_session_authorizes_while_others_encrypt() {
    let mut tpm = with_pcr_auth(b"pcr");
    let mut s = [
        ClientSession::start(&mut tpm, &Start::default())
            .unwrap()
            .with_auth(b"pcr"),
        ClientSession::start(
            &mut tpm,
            &Start {
                symmetric: CFB_128,
                bind: Handle::OWNER,
                ..Start::default()
            },
        )
        .unwrap(),
    ];
    s[1].attributes = s[1].attributes.with(SessionAttributes::DECRYPT);
    let response = run_with(&mut tpm, &set_auth_again(b"pcr"), &name(20), &mut s);
    assert_eq!(response.rc, Rc::SUCCESS);
    // The first session vouches for the second one's nonce.
    let response = run_with(&mut tpm, &set_auth_again(b"pcr"), &name(20), &mut s);
    assert_eq!(response.rc, Rc::SUCCESS);
    set_auth(&mut tpm, b"pcr", b"");
}

#[test]
fn what_a_session_must_not_do_is_refused() {
    let mut tpm = started(3);
    let plain = ClientSession::start(&mut tpm, &Start::default()).unwrap();
    let random = Command::new(GET_RANDOM).with(&8u16);
    let mut with = |s: ClientSession, a: SessionAttributes| {
        let mut s = [s];
        s[0].attributes = a;
        run_with(&mut tpm, &random, &[], &mut s).rc
    };
    // It does nothing; it cannot encrypt; GetRandom takes nothing encrypted.
    assert_eq!(
        with(plain.clone(), SessionAttributes::CONTINUE_SESSION),
        Rc::ATTRIBUTES.session(1)
    );
    assert_eq!(
        with(plain.clone(), SessionAttributes::ENCRYPT),
        Rc::SYMMETRIC.session(1)
    );
    assert_eq!(
        with(plain.clone(), SessionAttributes::AUDIT_RESET),
        Rc::ATTRIBUTES.session(1)
    );
    let crypting = Start {
        symmetric: CFB_128,
        ..Start::default()
    };
    let s = ClientSession::start(&mut tpm, &crypting).unwrap();
    let mut with = |s: &ClientSession, a: SessionAttributes| {
        let mut s = [s.clone()];
        s[0].attributes = a;
        run_with(&mut tpm, &random, &[], &mut s).rc
    };
    assert_eq!(
        with(&s, SessionAttributes::DECRYPT),
        Rc::ATTRIBUTES.session(1)
    );
    // A trial session authorizes nothing.
    let trial = ClientSession::start(
        &mut tpm,
        &Start {
            kind: SessionType::Trial,
            ..Start::default()
        },
    )
    .unwrap();
    assert_eq!(
        run_with(&mut tpm, &extend(7), &name(7), &mut [trial]).rc,
        Rc::ATTRIBUTES.session(1)
    );
    // Three sessions are the most that are loaded.
    assert_eq!(
        ClientSession::start(&mut tpm, &Start::default()).err(),
        Some(Rc::SESSION_MEMORY)
    );
}

#[test]
fn starting_checks_its_parameters() {
    let mut tpm = started(3);
    let cbc = SymDef::Aes(Aes {
        key_bits: 128,
        mode: Some(Mode::Cbc),
    });
    let start = Start {
        symmetric: cbc,
        ..Start::default()
    };
    assert_eq!(
        ClientSession::start(&mut tpm, &start).err(),
        Some(Rc::MODE.parameter(4))
    );
    let start = Start {
        salt: Some((Handle::NULL, &[], b"salt")),
        ..Start::default()
    };
    assert_eq!(
        ClientSession::start(&mut tpm, &start).err(),
        Some(Rc::VALUE.parameter(2))
    );
    let start = Start {
        bind: Handle(0x8000_0000),
        ..Start::default()
    };
    assert_eq!(
        ClientSession::start(&mut tpm, &start).err(),
        Some(Rc::reference_handle(1))
    );
}

#[test]
fn an_audit_session_is_exclusive_until_something_else_happens() {
    let mut tpm = started(3);
    let mut s = [ClientSession::start(&mut tpm, &Start::default()).unwrap()];
    let audit = SessionAttributes::AUDIT.with(SessionAttributes::CONTINUE_SESSION);
    s[0].attributes = audit;
    let random = Command::new(GET_RANDOM).with(&8u16);
    let first = run_with(&mut tpm, &random, &[], &mut s);
    assert_eq!(first.rc, Rc::SUCCESS);
    s[0].attributes = audit.with(SessionAttributes::AUDIT_EXCLUSIVE);
    assert_eq!(run_with(&mut tpm, &random, &[], &mut s).rc, Rc::SUCCESS);
    assert_eq!(run(&mut tpm, &random).rc, Rc::SUCCESS);
    assert_eq!(run_with(&mut tpm, &random, &[], &mut s).rc, Rc::EXCLUSIVE);
    s[0].attributes = audit;
    assert_eq!(run_with(&mut tpm, &random, &[], &mut s).rc, Rc::SUCCESS);
}

/// Linux's resource manager asks for the context of every session that it knows of after
/// each command, and takes this answer alone for a session that is gone.
#[test]
fn a_flushed_session_is_not_loaded() {
    let mut tpm = started(3);
    let s = ClientSession::start(&mut tpm, &Start::default()).unwrap();
    let flush = Command::new(FLUSH).with(&s.handle);
    assert_eq!(run(&mut tpm, &flush).rc, Rc::SUCCESS);
    for handle in [s.handle, Handle(0x0200_0003), Handle(0x0300_0003)] {
        let save = Command::new(CONTEXT_SAVE).handle(handle);
        assert_eq!(run(&mut tpm, &save).rc, Rc::reference_handle(0));
    }
}

#[test]
fn a_saved_session_loads_once_and_only_unaltered() {
    let mut tpm = started(3);
    let s = ClientSession::start(&mut tpm, &Start::default()).unwrap();
    let save = Command::new(CONTEXT_SAVE).handle(s.handle);
    let context = run(&mut tpm, &save).parameters;
    assert_eq!(run(&mut tpm, &save).rc, Rc::reference_handle(0));
    let load = |tpm: &mut Tpm<MemoryPlatform>, context: &[u8]| {
        let mut command = Command::new(CONTEXT_LOAD);
        command.parameters = context.to_vec();
        run(tpm, &command)
    };
    let mut altered = context.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(load(&mut tpm, &altered).rc, Rc::INTEGRITY.parameter(1));
    // It survives a restart after Shutdown(STATE).
    assert_eq!(
        run(&mut tpm, &Command::new(0x145).with(&1u16)).rc,
        Rc::SUCCESS
    );
    assert_eq!(tpm.power_on(), Ok(()));
    assert_eq!(startup(&mut tpm, 0), Rc::SUCCESS);
    let loaded = load(&mut tpm, &context);
    assert_eq!((loaded.rc, loaded.handle), (Rc::SUCCESS, Some(s.handle)));
    assert_eq!(load(&mut tpm, &context).rc, Rc::HANDLE.parameter(1));
    assert_eq!(
        run_with(&mut tpm, &extend(7), &name(7), &mut [s.clone()]).rc,
        Rc::SUCCESS
    );
    // After a reset the old context is worth nothing.
    let s = ClientSession::start(&mut tpm, &Start::default()).unwrap();
    let context = run(&mut tpm, &Command::new(CONTEXT_SAVE).handle(s.handle)).parameters;
    reset(&mut tpm);
    assert_eq!(load(&mut tpm, &context).rc, Rc::INTEGRITY.parameter(1));
}

#[test]
fn flushed_sessions_are_gone_loaded_or_saved() {
    let mut tpm = started(3);
    let flush = |h: Handle| Command::new(FLUSH).with(&h);
    let s = ClientSession::start(&mut tpm, &Start::default()).unwrap();
    assert_eq!(run(&mut tpm, &flush(s.handle)).rc, Rc::SUCCESS);
    assert_eq!(run(&mut tpm, &flush(s.handle)).rc, Rc::HANDLE.parameter(1));
    let s = ClientSession::start(&mut tpm, &Start::default()).unwrap();
    assert_eq!(
        run(&mut tpm, &Command::new(CONTEXT_SAVE).handle(s.handle)).rc,
        Rc::SUCCESS
    );
    let saved = Command::new(GET_CAPABILITY)
        .with(&1u32)
        .with(&0x0300_0000u32)
        .with(&10u32);
    assert_eq!(run(&mut tpm, &saved).parameters[5..9], [0, 0, 0, 1]);
    assert_eq!(run(&mut tpm, &flush(s.handle)).rc, Rc::SUCCESS);
    assert_eq!(run(&mut tpm, &saved).parameters[5..9], [0, 0, 0, 0]);
    assert_eq!(
        run(&mut tpm, &flush(Handle(0x8000_0000))).rc,
        Rc::HANDLE.parameter(1)
    );
}

#[test]
fn as_many_sessions_as_there_are_numbers() {
    let mut tpm = started(3);
    for _ in 0..crate::limits::MAX_ACTIVE_SESSIONS {
        let s = ClientSession::start(&mut tpm, &Start::default()).unwrap();
        assert_eq!(
            run(&mut tpm, &Command::new(CONTEXT_SAVE).handle(s.handle)).rc,
            Rc::SUCCESS
        );
    }
    assert_eq!(
        ClientSession::start(&mut tpm, &Start::default()).err(),
        Some(Rc::SESSION_HANDLES)
    );
}
