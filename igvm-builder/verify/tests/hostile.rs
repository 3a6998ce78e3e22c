//! Whatever the files hold, there is a verdict, and it is not "verified".

use std::sync::LazyLock;

use proptest::prelude::*;
use rampart_verify::claim::Outcome;
use rampart_verify::evidence::Evidence;
use rampart_verify::testing::{demands, evidence};
use rampart_verify::verify;

static GENUINE: LazyLock<Evidence> = LazyLock::new(|| evidence(1));

/// Files of which every bit counts. A certificate table may lack authorities, a log says
/// more than what is measured, and expected.json is text.
const EXACT: [&str; 11] = [
    "report.bin",
    "nonce.bin",
    "manifest.bin",
    "ek.pub",
    "ak.pub",
    "credential.blob",
    "credential.secret",
    "credential.answer",
    "quote.bin",
    "quote.sig",
    "pcrs.bin",
];

/// All files that the evidence has.
fn files() -> Vec<&'static str> {
    let mut genuine = GENUINE.clone();
    let names = Evidence::FILES.iter().copied();
    names
        .filter(|name| genuine.file(name).unwrap().is_some())
        .collect()
}

/// The verdict when a file's bytes are changed.
fn with(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Outcome {
    let mut evidence = GENUINE.clone();
    change(evidence.file(name).unwrap().as_mut().unwrap());
    verify(&evidence, &demands()).outcome
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn one_bit_of_a_file_is_noticed(name in prop::sample::select(&EXACT[..]), place: prop::sample::Index, bit in 0u8..8) {
        let outcome = with(name, |bytes| {
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
        });
        prop_assert_ne!(outcome, Outcome::Verified, "{}", name);
    }

    #[test]
    fn a_file_that_is_cut_off_is_noticed(name in prop::sample::select(files()), place: prop::sample::Index) {
        let outcome = with(name, |bytes| bytes.truncate(place.index(bytes.len())));
        prop_assert_ne!(outcome, Outcome::Verified, "{}", name);
    }

    #[test]
    fn a_file_with_more_is_noticed(name in prop::sample::select(&EXACT[..]), more in prop::collection::vec(any::<u8>(), 1..100)) {
        let outcome = with(name, |bytes| bytes.extend(more));
        prop_assert_ne!(outcome, Outcome::Verified, "{}", name);
    }

    #[test]
    fn a_log_or_a_table_with_more_has_a_verdict(name in prop::sample::select(vec!["eventlog.bin", "certs.bin", "expected.json"]), more: Vec<u8>) {
        with(name, |bytes| bytes.extend(more));
    }

    #[test]
    fn a_file_of_anything_is_looked_at(name in prop::sample::select(files()), anything: Vec<u8>) {
        let outcome = with(name, |bytes| *bytes = anything);
        prop_assert_ne!(outcome, Outcome::Verified, "{}", name);
    }

    #[test]
    fn bytes_of_a_file_may_be_any(name in prop::sample::select(files()), places: Vec<(prop::sample::Index, u8)>) {
        with(name, |bytes| {
            for (place, byte) in places {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        });
    }
}
