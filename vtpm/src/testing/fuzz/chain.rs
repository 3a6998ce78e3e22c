//! Chains: commands of which each needs what the one before it gave. Random
//! commands alone would never find a blob that decrypts, a signature that
//! holds, or a session whose policy is fulfilled.
//!
//! Before a command of a chain some like it are sent, a few bytes changed.

mod authority;
mod data;
mod exchange;
mod keyed;
mod movement;
mod parts;
mod words;

use super::{Fuzz, check, mutate};
use crate::testing::{Command, Response};
use crate::wire::{Handle, Reader, Unmarshal};

/// What a chain is: `None` when one of its commands failed.
type Chain = fn(&mut Fuzz) -> Option<()>;

/// All chains by name.
pub const CHAINS: &[(&str, Chain)] = &[
    ("credential", movement::credential),
    ("duplication", movement::duplication),
    ("derivation", movement::derivation),
    ("RSA encryption", exchange::rsa),
    ("ECDH", exchange::ecdh),
    ("ECC encryption", exchange::ecc),
    ("ECDAA", exchange::ecdaa),
    ("session with a key", keyed::session),
    ("signature", authority::signature),
    ("creation", authority::creation),
    ("certificate", authority::certificate),
    ("session audit", authority::session_audit),
    ("symmetric encryption", data::symmetric),
    ("sequence", data::sequence),
    ("an object's auth value", data::object_auth),
    ("NV certification", data::nv_certify),
    ("NV under a policy", authority::nv),
    ("PCR under a policy", authority::pcr),
    ("approved policy", words::approved),
    ("signed policy", words::signed),
    ("secret policy", words::secret),
];

/// Runs the chain with a number, modulo how many there are, and says whether it
/// came to its end.
pub(super) fn run(fuzz: &mut Fuzz, number: usize) -> bool {
    let (_, chain) = CHAINS[number % CHAINS.len()];
    fuzz.tpm.platform().available = true;
    fuzz.make_room();
    chain(fuzz).is_some()
}

impl Fuzz {
    /// Flushes objects and sessions, so that there is room for a chain's.
    fn make_room(&mut self) {
        for h in self.tpm.live_handles() {
            if matches!(h >> 24, 0x02 | 0x03 | 0x80) {
                let flush = Command::new(0x165).with(&Handle(h)).to_bytes();
                check(&mut self.tpm, 0, &flush, &mut self.met);
            }
        }
    }

    /// Sends a command, perhaps after others that are almost the same.
    fn ask(&mut self, command: &Command) -> Option<Response> {
        let bytes = command.to_bytes();
        if self.near && self.g.once_in(3) {
            for _ in 0..1 + self.g.below(4) {
                let mut near = bytes.clone();
                mutate(&mut self.g, &mut near);
                self.tpm.platform().available = !self.g.once_in(20);
                check(&mut self.tpm, 0, &near, &mut self.met);
            }
            self.tpm.platform().available = true;
        }
        let response = check(&mut self.tpm, 0, &bytes, &mut self.met);
        self.keep(bytes);
        response
    }

    /// The first parameter of the answer.
    fn first<T: Unmarshal>(&mut self, command: &Command) -> Option<T> {
        let response = self.ask(command)?;
        Reader::new(&response.parameters).read().ok()
    }
}
