//! Policies, from their bytes to their bytes.

use super::keys::{TestTpm, sensitive};
use crate::crypto::hash::HashAlg;
use crate::rc::Rc;
use crate::testing::{Command, Response, run, started};
use crate::wire::*;
use std::vec::Vec;

const TRIAL: u8 = 3;
const POLICY: u8 = 1;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

/// A session of SHA-256 that encrypts nothing, and its nonce.
fn session(tpm: &mut TestTpm, kind: u8) -> (Handle, Tpm2bNonce) {
    let response = run(
        tpm,
        &Command::new(0x176)
            .handle(Handle::NULL)
            .handle(Handle::NULL)
            .with(&Tpm2bNonce::zeros(16))
            .with(&Tpm2bEncryptedSecret::empty())
            .with(&kind)
            .with(&0x0010u16)
            .with(&HashAlg::Sha256),
    );
    assert_eq!(response.rc, Rc::SUCCESS);
    let nonce = Reader::new(&response.parameters).read().unwrap();
    (response.handle.unwrap(), nonce)
}

fn digest(tpm: &mut TestTpm, session: Handle) -> Vec<u8> {
    let response = run(tpm, &Command::new(0x189).handle(session));
    assert_eq!(response.rc, Rc::SUCCESS);
    let digest: Tpm2bDigest = Reader::new(&response.parameters).read().unwrap();
    digest.to_vec()
}

fn secret(authority: Handle, session: Handle, nonce: &Tpm2bNonce, expiration: i32) -> Command {
    Command::new(0x151)
        .auth(authority, b"")
        .handle(session)
        .with(nonce)
        .with(&Tpm2bDigest::empty())
        .with(&Tpm2bNonce::empty())
        .with(&expiration)
}

fn or(session: Handle, branches: &[&[u8]]) -> Command {
    let list = branches
        .iter()
        .map(|b| Tpm2bDigest::new(b).unwrap())
        .collect();
    Command::new(0x171)
        .handle(session)
        .with(&Digests::cut(list))
}

/// PolicyA and PolicyB of the EK credential profile, SHA-256.
const POLICY_A: &str = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";
const POLICY_B: &str = "ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0";
const POLICY_C: &str = "3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde";

#[test]
fn digests_of_the_ek_profile() {
    let mut tpm = started(1);
    let (s, _) = session(&mut tpm, TRIAL);
    let none = Tpm2bNonce::empty();
    assert_eq!(
        run(&mut tpm, &secret(Handle::ENDORSEMENT, s, &none, 0)).rc,
        Rc::SUCCESS
    );
    assert_eq!(digest(&mut tpm, s), hex(POLICY_A));
    let branches = [hex(POLICY_A), hex(POLICY_C)];
    let both = or(s, &[&branches[0], &branches[1]]);
    assert_eq!(run(&mut tpm, &both).rc, Rc::SUCCESS);
    assert_eq!(digest(&mut tpm, s), hex(POLICY_B));
    // PolicyAuthValue alone, as every sealed object with a password has it.
    let (s, _) = session(&mut tpm, TRIAL);
    assert_eq!(
        run(&mut tpm, &Command::new(0x16B).handle(s)).rc,
        Rc::SUCCESS
    );
    let known = "8fcd2169ab92694e0c633f1ab772842b8241bbc20288981fc7ac1eddc1fddb0e";
    assert_eq!(digest(&mut tpm, s), hex(known));
    // PolicyPassword makes the same digest.
    let (s, _) = session(&mut tpm, TRIAL);
    assert_eq!(
        run(&mut tpm, &Command::new(0x18C).handle(s)).rc,
        Rc::SUCCESS
    );
    assert_eq!(digest(&mut tpm, s), hex(known));
}

#[test]
fn a_branch_must_be_the_session_s_own() {
    let mut tpm = started(2);
    let (s, _) = session(&mut tpm, POLICY);
    let wrong = or(s, &[&[1; 32], &[2; 32]]);
    assert_eq!(run(&mut tpm, &wrong).rc, Rc::VALUE.parameter(1));
    assert_eq!(digest(&mut tpm, s), [0; 32]);
    let right = or(s, &[&[1; 32], &[0; 32]]);
    assert_eq!(run(&mut tpm, &right).rc, Rc::SUCCESS);
    assert_eq!(run(&mut tpm, &or(s, &[&[0; 32]])).rc, Rc::SIZE.parameter(1));
}

/// A sealed object in the NULL hierarchy that only a policy opens.
fn sealed(tpm: &mut TestTpm, policy: &[u8]) -> Handle {
    let mut public = super::keys::keyed_hash(ObjectAttributes(0x12), Scheme::Null);
    public.auth_policy = Tpm2bDigest::new(policy).unwrap();
    let response = run(
        tpm,
        &Command::new(0x131)
            .auth(Handle::NULL, b"")
            .with(&sensitive(b"pin", b"the secret"))
            .with(&Sized2b(public))
            .with(&Tpm2bData::empty())
            .with(&PcrSelection::empty()),
    );
    assert_eq!(response.rc, Rc::SUCCESS);
    response.handle.unwrap()
}

fn unseal(tpm: &mut TestTpm, object: Handle, session: Handle, auth: &[u8]) -> Response {
    let command = Command::new(0x15E)
        .handle(object)
        .session(session, &[0; 16], 1, auth);
    run(tpm, &command)
}

fn pcrs() -> PcrSelection {
    let mut bank = BankSelection::none(HashAlg::Sha256);
    bank.set(7, true);
    PcrSelection::cut(vec![bank])
}

fn policy_pcr(session: Handle) -> Command {
    Command::new(0x17F)
        .handle(session)
        .with(&Tpm2bDigest::empty())
        .with(&pcrs())
}

fn extend(tpm: &mut TestTpm, pcr: usize) {
    let values = DigestValues::cut(vec![TaggedHash {
        alg: HashAlg::Sha256,
        digest: HashAlg::Sha256.digest(&[b"event"]),
    }]);
    let command = Command::new(0x182)
        .auth(Handle::of_pcr(pcr), b"")
        .with(&values);
    assert_eq!(run(tpm, &command).rc, Rc::SUCCESS);
}

#[test]
fn pcrs_and_a_password_open_a_secret_until_a_pcr_changes() {
    let mut tpm = started(3);
    let steps = |tpm: &mut TestTpm, kind| {
        let (s, _) = session(tpm, kind);
        assert_eq!(run(tpm, &policy_pcr(s)).rc, Rc::SUCCESS);
        assert_eq!(run(tpm, &Command::new(0x18C).handle(s)).rc, Rc::SUCCESS);
        s
    };
    let trial = steps(&mut tpm, TRIAL);
    let policy = digest(&mut tpm, trial);
    let object = sealed(&mut tpm, &policy);
    // A trial session opens nothing.
    let refused = unseal(&mut tpm, object, trial, b"pin");
    assert_eq!(refused.rc, Rc::ATTRIBUTES.session(1));
    let flush = Command::new(0x165).with(&trial);
    assert_eq!(run(&mut tpm, &flush).rc, Rc::SUCCESS);

    let s = steps(&mut tpm, POLICY);
    assert_eq!(
        unseal(&mut tpm, object, s, b"pen").rc,
        Rc::AUTH_FAIL.session(1)
    );
    let open = unseal(&mut tpm, object, s, b"pin");
    assert_eq!(open.rc, Rc::SUCCESS);
    let data: Tpm2bSensitiveData = Reader::new(&open.parameters).read().unwrap();
    assert_eq!(&data[..], b"the secret");
    // The session started anew with its use.
    assert_eq!(
        unseal(&mut tpm, object, s, b"pin").rc,
        Rc::POLICY_FAIL.session(1)
    );

    // A change between the assertion and the use.
    assert_eq!(run(&mut tpm, &policy_pcr(s)).rc, Rc::SUCCESS);
    extend(&mut tpm, 7);
    assert_eq!(run(&mut tpm, &policy_pcr(s)).rc, Rc::PCR_CHANGED);
    assert_eq!(
        unseal(&mut tpm, object, s, b"pin").rc,
        Rc::PCR_CHANGED.session(1)
    );
    // And a change before it.
    let s = steps(&mut tpm, POLICY);
    assert_eq!(
        unseal(&mut tpm, object, s, b"pin").rc,
        Rc::POLICY_FAIL.session(1)
    );
}

#[test]
fn a_session_contradicts_nothing_that_it_said() {
    let mut tpm = started(4);
    let (s, _) = session(&mut tpm, POLICY);
    let with = |code: u32, value: &dyn Fn(Command) -> Command| value(Command::new(code).handle(s));
    let mut expect = |command: Command, rc: Rc| assert_eq!(run(&mut tpm, &command).rc, rc);
    let locality = |l: u8| with(0x16F, &move |c| c.with(&l));
    expect(locality(0), Rc::RANGE.parameter(1));
    expect(locality(0b110), Rc::SUCCESS);
    expect(locality(0b011), Rc::SUCCESS);
    expect(locality(0b100), Rc::RANGE.parameter(1));
    expect(locality(40), Rc::RANGE.parameter(1));
    let code = |cc: u32| with(0x16C, &move |c| c.with(&cc));
    expect(code(0x1FFF), Rc::POLICY_CC.parameter(1));
    expect(code(0x15E), Rc::SUCCESS);
    expect(code(0x15E), Rc::SUCCESS);
    expect(code(0x14B), Rc::VALUE.parameter(1));
    let written = |w: bool| with(0x18F, &move |c| c.with(&w));
    expect(written(true), Rc::SUCCESS);
    expect(written(true), Rc::SUCCESS);
    expect(written(false), Rc::VALUE.parameter(1));
    let hash = |cc: u32, len| with(cc, &move |c| c.with(&Tpm2bDigest::zeros(len)));
    expect(hash(0x16E, 31), Rc::SIZE.parameter(1));
    expect(hash(0x16E, 32), Rc::SUCCESS);
    expect(hash(0x16E, 32), Rc::SUCCESS);
    expect(hash(0x170, 32), Rc::CPHASH);
    expect(hash(0x190, 32), Rc::CPHASH);
    expect(hash(0x19C, 32), Rc::CPHASH);
    let select = Command::new(0x188)
        .handle(s)
        .with(&Tpm2bName::empty())
        .with(&Tpm2bName::empty())
        .with(&true);
    expect(select, Rc::CPHASH);
}

#[test]
fn a_ticket_stands_for_the_secret_as_long_as_it_lasts() {
    let mut tpm = started(5);
    let (s, nonce) = session(&mut tpm, POLICY);
    let wrong = Tpm2bNonce::zeros(32);
    assert_eq!(
        run(&mut tpm, &secret(Handle::OWNER, s, &wrong, -60)).rc,
        Rc::NONCE.parameter(1)
    );
    let response = run(&mut tpm, &secret(Handle::OWNER, s, &nonce, -60));
    assert_eq!(response.rc, Rc::SUCCESS);
    let mut r = Reader::new(&response.parameters);
    let timeout: Tpm2bTimeout = r.read().unwrap();
    let ticket: TkAuth = r.read().unwrap();
    assert_eq!(timeout.len(), 8);
    let expected = digest(&mut tpm, s);

    let use_ticket = |s: Handle, timeout: &Tpm2bTimeout, name: Handle| {
        Command::new(0x172)
            .handle(s)
            .with(timeout)
            .with(&Tpm2bDigest::empty())
            .with(&Tpm2bNonce::empty())
            .with(&Tpm2bName::cut(&name.to_bytes()))
            .with(&ticket)
    };
    let (trial, _) = session(&mut tpm, TRIAL);
    assert_eq!(
        run(&mut tpm, &use_ticket(trial, &timeout, Handle::OWNER)).rc,
        Rc::ATTRIBUTES.handle(1)
    );
    let (other, _) = session(&mut tpm, POLICY);
    let mut longer = timeout.clone();
    longer.as_mut_slice()[5] ^= 0x40;
    for (timeout, name) in [(&longer, Handle::OWNER), (&timeout, Handle::ENDORSEMENT)] {
        assert_eq!(
            run(&mut tpm, &use_ticket(other, timeout, name)).rc,
            Rc::TICKET.parameter(5)
        );
    }
    let good = use_ticket(other, &timeout, Handle::OWNER);
    assert_eq!(run(&mut tpm, &good).rc, Rc::SUCCESS);
    assert_eq!(digest(&mut tpm, other), expected);
    tpm.platform().now += 61_000;
    assert_eq!(run(&mut tpm, &good).rc, Rc::EXPIRED.parameter(1));
}

#[test]
fn an_approved_policy_needs_the_ticket_of_its_signature() {
    let mut tpm = started(6);
    let (s, _) = session(&mut tpm, POLICY);
    let name = |alg: u16, len| [&alg.to_be_bytes()[..], &[7; 64][..len]].concat();
    let approve = |approved: &[u8], name: &[u8]| {
        Command::new(0x16A)
            .handle(s)
            .with(&Tpm2bDigest::new(approved).unwrap())
            .with(&Tpm2bNonce::empty())
            .with(&Tpm2bName::new(name).unwrap())
            .with(&TkVerified(Ticket {
                tag: st::VERIFIED,
                hierarchy: RhHierarchy(Handle::OWNER),
                digest: Tpm2bDigest::zeros(64),
            }))
    };
    let mut rc = |approved: &[u8], name: &[u8]| run(&mut tpm, &approve(approved, name)).rc;
    assert_eq!(rc(&[0; 32], &[]), Rc::HASH.parameter(3));
    assert_eq!(rc(&[0; 32], &name(0x99, 32)), Rc::HASH.parameter(3));
    assert_eq!(rc(&[0; 32], &name(0x0B, 31)), Rc::SIZE.parameter(3));
    assert_eq!(rc(&[1; 32], &name(0x0B, 32)), Rc::VALUE.parameter(1));
    assert_eq!(rc(&[0; 32], &name(0x0B, 32)), Rc::VALUE.parameter(4));
}

#[test]
fn time_can_be_compared() {
    let mut tpm = started(7);
    let (s, _) = session(&mut tpm, POLICY);
    let compare = |operand: &[u8], offset: u16, operation: u16| {
        Command::new(0x16D)
            .handle(s)
            .with(&Tpm2bOperand::new(operand).unwrap())
            .with(&offset)
            .with(&operation)
    };
    let mut rc =
        |operand: &[u8], offset, operation| run(&mut tpm, &compare(operand, offset, operation)).rc;
    let hour = 3_600_000u64.to_be_bytes();
    assert_eq!(rc(&hour, 0, 12), Rc::VALUE.parameter(3));
    assert_eq!(rc(&hour, 26, 5), Rc::RANGE);
    assert_eq!(rc(&hour, 20, 5), Rc::RANGE);
    assert_eq!(rc(&hour, 0, 5), Rc::SUCCESS);
    assert_eq!(rc(&hour, 0, 3), Rc::POLICY);
}
