//! The RSA keys of the test chain's authorities. Anybody can compute them: they
//! follow from labels, so that the build looks for no primes and every build has the
//! same keys.

use core::convert::Infallible;

use rsa::pss::SigningKey;
use rsa::rand_core::{TryCryptoRng, TryRng};
use rsa::{BoxedUint, RsaPrivateKey};
use sha2::{Digest, Sha384};

use crate::Error;

/// The size of each prime in bytes: half of 4,096 bits.
const PRIME: usize = 256;
/// The public exponent, as AMD's keys have it.
const EXPONENT: u64 = 65537;

/// An authority of the chain.
pub(crate) struct Authority {
    /// What its primes' labels begin with.
    role: &'static str,
    /// How far each prime lies above the number of its label: the first one there of
    /// which the exponent has an inverse. `tests.rs` says whether they are primes.
    above: [u16; 2],
}

impl Authority {
    pub(crate) const ARK: Self = Self {
        role: "ARK",
        above: [20, 2378],
    };
    pub(crate) const ASK: Self = Self {
        role: "ASK",
        above: [3122, 2192],
    };

    /// Its key, which signs as AMD's do: RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    pub(crate) fn key(&self) -> Result<SigningKey<Sha384>, Error> {
        let [p, q] = self.primes();
        let key = RsaPrivateKey::from_p_q(p, q, EXPONENT.into());
        let key = key.map_err(|_| Error::MissingAttributes)?;
        Ok(SigningKey::new(key))
    }

    pub(crate) fn primes(&self) -> [BoxedUint; 2] {
        let [p, q] = self.above;
        [self.prime("p", p), self.prime("q", q)]
    }

    /// The number of a label, with the two highest bits and the lowest set, and so much
    /// more.
    fn prime(&self, part: &str, above: u16) -> BoxedUint {
        let mut bytes = [0; PRIME];
        let label = format!("emulated machine, test key: {} {part}", self.role);
        Stream::new(&label).fill(&mut bytes);
        bytes[0] |= 0xc0;
        bytes[PRIME - 1] |= 1;
        BoxedUint::from_be_slice_vartime(&bytes).wrapping_add(BoxedUint::from(above))
    }
}

/// The bytes of a label: SHA-384 of it with a counter, over and over. It stands for
/// randomness where the chain has to come out the same each time, and has none.
pub(crate) struct Stream {
    label: Vec<u8>,
    counter: u8,
    rest: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(label: &str) -> Self {
        Self {
            label: label.into(),
            counter: 0,
            rest: Vec::new(),
        }
    }

    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.rest.is_empty() {
                let block = Sha384::new()
                    .chain_update(&self.label)
                    .chain_update([self.counter]);
                // Taken from the end.
                self.rest = block.finalize().iter().rev().copied().collect();
                self.counter = self.counter.wrapping_add(1);
            }
            *byte = self.rest.pop().unwrap_or_default();
        }
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Stream {}
