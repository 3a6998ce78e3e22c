//! An identity that survives: the endorsement seed out of a key that the secure processor derives.

use vtpm::crypto::rng::{Drbg, Random};
use vtpm::limits::SEED_SIZE;
use zeroize::Zeroizing;

/// The endorsement primary seed of the holder of `key`. The derivation is frozen: a change would give
/// every owner of an image another endorsement key.
pub(crate) fn endorsement_seed(key: &[u8; 32]) -> Zeroizing<[u8; SEED_SIZE]> {
    let mut seed = Zeroizing::new([0; SEED_SIZE]);
    Drbg::derive(key, b"rampart endorsement primary seed", &[]).fill(&mut *seed);
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivation_stays_what_it_is() {
        let seed = endorsement_seed(&[7; 32]);
        // Computed with Python's hmac.
        assert_eq!(seed[..8], [0x8A, 0x3E, 0x32, 0x71, 0x46, 0x73, 0x2E, 0x79]);
        assert_ne!(seed, endorsement_seed(&[8; 32]));
    }
}
