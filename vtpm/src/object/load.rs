//! Objects in their place: what an object takes from its parent, and what it
//! needs to be used.

use crate::crypto::hash::HashAlg;
use crate::crypto::rsa::PrivateKey;
use crate::object::make::DEFAULT_EXPONENT;
use crate::object::name;
use crate::rc::{Rc, Result};
use crate::state::{Object, ObjectFlags, State, Transient};
use crate::wire::{
    Handle, HandleType, ObjectAttributes, Public, PublicParams, RhHierarchy, Sensitive, Tpm2bAuth,
    Unique,
};
use alloc::boxed::Box;

/// An auth value without trailing zeros must not be longer than the digest of
/// the name algorithm (TPM_RC_SIZE); it is kept with exactly that size, so
/// that what leaves the TPM does not tell its length.
pub fn padded_auth(auth: &Tpm2bAuth, alg: Option<HashAlg>) -> Result<Tpm2bAuth> {
    let short = auth.without_trailing_zeros();
    let Some(alg) = alg else { return Ok(short) };
    let mut padded = Tpm2bAuth::zeros(alg.digest_size());
    padded
        .as_mut_slice()
        .get_mut(..short.len())
        .ok_or(Rc::SIZE)?
        .copy_from_slice(&short);
    Ok(padded)
}

/// An object below `parent`: an object or a hierarchy. `flags` says whether it
/// is external; the rest follows from the parent.
pub fn place(
    state: &State,
    parent: Handle,
    public: Public,
    sensitive: Option<Sensitive>,
    flags: ObjectFlags,
) -> Result<Object> {
    let name = name::of_public(&public);
    let external = flags.has(ObjectFlags::EXTERNAL);
    let mut flags = flags;
    let hierarchy = if parent.kind() == HandleType::Permanent {
        if parent == Handle::NULL {
            flags = flags.with(ObjectFlags::TEMPORARY);
        } else {
            flags = flags.with(ObjectFlags::PRIMARY);
        }
        RhHierarchy(parent)
    } else {
        let above = state.object(parent)?;
        for inherited in [ObjectFlags::TEMPORARY, ObjectFlags::ST_CLEAR] {
            if above.flags.has(inherited) {
                flags = flags.with(inherited);
            }
        }
        above.hierarchy
    };
    if external {
        flags = flags.with(ObjectFlags::TEMPORARY);
    }
    if public.attributes.has(ObjectAttributes::ST_CLEAR) {
        flags = flags.with(ObjectFlags::ST_CLEAR);
    }
    let qualified_name = if external {
        name.clone()
    } else {
        name::qualified(&name::qualified_of(state, parent)?, public.name_alg, &name)
    };
    Ok(Object {
        public,
        sensitive,
        name,
        qualified_name,
        hierarchy,
        flags,
        rsa: None,
    })
}

/// The RSA private key of a prime and a public area; TPM_RC_BINDING when they
/// do not belong together.
pub fn rsa_private(public: &Public, sensitive: &Sensitive) -> Result<Box<PrivateKey>> {
    let (PublicParams::Rsa { exponent, .. }, Unique::Rsa(n)) = (&public.params, &public.unique)
    else {
        return Err(Rc::TYPE);
    };
    PrivateKey::from_prime(n, effective_exponent(*exponent), &sensitive.data)
        .map(Box::new)
        .map_err(|_| Rc::BINDING)
}

/// The exponent that a public area's field stands for.
#[must_use]
pub fn effective_exponent(exponent: u32) -> u32 {
    if exponent == 0 {
        DEFAULT_EXPONENT
    } else {
        exponent
    }
}

impl State {
    /// Makes the RSA key of a loaded object ready for use and keeps it ready.
    /// For objects of other kinds, and public ones, there is nothing to do.
    pub fn prepare_rsa(&mut self, h: Handle) -> Result<()> {
        let object = match h.kind() {
            HandleType::Transient => match self.volatile.transient.get_mut(&h.0) {
                Some(Transient::Object(o)) => &mut **o,
                _ => return Ok(()),
            },
            // The stored form does not hold it: nothing to commit.
            HandleType::Persistent => self.persistent.volatile_mut(h).ok_or(Rc::HANDLE)?,
            _ => return Ok(()),
        };
        if object.rsa.is_none()
            && let (PublicParams::Rsa { .. }, Some(sensitive)) =
                (&object.public.params, &object.sensitive)
        {
            object.rsa = Some(rsa_private(&object.public, sensitive)?);
        }
        Ok(())
    }
}

impl Object {
    /// The RSA key, after [`State::prepare_rsa`]; TPM_RC_KEY when there is
    /// none.
    pub fn rsa_key(&self) -> Result<&PrivateKey> {
        self.rsa.as_deref().ok_or(Rc::KEY)
    }

    /// The sensitive area; TPM_RC_KEY for a public object.
    pub fn secrets(&self) -> Result<&Sensitive> {
        self.sensitive.as_ref().ok_or(Rc::KEY)
    }
}
