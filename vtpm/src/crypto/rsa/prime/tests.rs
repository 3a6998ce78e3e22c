//! Of the search for primes.

use super::*;
use crate::crypto::rng::Drbg;
use crypto_primes::{Flavor, is_prime};
use proptest::prelude::*;

fn is_small_prime(n: u64) -> bool {
    n > 1
        && (2..)
            .take_while(|d| d * d <= n)
            .all(|d| !n.is_multiple_of(d))
}

#[test]
fn small_primes_are_all_and_only_those() {
    for bound in [1 << 8, 1 << 16, 1 << 18] {
        let primes: Vec<u64> = SmallPrimes::below(bound).iter().collect();
        assert_eq!(&primes[..6], [3, 5, 7, 11, 13, 17]);
        assert!(primes.iter().all(|p| is_small_prime(*p)));
        // The numbers of primes below 2^8, 2^16 and 2^18, less the 2.
        let count = [(1 << 8, 53), (1 << 16, 6541), (1 << 18, 22999)];
        assert!(count.contains(&(bound, primes.len())), "{}", primes.len());
    }
}

#[test]
fn the_next_candidate() {
    let sieve = [!0, !(1 << 5 | 1 << 40), 0];
    assert_eq!(next_candidate(&sieve, 0, 192), Some(69));
    assert_eq!(next_candidate(&sieve, 70, 192), Some(104));
    assert_eq!(next_candidate(&sieve, 105, 192), Some(128));
    assert_eq!(next_candidate(&sieve, 105, 128), None);
    assert_eq!(next_candidate(&sieve, 0, 69), None);
    assert_eq!(next_candidate(&sieve, 192, 500), None);
}

/// Composites that pass with base 2, and some Carmichael numbers.
#[test]
fn pseudoprimes_fail_with_other_bases() {
    for n in [2047u64, 3277, 4033, 1_373_653, 25_326_001, 3_215_031_751] {
        let tester = Tester::new(&BoxedUint::from(n)).unwrap();
        assert!(tester.passes(BoxedUint::from(2u8)), "{n}");
        let all = [3u64, 5, 7, 11]
            .iter()
            .all(|base| tester.passes(BoxedUint::from(*base)));
        assert!(!all, "{n}");
    }
    for n in [561u64, 1105, 8911, 825_265] {
        assert!(
            !Tester::new(&BoxedUint::from(n))
                .unwrap()
                .passes(BoxedUint::from(2u8))
        );
    }
}

/// The prime is the first at or behind the start, the sieve notwithstanding.
#[test]
fn nothing_is_skipped() {
    let mut rng = Drbg::new(b"nothing is skipped", b"");
    for bound in [1 << 4, 1 << 16] {
        let small = SmallPrimes::below(bound);
        for _ in 0..3 {
            let mut search = Search::new(512, 65537);
            let mut start = None;
            let prime = loop {
                let found = search.step(&small, &mut rng).unwrap();
                match &search.state {
                    State::Scan { start: s, .. } => start = Some((**s).clone()),
                    State::Draw if found.is_none() => start = None,
                    _ => {}
                }
                if let Some(prime) = found {
                    break prime;
                }
            };
            let mut number = start.unwrap();
            assert!(is_prime(Flavor::Any, &*prime));
            while number < *prime {
                assert!(!is_prime(Flavor::Any, &number));
                number = number.wrapping_add(BoxedUint::from(2u8));
            }
            assert_eq!(number, *prime);
        }
    }
}

/// e divides p - 1 never.
#[test]
fn the_exponent_fits() {
    let mut rng = Drbg::new(b"the exponent fits", b"");
    let small = SmallPrimes::below(1 << 10);
    let e = 3 * 5 * 7;
    for _ in 0..10 {
        let mut search = Search::new(512, e);
        let prime = loop {
            if let Some(prime) = search.step(&small, &mut rng).unwrap() {
                break prime;
            }
        };
        for factor in [3, 5, 7] {
            let factor = NonZero::new(Limb(factor)).unwrap();
            assert_ne!(prime.rem_limb(factor), Limb::ONE);
        }
    }
}

proptest! {
    #[test]
    fn single_words(n in 5u64..1_000_000) {
        let n = n | 1;
        let tester = Tester::new(&BoxedUint::from(n)).unwrap();
        let passes = [2u64, 3].iter().all(|base| tester.passes(BoxedUint::from(*base)));
        // Bases 2 and 3 are sure below 1,373,653.
        prop_assert_eq!(passes, is_small_prime(n));
    }

    /// A number is thrown out if and only if a small prime divides it.
    #[test]
    fn the_sieve(seed: u64, i in 0u32..2048) {
        let small = SmallPrimes::below(1 << 10);
        let search = Search::new(512, 3);
        let mut start = random(512, &mut Drbg::new(&seed.to_be_bytes(), b""));
        start.as_mut_words()[0] |= 1;
        let sieve = search.sieve(&start, &small).unwrap();
        let number = nth(&start, i).unwrap();
        let divisible = small.iter().any(|p| number.rem_limb(NonZero::new(Limb(p)).unwrap()) == Limb::ZERO);
        prop_assert_eq!(sieve[i as usize / 64] >> (i % 64) & 1 == 1, divisible);
    }
}
