//! Which public areas can be: attributes that fit each other and the parent,
//! and schemes that fit the attributes (Part 1, 25 and 27; Part 2, 8.3; Part 3,
//! 12.1).

use crate::rc::{Rc, Result};
use crate::state::Object;
use crate::wire::{Kdf, ObjectAttributes as A, ObjectType, Public, PublicParams, Scheme};

/// Whether an object protects others below it.
#[must_use]
pub fn is_storage_parent(object: &Object) -> bool {
    is_loaded_parent(object) && object.public.object_type() != ObjectType::KeyedHash
}

/// Whether keys are derived from an object.
#[must_use]
pub fn is_derivation_parent(object: &Object) -> bool {
    is_loaded_parent(object) && object.public.object_type() == ObjectType::KeyedHash
}

fn is_loaded_parent(object: &Object) -> bool {
    object.public.is_parent() && !object.flags.has(crate::state::ObjectFlags::EXTERNAL)
}

/// Whether a public area is that of a key that protects others with a seed:
/// a storage key, here or in another TPM.
#[must_use]
pub fn is_storage_key(public: &Public) -> bool {
    public.is_parent() && public.object_type() != ObjectType::KeyedHash
}

/// What creation asks of a template beyond what loading does.
pub fn creation(parent: Option<&Object>, public: &Public, data_len: usize) -> Result<()> {
    let a = public.attributes;
    let origin = a.has(A::SENSITIVE_DATA_ORIGIN);
    if !origin && data_len == 0 {
        return Err(Rc::ATTRIBUTES);
    }
    let derived = parent.is_some_and(is_derivation_parent);
    if parent.is_some() && !derived && origin && data_len != 0 {
        return Err(Rc::ATTRIBUTES);
    }
    let kind = public.object_type();
    if kind == ObjectType::KeyedHash && !a.has_any(A::SIGN.with(A::DECRYPT)) && origin {
        return Err(Rc::ATTRIBUTES);
    }
    if !origin {
        // Asymmetric keys are always made here; restricted symmetric ones too,
        // unless they can be duplicated.
        let fixed = a.has(A::RESTRICTED) && a.has_any(A::FIXED_PARENT.with(A::FIXED_TPM));
        if kind.is_asymmetric() || fixed {
            return Err(Rc::ATTRIBUTES);
        }
    }
    public_area(parent, public)
}

/// The rules for the public area of an object with a sensitive area. Without
/// a parent it is a primary or an external object.
pub fn public_area(parent: Option<&Object>, public: &Public) -> Result<()> {
    let a = public.attributes;
    let alg = public.name_alg.ok_or(Rc::HASH)?;
    if !public.auth_policy.is_empty() && public.auth_policy.len() != alg.digest_size() {
        return Err(Rc::SIZE);
    }
    if parent.is_none_or(|p| p.has(A::FIXED_TPM)) {
        if a.has(A::FIXED_PARENT) != a.has(A::FIXED_TPM) {
            return Err(Rc::ATTRIBUTES);
        }
    } else if a.has(A::FIXED_TPM) {
        return Err(Rc::ATTRIBUTES);
    }
    if a.has(A::SIGN) == a.has(A::DECRYPT) {
        if a.has(A::RESTRICTED) {
            return Err(Rc::ATTRIBUTES);
        }
        // Only data is for neither.
        if public.object_type() != ObjectType::KeyedHash && !a.has(A::SIGN) {
            return Err(Rc::ATTRIBUTES);
        }
    }
    if a.has(A::FIXED_TPM) && a.has(A::ENCRYPTED_DUPLICATION) {
        return Err(Rc::ATTRIBUTES);
    }
    if let Some(parent) = parent {
        if !parent.has(A::FIXED_TPM)
            && a.has(A::ENCRYPTED_DUPLICATION) != parent.has(A::ENCRYPTED_DUPLICATION)
        {
            return Err(Rc::ATTRIBUTES);
        }
        if is_derivation_parent(parent)
            && (a.has(A::FIXED_TPM) != parent.has(A::FIXED_TPM) || !a.has(A::FIXED_PARENT))
        {
            return Err(Rc::ATTRIBUTES);
        }
    }
    schemes(parent, public)
}

/// Whether schemes and symmetric algorithms fit the attributes.
pub fn schemes(parent: Option<&Object>, public: &Public) -> Result<()> {
    let a = public.attributes;
    let is_parent = a.has(A::RESTRICTED.with(A::DECRYPT));
    match &public.params {
        PublicParams::SymCipher { .. } => {}
        PublicParams::KeyedHash { scheme } => return keyed_hash_scheme(a, scheme.0),
        PublicParams::Rsa {
            symmetric, scheme, ..
        } => {
            asymmetric_scheme(a, scheme.0)?;
            if !is_parent && symmetric.0.is_some() {
                return Err(Rc::SYMMETRIC);
            }
        }
        PublicParams::Ecc {
            symmetric,
            scheme,
            kdf,
            ..
        } => {
            asymmetric_scheme(a, scheme.0)?;
            if !is_parent && symmetric.0.is_some() {
                return Err(Rc::SYMMETRIC);
            }
            if kdf.0.is_some() {
                return Err(Rc::KDF);
            }
        }
    }
    if !is_parent {
        return Ok(());
    }
    // Any mode will do, and none: what is below is protected by CFB, whatever
    // the area says (Part 1, 22.4). The reference has it so, and tpm2-tools asks
    // for AES storage keys without a mode.
    if public.params.symmetric().0.is_none() {
        return Err(Rc::SYMMETRIC);
    }
    // Below a parent that it cannot leave, a parent protects in the same way.
    if let Some(parent) = parent.filter(|_| a.has(A::FIXED_PARENT)) {
        if public.name_alg != parent.public.name_alg {
            return Err(Rc::HASH);
        }
        if public.params.symmetric() != parent.public.params.symmetric() {
            return Err(Rc::SYMMETRIC);
        }
    }
    Ok(())
}

fn keyed_hash_scheme(a: A, scheme: Scheme) -> Result<()> {
    match (a.has(A::SIGN), a.has(A::DECRYPT)) {
        (true, true) | (false, false) if scheme != Scheme::Null => Err(Rc::SCHEME),
        (true, true) | (false, false) => Ok(()),
        (true, false) => match scheme {
            Scheme::Hmac(_) => Ok(()),
            _ => Err(Rc::SCHEME),
        },
        (false, true) => match scheme {
            Scheme::Xor { kdf, .. } if !a.has(A::RESTRICTED) || kdf == Some(Kdf::Kdf1Sp800_108) => {
                Ok(())
            }
            _ => Err(Rc::SCHEME),
        },
    }
}

fn asymmetric_scheme(a: A, scheme: Scheme) -> Result<()> {
    let restricted = a.has(A::RESTRICTED);
    let good = match (a.has(A::SIGN), a.has(A::DECRYPT)) {
        (true, false) => scheme.signs() || !restricted && scheme == Scheme::Null,
        (false, true) if restricted => scheme == Scheme::Null,
        (false, true) => scheme == Scheme::Null || !scheme.signs(),
        _ => scheme == Scheme::Null,
    };
    if good { Ok(()) } else { Err(Rc::SCHEME) }
}
