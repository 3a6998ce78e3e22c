//! Changes IGVM files at random and does with them all that the tool can do:
//! `cargo run --release -p igvm-builder --example fuzz_files -- SECONDS`.
//!
//! An input that ends in something new is printed and changed further. What is worth
//! keeping goes into tests/data/corpus.txt, which `cargo test` replays. A panic prints its
//! input.
#![forbid(unsafe_code)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use common::fuzz::{Input, Seed, exercise, print_input_on_panic};

/// The fixed header, and as many bytes of variable headers as are changed.
const HEADERS: usize = 1700;
/// Words that mean something somewhere.
const WORDS: [u32; 20] = [
    0,
    1,
    2,
    3,
    8,
    0x10,
    0xfff,
    0x1000,
    0x1001,
    0x101,
    0x104,
    0x301,
    0x302,
    0x303,
    0x304,
    0x30b,
    0x7fff_f000,
    0x8000_0000,
    0xffff_f000,
    0xffff_ffff,
];

/// xorshift64*: which changes are tried hangs on the seed alone.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn change(input: &Input, random: &mut Random) -> Input {
    let mut input = input.clone();
    for _ in 0..=random.below(3) {
        match random.below(12) {
            0 => input.length = Some(random.below(0x9000)),
            1 if !input.edits.is_empty() => {
                let at = random.below(input.edits.len());
                input.edits.remove(at);
            }
            2..5 => {
                let byte = random.next() as u8;
                input.edits.push((random.below(HEADERS), vec![byte]));
            }
            5 => {
                // One header over another.
                let file = input.bytes();
                let (from, to) = (random.below(HEADERS / 8) * 8, random.below(HEADERS / 8) * 8);
                if let Some(bytes) = file.get(from..from + 8 * (1 + random.below(4))) {
                    input.edits.push((to, bytes.to_vec()));
                }
            }
            _ => {
                let word = WORDS[random.below(WORDS.len())];
                let at = random.below(HEADERS / 4) * 4;
                input.edits.push((at, word.to_le_bytes().to_vec()));
            }
        }
    }
    input
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let seconds = seconds.unwrap_or(10);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = now.map_or(1, |now| now.as_nanos() as u64) | 1;
    eprintln!("{seconds} seconds, seed {seed:#x}");
    print_input_on_panic();
    let mut random = Random(seed);
    let mut corpus: Vec<Input> = include_str!("../tests/data/corpus.txt")
        .lines()
        .map(|line| line.parse().expect("a line of the corpus"))
        .collect();
    corpus.extend(Seed::ALL.map(|seed| Input {
        seed,
        edits: vec![],
        length: None,
    }));
    let mut seen: BTreeSet<String> = corpus.iter().map(exercise).collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut tried, known) = (0u64, corpus.len());
    while Instant::now() < end {
        let input = change(&corpus[random.below(corpus.len())], &mut random);
        tried += 1;
        if seen.insert(exercise(&input)) {
            println!("{input}");
            corpus.push(input);
        }
    }
    eprintln!(
        "{tried} files, {} of them new in kind",
        corpus.len() - known
    );
}
