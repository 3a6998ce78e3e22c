//! Sequences, and hashing at once.

use crate::crypto::hash::HashAlg;
use crate::rc::Rc;
use crate::testing::client::{ClientSession, Start, run_with};
use crate::testing::{Command, reset, run, started};
use crate::wire::{
    DigestValues, Handle, Marshal, Reader, Tpm2bAuth, Tpm2bDigest, Tpm2bMaxBuffer, Unmarshal,
};
use std::vec::Vec;

const START: u32 = 0x186;
const UPDATE: u32 = 0x15C;
const COMPLETE: u32 = 0x13E;
const EVENT_COMPLETE: u32 = 0x185;
const HASH: u32 = 0x17D;

fn buffer(data: &[u8]) -> Tpm2bMaxBuffer {
    Tpm2bMaxBuffer::cut(data)
}

fn start(auth: &[u8], alg: Option<HashAlg>) -> Command {
    Command::new(START).with(&Tpm2bAuth::cut(auth)).with(&alg)
}

/// Result and whether the ticket proves anything.
fn result(parameters: &[u8]) -> (Vec<u8>, bool) {
    let mut r = Reader::new(parameters);
    let digest: Tpm2bDigest = r.read().unwrap();
    let _tag: u16 = r.read().unwrap();
    let _hierarchy: Handle = r.read().unwrap();
    let proof: Tpm2bDigest = r.read().unwrap();
    (digest.to_vec(), !proof.is_empty())
}

#[test]
fn a_sequence_hashes_like_one_piece_even_through_a_context() {
    let mut tpm = started(1);
    for alg in HashAlg::ALL {
        let mut h = run(&mut tpm, &start(b"pw", Some(alg))).handle.unwrap();
        let data = vec![7u8; 3000];
        for piece in data.chunks(1000) {
            assert_eq!(
                run(
                    &mut tpm,
                    &Command::new(UPDATE).auth(h, b"pw").with(&buffer(piece))
                )
                .rc,
                Rc::SUCCESS
            );
            let context = run(&mut tpm, &Command::new(0x162).handle(h)).parameters;
            assert_eq!(context[8..12], [0x80, 0, 0, 1]);
            assert_eq!(run(&mut tpm, &Command::new(0x165).with(&h)).rc, Rc::SUCCESS);
            let mut load = Command::new(0x161);
            load.parameters = context;
            h = run(&mut tpm, &load).handle.unwrap();
        }
        let wrong = Command::new(COMPLETE)
            .auth(h, b"")
            .with(&buffer(b"end"))
            .with(&Handle::OWNER);
        assert_eq!(run(&mut tpm, &wrong).rc, Rc::BAD_AUTH.session(1));
        let complete = Command::new(COMPLETE)
            .auth(h, b"pw")
            .with(&buffer(b"end"))
            .with(&Handle::OWNER);
        let (digest, proves) = result(&run(&mut tpm, &complete).parameters);
        assert_eq!(digest, alg.digest(&[&data, b"end"]).to_vec());
        assert!(proves);
        assert_eq!(run(&mut tpm, &complete).rc, Rc::reference_handle(0));
    }
}

#[test]
fn data_that_pretend_to_come_from_a_tpm_get_no_ticket() {
    let mut tpm = started(1);
    let mut hash = |data: &[u8], hierarchy: Handle| {
        let command = Command::new(HASH)
            .with(&buffer(data))
            .with(&HashAlg::Sha256)
            .with(&hierarchy);
        result(&run(&mut tpm, &command).parameters)
    };
    assert_eq!(
        hash(b"abc", Handle::OWNER),
        (HashAlg::Sha256.digest(&[b"abc"]).to_vec(), true)
    );
    assert!(!hash(b"abc", Handle::NULL).1);
    assert!(!hash(b"\xffTCG and more", Handle::OWNER).1);
    let h = run(&mut tpm, &start(b"", Some(HashAlg::Sha256)))
        .handle
        .unwrap();
    run(
        &mut tpm,
        &Command::new(UPDATE).auth(h, b"").with(&buffer(b"\xffT")),
    );
    run(
        &mut tpm,
        &Command::new(UPDATE).auth(h, b"").with(&buffer(b"CG")),
    );
    let complete = Command::new(COMPLETE)
        .auth(h, b"")
        .with(&buffer(b""))
        .with(&Handle::OWNER);
    assert!(!result(&run(&mut tpm, &complete).parameters).1);
}

#[test]
fn an_event_sequence_extends_all_banks() {
    let mut tpm = started(1);
    let h = run(&mut tpm, &start(b"", None)).handle.unwrap();
    run(
        &mut tpm,
        &Command::new(UPDATE).auth(h, b"").with(&buffer(b"ev")),
    );
    let as_hash = Command::new(COMPLETE)
        .auth(h, b"")
        .with(&buffer(b""))
        .with(&Handle::NULL);
    assert_eq!(run(&mut tpm, &as_hash).rc, Rc::MODE.handle(1));
    let complete = Command::new(EVENT_COMPLETE)
        .auth(Handle::of_pcr(9), b"")
        .auth(h, b"")
        .with(&buffer(b"ent"));
    let results = DigestValues::from_bytes(&run(&mut tpm, &complete).parameters).unwrap();
    assert_eq!(results.len(), 4);
    assert!(
        results
            .iter()
            .all(|d| d.digest == d.alg.digest(&[b"event"]))
    );
}

#[test]
fn three_slots_and_no_more() {
    let mut tpm = started(1);
    for _ in 0..3 {
        assert_eq!(run(&mut tpm, &start(b"", None)).rc, Rc::SUCCESS);
    }
    assert_eq!(run(&mut tpm, &start(b"", None)).rc, Rc::OBJECT_MEMORY);
    reset(&mut tpm);
    assert_eq!(run(&mut tpm, &start(b"", None)).rc, Rc::SUCCESS);
}

#[test]
fn a_crtm_measures_itself_before_startup_and_a_drtm_after() {
    let mut tpm = crate::testing::powered(1);
    let read = |tpm: &mut _, pcr: u8| {
        let mut select = [0u8; 3];
        select[usize::from(pcr / 8)] = 1 << (pcr % 8);
        let mut command = Command::new(0x17E)
            .with(&1u32)
            .with(&HashAlg::Sha256)
            .with(&3u8);
        select.marshal(&mut command.parameters);
        let response = run(tpm, &command);
        response.parameters[response.parameters.len() - 32..].to_vec()
    };
    tpm.hash_start();
    tpm.hash_data(b"cr");
    tpm.hash_data(b"tm");
    tpm.hash_end();
    assert_eq!(crate::testing::startup(&mut tpm, 0), Rc::SUCCESS);
    let mut first = [0u8; 32];
    first[31] = 4;
    let digest = HashAlg::Sha256.digest(&[b"crtm"]);
    assert_eq!(
        read(&mut tpm, 0),
        HashAlg::Sha256.digest(&[&first, &digest]).to_vec()
    );
    assert_eq!(read(&mut tpm, 17), [0xFF; 32]);
    tpm.hash_start();
    tpm.hash_data(b"drtm");
    tpm.hash_end();
    let digest = HashAlg::Sha256.digest(&[b"drtm"]);
    assert_eq!(
        read(&mut tpm, 17),
        HashAlg::Sha256.digest(&[&[0; 32], &digest]).to_vec()
    );
    assert_eq!(read(&mut tpm, 18), [0; 32]);
}

/// The sequence is gone when the response is made, its auth value still counts
/// (tpm2-tss found that it did not).
#[test]
fn the_answer_that_ends_a_sequence_is_authenticated_with_its_auth_value() {
    let mut tpm = started(9);
    let mut s = [ClientSession::start(&mut tpm, &Start::default())
        .unwrap()
        .with_auth(b"sequence")];
    let sequence = run(&mut tpm, &start(b"sequence", Some(HashAlg::Sha256)))
        .handle
        .unwrap();
    let complete = Command::new(COMPLETE)
        .handle(sequence)
        .with(&buffer(b"abc"))
        .with(&Handle::OWNER);
    let response = run_with(&mut tpm, &complete, &[Vec::new()], &mut s);
    assert_eq!(response.rc, Rc::SUCCESS);
    assert_eq!(
        result(&response.parameters).0,
        HashAlg::Sha256.digest(&[b"abc"]).to_vec()
    );
}
