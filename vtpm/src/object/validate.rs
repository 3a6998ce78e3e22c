//! Whether public and sensitive areas that come from outside are sound and
//! belong together (Part 1, 27.6; Part 3, 12.2 and 12.3).

use crate::crypto::ecc;
use crate::crypto::hmac::ct_eq;
use crate::object::make::{keyed_hash_limit, symmetric_unique};
use crate::object::{check, load};
use crate::rc::{Rc, Result};
use crate::state::Object;
use crate::wire::{ObjectAttributes as A, ObjectType, Public, PublicParams, Sensitive, Unique};

/// The numbers of the parameters that hold the two areas, for error codes.
#[derive(Clone, Copy)]
pub struct Blame {
    /// Of the public area.
    pub public: usize,
    /// Of the sensitive area.
    pub sensitive: usize,
}

/// Checks an object that is loaded or imported. Below a parent that is
/// `fixedTPM` the sensitive area was made or checked by this TPM.
pub fn object(
    parent: Option<&Object>,
    public: &Public,
    sensitive: Option<&Sensitive>,
    blame: Blame,
) -> Result<()> {
    let rules = match sensitive {
        Some(sensitive) if public.name_alg.is_some() => {
            let limit = public.name_alg.map_or(0, |alg| alg.digest_size());
            if sensitive.seed.len() > limit {
                return Err(Rc::KEY_SIZE.parameter(blame.sensitive));
            }
            check::public_area(parent, public)
        }
        _ => check::schemes(None, public),
    };
    rules.map_err(|rc| rc.parameter(blame.public))?;
    if parent.is_some_and(|p| p.has(A::FIXED_TPM)) {
        Ok(())
    } else {
        keys(public, sensitive, blame)
    }
}

fn keys(public: &Public, sensitive: Option<&Sensitive>, blame: Blame) -> Result<()> {
    let of_public = |rc: Rc| rc.parameter(blame.public);
    let of_sensitive = |rc: Rc| rc.parameter(blame.sensitive);
    let digest_size = public.name_alg.map_or(0, |alg| alg.digest_size());
    if let Some(s) = sensitive {
        if s.kind != public.object_type() {
            return Err(of_sensitive(Rc::TYPE));
        }
        if digest_size > 0 && s.auth.len() > digest_size {
            return Err(of_sensitive(Rc::SIZE));
        }
    }
    match public.object_type() {
        ObjectType::Rsa => rsa(public, sensitive, blame)?,
        ObjectType::Ecc => ecc_key(public, sensitive, blame)?,
        ObjectType::SymCipher | ObjectType::KeyedHash => match sensitive {
            None => match &public.unique {
                Unique::Digest(d) if d.len() == digest_size => {}
                _ => return Err(of_public(Rc::KEY)),
            },
            Some(s) => symmetric(public, s, blame)?,
        },
    }
    if let Some(s) = sensitive
        && public.is_parent()
        && digest_size > 0
        && (s.seed.len() < digest_size / 2 || s.seed.len() > digest_size)
    {
        return Err(of_sensitive(Rc::SIZE));
    }
    Ok(())
}

fn rsa(public: &Public, sensitive: Option<&Sensitive>, blame: Blame) -> Result<()> {
    let (
        PublicParams::Rsa {
            key_bits, exponent, ..
        },
        Unique::Rsa(n),
    ) = (&public.params, &public.unique)
    else {
        return Err(Rc::TYPE.parameter(blame.public));
    };
    let size = usize::from(*key_bits) / 8;
    if n.len() != size || n.first().is_none_or(|b| *b < 0x80) {
        return Err(Rc::KEY.parameter(blame.public));
    }
    if *exponent != 0 && *exponent < 7 {
        return Err(Rc::VALUE.parameter(blame.public));
    }
    let Some(s) = sensitive else { return Ok(()) };
    if s.data.len() * 2 != size || s.data.first().is_none_or(|b| *b < 0x80) {
        return Err(Rc::KEY_SIZE.parameter(blame.sensitive));
    }
    // The reference blames neither area for a key that does not fit.
    load::rsa_private(public, s).map(|_| ())
}

fn ecc_key(public: &Public, sensitive: Option<&Sensitive>, blame: Blame) -> Result<()> {
    let (PublicParams::Ecc { curve, .. }, Unique::Ecc(point)) = (&public.params, &public.unique)
    else {
        return Err(Rc::TYPE.parameter(blame.public));
    };
    let Some(s) = sensitive else {
        if point.x.len() != curve.field_len() || point.y.len() != curve.field_len() {
            return Err(Rc::KEY.parameter(blame.public));
        }
        return ecc::check(*curve, &point.x, &point.y)
            .map(|_| ())
            .map_err(|_| Rc::ECC_POINT.parameter(blame.public));
    };
    let own = ecc::public_key(*curve, &s.data).map_err(|_| Rc::KEY_SIZE)?;
    if public.name_alg.is_some() {
        let same =
            ecc::check(*curve, &point.x, &point.y).is_ok_and(|p| p.x == own.x && p.y == own.y);
        if !same {
            return Err(Rc::BINDING);
        }
    }
    Ok(())
}

fn symmetric(public: &Public, s: &Sensitive, blame: Blame) -> Result<()> {
    let size_fits = match &public.params {
        PublicParams::SymCipher { symmetric } => symmetric
            .0
            .is_some_and(|aes| aes.key_bytes() == s.data.len()),
        PublicParams::KeyedHash { scheme } => s.data.len() <= keyed_hash_limit(scheme.0),
        _ => false,
    };
    if !size_fits {
        return Err(Rc::KEY_SIZE.parameter(blame.sensitive));
    }
    let Some(alg) = public.name_alg else {
        return Ok(());
    };
    if s.seed.len() != alg.digest_size() {
        return Err(Rc::KEY_SIZE.parameter(blame.sensitive));
    }
    let Unique::Digest(unique) = &public.unique else {
        return Err(Rc::TYPE.parameter(blame.public));
    };
    // A parent's may be the specification's as well as the usual one.
    let fits = |is_parent| ct_eq(unique, &symmetric_unique(alg, is_parent, s));
    if fits(public.is_parent()) || fits(false) {
        Ok(())
    } else {
        Err(Rc::BINDING.parameter(blame.public))
    }
}
