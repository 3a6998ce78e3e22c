//! PCRs, hashes and sequences: everything here is deterministic.

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{HASHES, alg, cc, rh};
use vtpm_tests::pair::Pair;

fn extend(pcr: u32, bank: u16, digest: &[u8]) -> Command {
    let fields = Fields::new().u32(1).u16(bank).raw(digest);
    Command::new(cc::PCR_EXTEND)
        .handle(pcr)
        .password(&[])
        .with(fields)
}

fn read(bank: u16, pcrs: &[u8]) -> Command {
    Command::new(cc::PCR_READ).with(Fields::new().pcrs(bank, pcrs))
}

fn event(pcr: u32, data: &[u8]) -> Command {
    Command::new(cc::PCR_EVENT)
        .handle(pcr)
        .password(&[])
        .with(Fields::new().sized(data))
}

#[test]
fn initial_values_of_all_banks() {
    let mut pair = Pair::new();
    for (bank, _) in HASHES {
        for pcr in 0..24 {
            pair.same_tail(&format!("PCR {pcr}"), &read(bank, &[pcr]), 4);
        }
        let all: Vec<u8> = (0..24).collect();
        pair.same_tail("all PCRs", &read(bank, &all), 4);
    }
    pair.finish();
}

#[test]
fn extend_and_event_and_the_update_counter() {
    let mut pair = Pair::new();
    for (bank, size) in HASHES {
        pair.same("extend", &extend(7, bank, &vec![0x5a; size]));
        pair.same_tail("read", &read(bank, &[7]), 4);
    }
    // The counter's values are each TPM's own, but not when it counts.
    let mut counters = [0, 0];
    for pcr in 0..24 {
        pair.same(
            &format!("event on {pcr}"),
            &event(pcr, b"something happened"),
        );
        let answers = pair.each(&read(alg::SHA384, &[pcr as u8]));
        let counted = [0, 1].map(|tpm: usize| {
            let now = answers[tpm].body(0).u32();
            std::mem::replace(&mut counters[tpm], now) != now
        });
        pair.compare(&format!("whether {pcr} counts"), counted[0], counted[1]);
        let [ours, theirs] = answers.map(|answer| answer.0[14..].to_vec());
        pair.compare(&format!("value of {pcr}"), ours, theirs);
    }
    pair.same("nothing to null", &event(rh::NULL, b"x"));
    pair.same("extend of null", &extend(rh::NULL, alg::SHA256, &[1; 32]));
    pair.same("long event", &event(3, &[9; 1024]));
    pair.same("too long event", &event(3, &[9; 1025]));
    pair.same("no bank", &extend(3, 0x55, &[1; 32]));
    pair.same("short digest", &extend(3, alg::SHA256, &[1; 31]));
    pair.same("long digest", &extend(3, alg::SHA256, &[1; 33]));
    pair.same("no PCR", &extend(24, alg::SHA256, &[1; 32]));
    let none = Command::new(cc::PCR_EXTEND)
        .handle(3)
        .password(&[])
        .with(Fields::new().u32(0));
    pair.same("no digests", &none);
    let without = Command::new(cc::PCR_EXTEND)
        .handle(3)
        .with(Fields::new().u32(0));
    pair.same("no sessions", &without);
    let wrong = Command::new(cc::PCR_EXTEND)
        .handle(3)
        .password(b"wrong")
        .with(Fields::new().u32(0));
    pair.same("wrong password", &wrong);
    pair.finish();
}

#[test]
fn selections() {
    let mut pair = Pair::new();
    let select = |fields: Fields| Command::new(cc::PCR_READ).with(fields);
    let banks = |count: u32| Fields::new().u32(count);
    pair.same_tail(
        "three banks",
        &select(
            banks(3)
                .u16(4)
                .u8(3)
                .raw(&[3, 0, 0])
                .u16(0xb)
                .u8(3)
                .raw(&[3, 0, 0])
                .u16(0xc)
                .u8(3)
                .raw(&[0xff, 0, 0]),
        ),
        4,
    );
    pair.same_tail(
        "a bank twice",
        &select(
            banks(2)
                .u16(0xb)
                .u8(3)
                .raw(&[3, 0, 0])
                .u16(0xb)
                .u8(3)
                .raw(&[0, 0, 0xff]),
        ),
        4,
    );
    pair.same("no bank", &select(banks(1).u16(0x77).u8(3).raw(&[1, 0, 0])));
    pair.same(
        "two bytes of selection",
        &select(banks(1).u16(0xb).u8(2).raw(&[1, 0])),
    );
    pair.same(
        "four bytes of selection",
        &select(banks(1).u16(0xb).u8(4).raw(&[1, 0, 0, 0])),
    );
    pair.same_tail("selection of nothing", &select(banks(0)), 4);
    pair.same("too many banks", &select(banks(17)));
    pair.finish();
}

#[test]
fn resets_by_locality() {
    let mut pair = Pair::new();
    for locality in 0..=4 {
        for pcr in 0..24 {
            let command = extend(pcr, alg::SHA256, &[locality; 32]).bytes();
            let [ours, theirs] = pair.each_raw(locality, &command);
            pair.compare(&format!("extend {pcr} from {locality}"), ours, theirs);
            let command = Command::new(cc::PCR_RESET)
                .handle(pcr)
                .password(&[])
                .bytes();
            let [ours, theirs] = pair.each_raw(locality, &command);
            pair.compare(&format!("reset {pcr} from {locality}"), ours, theirs);
        }
    }
    for pcr in 0..24 {
        pair.same_tail(&format!("value of {pcr}"), &read(alg::SHA256, &[pcr]), 4);
    }
    pair.finish();
}

#[test]
fn hashes_and_their_tickets() {
    let mut pair = Pair::new();
    let hash = |data: &[u8], hash: u16, hierarchy: u32| {
        Command::new(cc::HASH).with(Fields::new().sized(data).u16(hash).u32(hierarchy))
    };
    for (bank, size) in HASHES {
        for length in [0, 1, 55, 56, 63, 64, 111, 112, 127, 128, 1000, 1024] {
            pair.same(
                &format!("{length} bytes"),
                &hash(&vec![0xa5; length], bank, rh::NULL),
            );
        }
        let [ours, theirs] = pair.each(&hash(b"abc", bank, rh::OWNER));
        // The ticket's digest is of each TPM's own proof.
        pair.compare("digest", ours.0.get(..12 + size), theirs.0.get(..12 + size));
        pair.compare("length with ticket", ours.0.len(), theirs.0.len());
    }
    pair.same(
        "TPM_GENERATED",
        &hash(b"\xffTCGabc", alg::SHA256, rh::OWNER),
    );
    pair.same("too long", &hash(&[0; 1025], alg::SHA256, rh::NULL));
    pair.same("no hash", &hash(b"abc", alg::AES, rh::NULL));
    pair.same("NULL hash", &hash(b"abc", alg::NULL, rh::NULL));
    pair.same("no hierarchy", &hash(b"abc", alg::SHA256, rh::LOCKOUT));
    pair.finish();
}

#[test]
fn sequences() {
    let mut pair = Pair::new();
    let start = |hash: u16| {
        Command::new(cc::HASH_SEQUENCE_START).with(Fields::new().sized(b"pw").u16(hash))
    };
    for (bank, _) in HASHES {
        let [ours, theirs] = pair.same_code("start", &start(bank));
        pair.compare("handle", ours.handle(), theirs.handle());
        let sequence = ours.handle();
        let update = |data: &[u8]| {
            Command::new(cc::SEQUENCE_UPDATE)
                .handle(sequence)
                .password(b"pw")
                .with(Fields::new().sized(data))
        };
        for length in [0, 1, 63, 64, 200, 1024] {
            pair.same("update", &update(&vec![3; length]));
        }
        let wrong = Command::new(cc::SEQUENCE_UPDATE)
            .handle(sequence)
            .password(b"no")
            .with(Fields::new().sized(b"x"));
        pair.same("wrong password", &wrong);
        let read = Command::new(cc::READ_PUBLIC).handle(sequence);
        pair.same("a sequence has no public area", &read);
        let complete = Fields::new().sized(b"end").u32(rh::NULL);
        let complete = Command::new(cc::SEQUENCE_COMPLETE)
            .handle(sequence)
            .password(b"pw")
            .with(complete);
        pair.same("complete", &complete);
        pair.same("and it is gone", &complete);
    }
    // An event sequence goes to a PCR.
    let [ours, _] = pair.same_code("start", &start(alg::NULL));
    let sequence = ours.handle();
    let update = Command::new(cc::SEQUENCE_UPDATE)
        .handle(sequence)
        .password(b"pw")
        .with(Fields::new().sized(&[1; 500]));
    pair.same("update", &update);
    let wrong = Fields::new().sized(b"end").u32(rh::NULL);
    pair.same(
        "not SequenceComplete",
        &Command::new(cc::SEQUENCE_COMPLETE)
            .handle(sequence)
            .password(b"pw")
            .with(wrong),
    );
    let complete = Command::new(cc::EVENT_SEQUENCE_COMPLETE)
        .handle(9)
        .handle(sequence);
    let complete = complete
        .password(&[])
        .password(b"pw")
        .with(Fields::new().sized(b"end"));
    pair.same("complete", &complete);
    pair.same_tail("the PCR", &read(alg::SHA512, &[9]), 4);
    pair.same_code("no hash", &start(0x99));
    pair.finish();
}

#[test]
fn allocation() {
    let mut pair = Pair::new();
    let allocate = |fields: Fields| {
        Command::new(cc::PCR_ALLOCATE)
            .handle(rh::PLATFORM)
            .password(&[])
            .with(fields)
    };
    let one = |bank: u16, bits: [u8; 3]| Fields::new().u32(1).u16(bank).u8(3).raw(&bits);
    let [ours, theirs] = pair.each(&allocate(one(alg::SHA1, [0, 0, 0])));
    // allocationSuccess and maxPCR are the same; the sizes are each TPM's own.
    pair.compare("first answer", ours.0.get(..19), theirs.0.get(..19));
    pair.same_tail("not before the reset", &read(alg::SHA1, &[0]), 4);
    pair.reset();
    pair.startup(0);
    let banks = Command::new(cc::GET_CAPABILITY).with(Fields::new().u32(5).u32(0).u32(16));
    pair.same("banks", &banks);
    pair.same_tail("a bank that is not there", &read(alg::SHA1, &[0]), 4);
    pair.same(
        "extend of a bank that is not there",
        &extend(3, alg::SHA1, &[1; 20]),
    );
    // swtpm tells the digests of the banks that are off, too.
    pair.code("event", &event(3, b"abc"));
    pair.code("no bank", &allocate(one(0x77, [0, 0, 0])));
    pair.finish();
}
