//! Loaded objects and sequences.

use crate::crypto::hash::{HashAlg, Hasher};
use crate::crypto::hmac::Hmac;
use crate::crypto::rsa::PrivateKey;
use crate::rc::{Rc, Result};
use crate::wire::{
    Handle, Marshal, ObjectAttributes, Public, PublicOrNull, Reader, RhHierarchy, Sensitive,
    Tpm2bAuth, Tpm2bName, Unmarshal, Writer,
};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// How an object came to be, beyond its public attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ObjectFlags(pub u8);

impl ObjectFlags {
    /// Loaded by LoadExternal: outside of every hierarchy.
    pub const EXTERNAL: ObjectFlags = ObjectFlags(1);
    /// Dies at every TPM reset (NULL hierarchy, or below such a parent).
    pub const TEMPORARY: ObjectFlags = ObjectFlags(2);
    /// A primary object.
    pub const PRIMARY: ObjectFlags = ObjectFlags(4);
    /// Dies at a restart (stClear itself, or a parent is).
    pub const ST_CLEAR: ObjectFlags = ObjectFlags(8);

    /// Whether all of `other` are set.
    #[must_use]
    pub fn has(self, other: ObjectFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// With `other` set.
    #[must_use]
    pub fn with(self, other: ObjectFlags) -> ObjectFlags {
        ObjectFlags(self.0 | other.0)
    }
}

/// A loaded object.
#[derive(Clone)]
pub struct Object {
    /// Public area; the name algorithm is `None` for some external objects.
    pub public: Public,
    /// Sensitive area, if it is loaded.
    pub sensitive: Option<Sensitive>,
    /// Name.
    pub name: Tpm2bName,
    /// Qualified name.
    pub qualified_name: Tpm2bName,
    /// Hierarchy, or TPM_RH_NULL.
    pub hierarchy: RhHierarchy,
    /// How it came to be.
    pub flags: ObjectFlags,
    /// The RSA private key made ready for use; made anew when absent.
    pub rsa: Option<Box<PrivateKey>>,
}

impl Object {
    /// Whether the object has all the attributes.
    #[must_use]
    pub fn has(&self, attributes: ObjectAttributes) -> bool {
        self.public.attributes.has(attributes)
    }
}

impl Marshal for Object {
    fn marshal(&self, out: &mut Writer) {
        self.public.marshal(out);
        self.sensitive.is_some().marshal(out);
        if let Some(sensitive) = &self.sensitive {
            sensitive.marshal(out);
        }
        self.name.marshal(out);
        self.qualified_name.marshal(out);
        self.hierarchy.marshal(out);
        self.flags.0.marshal(out);
    }
}

impl Unmarshal for Object {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let PublicOrNull(public) = r.read()?;
        let sensitive = if r.read::<bool>()? {
            Some(r.read()?)
        } else {
            None
        };
        Ok(Object {
            public,
            sensitive,
            name: r.read()?,
            qualified_name: r.read()?,
            hierarchy: r.read()?,
            flags: ObjectFlags(r.read()?),
            rsa: None,
        })
    }
}

/// What a sequence computes.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // few exist, and boxed as a whole
pub enum SequenceKind {
    /// A digest.
    Hash(Hasher),
    /// An HMAC.
    Hmac(Hmac),
    /// A digest in every bank, for PCRs.
    Event(Vec<Hasher>),
}

/// A sequence object.
#[derive(Clone)]
pub struct Sequence {
    /// What it computes.
    pub kind: SequenceKind,
    /// Auth value.
    pub auth: Tpm2bAuth,
    /// Hierarchy of the HMAC key, or TPM_RH_NULL.
    pub hierarchy: RhHierarchy,
    /// The first bytes of the data, as many as tell whether it pretends to
    /// come from a TPM.
    pub start: Vec<u8>,
}

impl Marshal for Sequence {
    fn marshal(&self, out: &mut Writer) {
        match &self.kind {
            SequenceKind::Hash(h) => {
                0u8.marshal(out);
                put(h.alg(), &h.export(), out);
            }
            SequenceKind::Hmac(h) => {
                1u8.marshal(out);
                put(h.alg(), &h.export(), out);
            }
            SequenceKind::Event(all) => {
                2u8.marshal(out);
                u8::try_from(all.len()).unwrap_or(0).marshal(out);
                for h in all {
                    put_hasher(h, out);
                }
            }
        }
        self.auth.marshal(out);
        self.hierarchy.marshal(out);
        self.start.marshal(out);
    }
}

fn put(alg: HashAlg, state: &[u8], out: &mut Writer) {
    alg.marshal(out);
    crate::wire::put_len16(state.len(), out);
    out.extend_from_slice(state);
}

/// Writes the running state of a hash.
pub(crate) fn put_hasher(h: &Hasher, out: &mut Writer) {
    put(h.alg(), &h.export(), out);
}

fn get<'a>(r: &mut Reader<'a>) -> Result<(HashAlg, &'a [u8])> {
    let alg = r.read()?;
    let len = usize::from(r.read::<u16>()?);
    Ok((alg, r.take(len)?))
}

/// Reads the running state of a hash.
pub(crate) fn get_hasher(r: &mut Reader<'_>) -> Result<Hasher> {
    let (alg, state) = get(r)?;
    Hasher::import(alg, state).ok_or(Rc::SIZE)
}

impl Unmarshal for Sequence {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let kind = match r.read::<u8>()? {
            0 => SequenceKind::Hash(get_hasher(r)?),
            1 => {
                let (alg, state) = get(r)?;
                SequenceKind::Hmac(Hmac::import(alg, state).ok_or(Rc::SIZE)?)
            }
            2 => {
                let count = r.read::<u8>()?;
                let mut all = Vec::new();
                for _ in 0..count {
                    all.push(get_hasher(r)?);
                }
                SequenceKind::Event(all)
            }
            _ => return Err(Rc::VALUE),
        };
        Ok(Sequence {
            kind,
            auth: r.read()?,
            hierarchy: r.read()?,
            start: r.read()?,
        })
    }
}

/// What a transient handle refers to.
#[derive(Clone)]
pub enum Transient {
    /// An object.
    Object(Box<Object>),
    /// A sequence.
    Sequence(Box<Sequence>),
}

impl Marshal for Transient {
    fn marshal(&self, out: &mut Writer) {
        match self {
            Transient::Object(o) => {
                0u8.marshal(out);
                o.marshal(out);
            }
            Transient::Sequence(s) => {
                1u8.marshal(out);
                s.marshal(out);
            }
        }
    }
}

impl Unmarshal for Transient {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        match r.read::<u8>()? {
            0 => Ok(Transient::Object(Box::new(r.read()?))),
            1 => Ok(Transient::Sequence(Box::new(r.read()?))),
            _ => Err(Rc::VALUE),
        }
    }
}

/// The handle of transient slot `n`.
#[must_use]
pub fn transient_handle(n: u32) -> Handle {
    Handle(Handle::TRANSIENT_FIRST | n)
}
