//! The making of objects: keys, seeds and unique fields (Part 1, 26 and 27.6).

use crate::context::Context;
use crate::crypto::ecc;
use crate::crypto::hash::HashAlg;
use crate::crypto::hmac::hmac;
use crate::crypto::rng::{Drbg, Random};
use crate::crypto::rsa::PrivateKey;
use crate::limits::MAX_SYM_DATA;
use crate::object::{load, name};
use crate::rc::{Rc, Result};
use crate::state::{Object, ObjectFlags, State};
use crate::wire::{
    Bytes, EccPoint, Handle, Marshal, ObjectAttributes as A, ObjectType, Public, PublicParams,
    RhHierarchy, Scheme, Sensitive, SensitiveCreate, Tpm2bDigest, Tpm2bEccParameter,
    Tpm2bPublicKeyRsa, Unique,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// The exponent that an RSA key with exponent 0 has.
pub const DEFAULT_EXPONENT: u32 = 65537;

/// What the purpose of a primary object's random stream is called. Together
/// with [`primary_stream`] it is frozen.
const PRIMARY: &[u8] = b"Primary Object Creation";

/// Where the random numbers of a new object come from.
pub enum Source {
    /// The TPM's generator.
    Random,
    /// The primary seed of a hierarchy.
    Primary(RhHierarchy),
}

/// An object that was just made, not yet loaded anywhere.
pub struct Made {
    /// Its public area, with the unique field.
    pub public: Public,
    /// Its sensitive area; the auth value has the size of the name algorithm's
    /// digest.
    pub sensitive: Sensitive,
    /// The RSA key, ready for use.
    pub rsa: Option<Box<PrivateKey>>,
}

/// The random stream of a primary object: it depends on the seed, the template
/// as the caller gave it, and the data that came with it.
#[must_use]
pub fn primary_stream(
    state: &State,
    hierarchy: RhHierarchy,
    template: &Public,
    data: &[u8],
) -> Drbg {
    Drbg::derive(
        state.seed_of(hierarchy),
        PRIMARY,
        &[&template.to_bytes(), data],
    )
}

/// Makes an object of a template that was checked. While an RSA key is being
/// made this returns [`Rc::MORE_WORK`], see [`Context::rsa_key`].
pub fn make(
    ctx: &mut Context<'_>,
    template: &Public,
    given: &SensitiveCreate,
    source: &Source,
) -> Result<Made> {
    let alg = template.name_alg.ok_or(Rc::HASH)?;
    // What the TPM is to make is not taken from the caller.
    let origin = template.attributes.has(A::SENSITIVE_DATA_ORIGIN);
    let data = if origin { &[][..] } else { &given.data[..] };
    let stream = |ctx: &mut Context<'_>| match source {
        Source::Random => ctx.fork_rng(),
        Source::Primary(h) => primary_stream(ctx.state, *h, template, &given.data),
    };
    let mut public = template.clone();
    let (mut rng, secret, rsa) = if let PublicParams::Rsa {
        key_bits, exponent, ..
    } = template.params
    {
        let (key, rng) = ctx.rsa_key(key_bits, checked_exponent(exponent)?, stream)?;
        public.unique = Unique::Rsa(Tpm2bPublicKeyRsa::new(&key.public().n())?);
        (rng, key.prime(), Some(Box::new(key)))
    } else {
        let mut rng = stream(ctx);
        let secret = secret(&mut public, alg, data, &mut rng)?;
        (rng, secret, None)
    };
    if let Source::Primary(h) = source
        && **h == Handle::ENDORSEMENT
    {
        // Clear changes these proofs, and so the children of endorsement keys
        // die with it, while the keys themselves stay.
        rng.reseed(ctx.state.proof_of(RhHierarchy(Handle::OWNER)));
        rng.reseed(ctx.state.proof_of(RhHierarchy(Handle::ENDORSEMENT)));
    }
    let mut seed = Tpm2bDigest::zeros(alg.digest_size());
    rng.fill(seed.as_mut_slice());
    if public.object_type().is_asymmetric()
        && !public.attributes.has(A::RESTRICTED.with(A::DECRYPT))
    {
        seed = Tpm2bDigest::empty();
    }
    let sensitive = Sensitive {
        kind: public.object_type(),
        auth: load::padded_auth(&given.user_auth, Some(alg))?,
        seed,
        data: Bytes::new(&secret)?,
    };
    if !public.object_type().is_asymmetric() {
        public.unique = Unique::Digest(symmetric_unique(alg, public.is_parent(), &sensitive));
    }
    Ok(Made {
        public,
        sensitive,
        rsa,
    })
}

/// The unique field of a keyed hash or symmetric object: H(seed ‖ data)
/// (Part 1, 24.5.3.2). That of a parent is HMAC(seed, data) in the TPMs that
/// there are, and so it is here, that they can exchange them.
#[must_use]
pub fn symmetric_unique(alg: HashAlg, is_parent: bool, sensitive: &Sensitive) -> Tpm2bDigest {
    Tpm2bDigest::from(if is_parent {
        hmac(alg, &sensitive.seed, &[&sensitive.data])
    } else {
        alg.digest(&[&sensitive.seed, &sensitive.data])
    })
}

/// The exponent itself, for the zero that stands for the default; TPM_RC_RANGE
/// when it is no prime from 2^16.
pub fn checked_exponent(exponent: u32) -> Result<u32> {
    let e = load::effective_exponent(exponent);
    let prime = e % 2 == 1
        && (3..=0xFFFFu32)
            .step_by(2)
            .take_while(|d| d.saturating_mul(*d) <= e)
            .all(|d| !e.is_multiple_of(d));
    if e > 0xFFFF && prime {
        Ok(e)
    } else {
        Err(Rc::RANGE)
    }
}

/// The private part of an object that is no RSA key, and its public point.
pub fn secret(
    public: &mut Public,
    alg: HashAlg,
    data: &[u8],
    rng: &mut dyn Random,
) -> Result<Zeroizing<Vec<u8>>> {
    let given = !public.attributes.has(A::SENSITIVE_DATA_ORIGIN);
    match &public.params {
        PublicParams::Rsa { .. } => Err(Rc::TYPE),
        PublicParams::Ecc { curve, .. } => {
            let (d, point) = ecc::generate(*curve, rng);
            public.unique = Unique::Ecc(ecc_point(&point)?);
            Ok(d)
        }
        PublicParams::SymCipher { symmetric } => {
            let len = symmetric.0.ok_or(Rc::SYMMETRIC)?.key_bytes();
            if !given {
                return Ok(random(len, rng));
            }
            if data.len() == len {
                Ok(Zeroizing::new(data.to_vec()))
            } else {
                Err(Rc::KEY_SIZE)
            }
        }
        PublicParams::KeyedHash { scheme } => {
            let hash = scheme.hash().unwrap_or(alg);
            if !given {
                return Ok(random(hash.digest_size(), rng));
            }
            if data.len() > keyed_hash_limit(scheme.0) {
                return Err(Rc::SIZE.parameter(1));
            }
            Ok(Zeroizing::new(data.to_vec()))
        }
    }
}

/// The most bytes that a keyed hash object holds.
#[must_use]
pub fn keyed_hash_limit(scheme: Scheme) -> usize {
    scheme
        .hash()
        .map_or(MAX_SYM_DATA, HashAlg::block_size)
        .min(MAX_SYM_DATA)
}

fn random(len: usize, rng: &mut dyn Random) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(alloc::vec![0; len]);
    rng.fill(&mut bytes);
    bytes
}

/// A point as it goes out, padded.
pub fn ecc_point(point: &ecc::Point) -> Result<EccPoint> {
    Ok(EccPoint {
        x: Tpm2bEccParameter::new(&point.x)?,
        y: Tpm2bEccParameter::new(&point.y)?,
    })
}

impl Made {
    /// The Name.
    #[must_use]
    pub fn name(&self) -> crate::wire::Tpm2bName {
        name::of_public(&self.public)
    }

    /// The object, below a parent or as primary of a hierarchy.
    pub fn into_object(self, state: &State, parent: Handle) -> Result<Object> {
        let mut object = load::place(
            state,
            parent,
            self.public,
            Some(self.sensitive),
            ObjectFlags::default(),
        )?;
        object.rsa = self.rsa;
        Ok(object)
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ObjectType {
        self.public.object_type()
    }
}
