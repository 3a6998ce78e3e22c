//! Files that were found to be new in kind by `examples/fuzz_files.rs`, and hostile ones of our
//! own: whatever is done with them ends in a report or an error.

mod common;

use std::collections::BTreeSet;

use common::fuzz::{Input, Seed, exercise, print_input_on_panic};

fn corpus() -> Vec<Input> {
    let lines = include_str!("data/corpus.txt").lines();
    lines.map(|line| line.parse().unwrap()).collect()
}

#[test]
fn the_corpus_is_replayed() {
    print_input_on_panic();
    let outcomes: BTreeSet<String> = corpus().iter().map(exercise).collect();
    // They differ in what comes of them; if few do, the seeds have lost their meaning.
    assert!(outcomes.len() > 60, "{} outcomes", outcomes.len());
}

#[test]
fn files_cut_short_anywhere_are_refused() {
    print_input_on_panic();
    for seed in Seed::ALL {
        let end = seed.bytes().len();
        for length in (0..2048).chain((2048..end).step_by(509)) {
            let input = Input {
                seed,
                edits: vec![],
                length: Some(length),
            };
            let outcome = exercise(&input);
            assert!(
                outcome.contains("fixed header, offset"),
                "{input}: {outcome}"
            );
        }
    }
}

#[test]
fn inputs_are_written_as_they_are_read() {
    for line in include_str!("data/corpus.txt").lines() {
        assert_eq!(line.parse::<Input>().unwrap().to_string(), line);
    }
    for bad in [
        "",
        "poor",
        "plain 5",
        "plain x=00",
        "plain 0=0",
        "rich length=",
    ] {
        assert!(bad.parse::<Input>().is_err(), "{bad}");
    }
}
