//! What a policy session has collected (Part 1, 17.7 and 23).

use crate::crypto::hash::{Digest, HashAlg};
use crate::rc::{Rc, Result};
use crate::wire::{Locality, Marshal, Reader, Tpm2bDigest, Unmarshal, Writer};

/// What the authorized command is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Nothing.
    Nothing,
    /// The command's parameters (PolicyCpHash, or cpHashA of a ticket).
    CpHash(Tpm2bDigest),
    /// The names of its handles.
    NameHash(Tpm2bDigest),
    /// The template of the object it creates.
    Template(Tpm2bDigest),
    /// Its parameters without names.
    Parameters(Tpm2bDigest),
}

impl Marshal for Bound {
    fn marshal(&self, out: &mut Writer) {
        let (tag, digest) = match self {
            Bound::Nothing => (0u8, None),
            Bound::CpHash(d) => (1, Some(d)),
            Bound::NameHash(d) => (2, Some(d)),
            Bound::Template(d) => (3, Some(d)),
            Bound::Parameters(d) => (4, Some(d)),
        };
        tag.marshal(out);
        if let Some(digest) = digest {
            digest.marshal(out);
        }
    }
}

impl Unmarshal for Bound {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        match r.read::<u8>()? {
            0 => Ok(Bound::Nothing),
            1 => Ok(Bound::CpHash(r.read()?)),
            2 => Ok(Bound::NameHash(r.read()?)),
            3 => Ok(Bound::Template(r.read()?)),
            4 => Ok(Bound::Parameters(r.read()?)),
            _ => Err(Rc::VALUE),
        }
    }
}

crate::state_struct! {
    /// The state of a policy session.
    pub struct PolicyState {
        /// policyDigest.
        pub digest: Tpm2bDigest,
        /// The command that PolicyCommandCode and others allow; zero: any.
        pub command_code: u32,
        /// The localities that PolicyLocality allows; zero: any.
        pub locality: Locality,
        /// Value of the counter of PCR changes at PolicyPCR; zero: no PCRs.
        pub pcr_counter: u64,
        /// Time at which the session or its nonce began, in milliseconds.
        pub start_time: u64,
        /// Time at which it expires, in milliseconds; zero: never.
        pub timeout: u64,
        /// The epoch of those times.
        pub epoch: u32,
        /// What the command is bound to.
        pub bound: Bound,
        /// PolicyAuthValue: the HMAC key holds the entity's auth value.
        pub auth_value_needed: bool,
        /// PolicyPassword: the HMAC field holds the entity's auth value.
        pub password_needed: bool,
        /// PolicyPhysicalPresence.
        pub pp_required: bool,
        /// PolicyNvWritten was called.
        pub check_nv_written: bool,
        /// The state that it wants.
        pub nv_written: bool,
    }
}

impl PolicyState {
    /// A session that has collected nothing.
    #[must_use]
    pub fn new(hash: HashAlg, time: u64, epoch: u32) -> Self {
        PolicyState {
            digest: Tpm2bDigest::from(Digest::zero(hash)),
            command_code: 0,
            locality: Locality(0),
            pcr_counter: 0,
            start_time: time,
            timeout: 0,
            epoch,
            bound: Bound::Nothing,
            auth_value_needed: false,
            password_needed: false,
            pp_required: false,
            check_nv_written: false,
            nv_written: false,
        }
    }

    /// Extends the policy: policyDigest = H(policyDigest ‖ parts).
    pub fn extend(&mut self, hash: HashAlg, parts: &[&[u8]]) {
        let mut hasher = crate::crypto::hash::Hasher::new(hash);
        hasher.update(&self.digest);
        for part in parts {
            hasher.update(part);
        }
        self.digest = Tpm2bDigest::from(hasher.finalize());
    }
}
