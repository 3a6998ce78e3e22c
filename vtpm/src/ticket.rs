//! Tickets (Part 2, 10.6): HMACs with a hierarchy's proof over what this TPM
//! did, so that it can believe it later.

use crate::crypto::hash::HashAlg;
use crate::crypto::hmac::{ct_eq, hmac};
use crate::state::State;
use crate::wire::{Handle, Marshal, RhHierarchy, Ticket, Tpm2bDigest, st};

/// The hash algorithm of tickets, a choice of this TPM's own.
const ALG: HashAlg = HashAlg::Sha512;

fn make(state: &State, tag: u16, hierarchy: RhHierarchy, parts: &[&[u8]]) -> Ticket {
    let tag_bytes = tag.to_bytes();
    let mut all: alloc::vec::Vec<&[u8]> = alloc::vec![&tag_bytes];
    all.extend_from_slice(parts);
    Ticket {
        tag,
        hierarchy,
        digest: Tpm2bDigest::from(hmac(ALG, state.proof_of(hierarchy), &all)),
    }
}

/// A ticket that proves nothing.
#[must_use]
pub fn null(tag: u16) -> Ticket {
    Ticket {
        tag,
        hierarchy: RhHierarchy(Handle::NULL),
        digest: Tpm2bDigest::empty(),
    }
}

/// Whether a ticket that came back is the one that would be made now. A NULL
/// ticket never is.
#[must_use]
pub fn matches(given: &Ticket, own: &Ticket) -> bool {
    !own.digest.is_empty()
        && given.tag == own.tag
        && given.hierarchy == own.hierarchy
        && ct_eq(&given.digest, &own.digest)
}

/// The ticket that the object with a Name was created with creation data of a
/// hash. Unlike the others there is one for the NULL hierarchy too, as Part 3,
/// 18.3 counts on: it dies at the next reset.
#[must_use]
pub fn creation(state: &State, hierarchy: RhHierarchy, name: &[u8], hash: &[u8]) -> Ticket {
    make(state, st::CREATION, hierarchy, &[name, hash])
}

/// The ticket that a signature over a digest was verified with the key of a
/// Name. There is none for the NULL hierarchy.
#[must_use]
pub fn verified(state: &State, hierarchy: RhHierarchy, digest: &[u8], key_name: &[u8]) -> Ticket {
    if *hierarchy == Handle::NULL || key_name.is_empty() {
        return null(st::VERIFIED);
    }
    make(state, st::VERIFIED, hierarchy, &[digest, key_name])
}

/// The ticket that a digest was made by this TPM of data that do not pretend
/// to come from a TPM. There is none for the NULL hierarchy.
#[must_use]
pub fn hash_check(state: &State, hierarchy: RhHierarchy, alg: HashAlg, digest: &[u8]) -> Ticket {
    if *hierarchy == Handle::NULL {
        return null(st::HASHCHECK);
    }
    make(state, st::HASHCHECK, hierarchy, &[&alg.to_bytes(), digest])
}

/// The ticket of an authorization by PolicySigned or PolicySecret
/// ([`st::AUTH_SIGNED`], [`st::AUTH_SECRET`]).
#[must_use]
pub fn authorization(state: &State, tag: u16, hierarchy: RhHierarchy, parts: &[&[u8]]) -> Ticket {
    make(state, tag, hierarchy, parts)
}
