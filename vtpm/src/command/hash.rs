//! cpHash and rpHash (Part 1, 16.7 and 16.8).

use crate::crypto::hash::{Digest, HashAlg, Hasher};
use crate::wire::Tpm2bName;

/// cpHash = H(commandCode ‖ names of the handles ‖ parameters).
#[must_use]
pub fn cp_hash(alg: HashAlg, code: u32, names: &[Tpm2bName], parameters: &[u8]) -> Digest {
    let mut h = Hasher::new(alg);
    h.update(&code.to_be_bytes());
    for name in names {
        h.update(name);
    }
    h.update(parameters);
    h.finalize()
}

/// nameHash = H(names of the handles).
#[must_use]
pub fn name_hash(alg: HashAlg, names: &[Tpm2bName]) -> Digest {
    let mut h = Hasher::new(alg);
    for name in names {
        h.update(name);
    }
    h.finalize()
}

/// pHash = H(commandCode ‖ parameters), as PolicyParameters binds it.
#[must_use]
pub fn parameters_hash(alg: HashAlg, code: u32, parameters: &[u8]) -> Digest {
    alg.digest(&[&code.to_be_bytes(), parameters])
}

/// rpHash = H(responseCode ‖ commandCode ‖ parameters), for a success.
#[must_use]
pub fn rp_hash(alg: HashAlg, code: u32, parameters: &[u8]) -> Digest {
    alg.digest(&[&0u32.to_be_bytes(), &code.to_be_bytes(), parameters])
}
