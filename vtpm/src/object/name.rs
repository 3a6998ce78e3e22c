//! Names (Part 1, 14).

use crate::crypto::hash::HashAlg;
use crate::rc::Result;
use crate::state::State;
use crate::wire::{Handle, Marshal, Public, Tpm2bName};

/// An algorithm's identifier and a digest of it.
fn tagged(alg: HashAlg, parts: &[&[u8]]) -> Tpm2bName {
    let mut name = alg.to_bytes();
    name.extend_from_slice(&alg.digest(parts));
    Tpm2bName::cut(&name)
}

/// The Name of an object: nameAlg ‖ H(publicArea). Without a name algorithm
/// there is none, and it is empty.
#[must_use]
pub fn of_public(public: &Public) -> Tpm2bName {
    match public.name_alg {
        Some(alg) => tagged(alg, &[&public.to_bytes()]),
        None => Tpm2bName::empty(),
    }
}

/// The Qualified Name of an object below a parent:
/// nameAlg ‖ H(QN of the parent ‖ Name).
#[must_use]
pub fn qualified(parent: &Tpm2bName, alg: Option<HashAlg>, name: &Tpm2bName) -> Tpm2bName {
    match alg {
        Some(alg) => tagged(alg, &[parent, name]),
        None => Tpm2bName::empty(),
    }
}

/// The Qualified Name of an object's or hierarchy's handle; that of a
/// hierarchy is the handle.
pub fn qualified_of(state: &State, h: Handle) -> Result<Tpm2bName> {
    if h.is_object() {
        Ok(state.object(h)?.qualified_name.clone())
    } else {
        Ok(Tpm2bName::cut(&h.to_bytes()))
    }
}
