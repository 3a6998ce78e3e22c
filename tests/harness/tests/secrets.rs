//! What anybody can read of a run has no key in it: the log of VMPL0 goes to the host.

use boot_tests::{Launch, Run};
use snp_model::psp::emulated::vmpcks;

/// Bytes of a key that are looked for: fewer could be chance, more could be cut by a line's end.
const PART: usize = 6;

/// The ways in which the first bytes of a key could have been printed.
fn spellings(key: &[u8; 32]) -> Vec<String> {
    let part = &key[..PART];
    let hex = |bytes: &mut dyn Iterator<Item = &u8>| -> String {
        bytes.map(|byte| format!("{byte:02x}")).collect()
    };
    let decimal: Vec<String> = part.iter().map(u8::to_string).collect();
    vec![
        hex(&mut part.iter()),
        // As a number, and as the numbers of a dump in words of 32 bits.
        hex(&mut key[..8].iter().rev()),
        hex(&mut key[..4].iter().rev()) + &hex(&mut key[4..8].iter().rev()),
        decimal.join(","),
    ]
}

/// The log as one text: small letters, no spaces, no line ends, no prefix of hexadecimal numbers.
fn squeezed(run: &Run) -> String {
    let text = run.console.join("\n").to_lowercase().replace("0x", "");
    text.chars()
        .filter(|c| !c.is_whitespace() && !"_:-".contains(*c))
        .collect()
}

#[track_caller]
fn assert_no_key(run: &Run) {
    let text = squeezed(run);
    for (level, key) in vmpcks().iter().enumerate() {
        for spelling in spellings(key) {
            assert!(!text.contains(&spelling), "VMPCK{level}{}", run.report());
        }
    }
}

#[test]
fn threat_62_no_key_is_in_the_log() {
    let run = Launch::test_guest().run();
    assert!(run.line(" passed, 0 failed").is_some(), "{}", run.report());
    assert_no_key(&run);
    for scenario in [
        // The key is wiped, and the log says why.
        "when nae 0x80000011 vmpl0 #1 message flip 0x60 0",
        "when nae 0x80000012 vmpl0 #1 message drop",
        // The machine ends in the middle of an exchange.
        "when nae 0x80000011 vmpl0 #1 ghcb invalid",
        "when nae 0x80000012 vmpl0 #1 inject 14 0",
    ] {
        let run = Launch::test_guest()
            .scenario(&format!("{scenario}\n"))
            .run();
        assert!(run.line("snp-machine: invariant: ok").is_some());
        assert_no_key(&run);
    }
}

#[test]
fn a_key_that_is_printed_is_seen() {
    let key: [u8; 32] = std::array::from_fn(|at| 0xa0 + at as u8);
    let as_words = "a3a2a1a0a7a6a5a4";
    let spellings = spellings(&key);
    assert_eq!(spellings[0], "a0a1a2a3a4a5");
    assert_eq!(spellings[1], "a7a6a5a4a3a2a1a0");
    assert_eq!(spellings[2], as_words);
    assert_eq!(spellings[3], "160,161,162,163,164,165");
}
