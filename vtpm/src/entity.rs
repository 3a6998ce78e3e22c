//! What a handle refers to: whether it is there, its name, auth value, policy.

use crate::crypto::hash::HashAlg;
use crate::rc::{Rc, Result};
use crate::session::Session;
use crate::state::{NvIndex, Object, Sequence, State, Transient};
use crate::wire::{
    Handle, HandleType, Marshal, NvAttributes, ObjectAttributes, RhHierarchy, Tpm2bAuth,
    Tpm2bDigest, Tpm2bName,
};
use alloc::boxed::Box;

impl State {
    /// Whether a session of the other type has this number.
    fn is_session_of_other_type(&self, h: Handle) -> bool {
        let types = Handle::HMAC_SESSION_FIRST ^ Handle::POLICY_SESSION_FIRST;
        self.volatile.sessions.contains_key(&(h.0 ^ types))
    }

    /// Whether what handle `index` (from 0) of a command refers to is there
    /// and enabled.
    pub fn check_present(&self, h: Handle, index: usize) -> Result<()> {
        match h.kind() {
            HandleType::Permanent => match h {
                Handle::OWNER | Handle::ENDORSEMENT | Handle::PLATFORM | Handle::PLATFORM_NV => {
                    if self.hierarchy_enabled(h) {
                        Ok(())
                    } else {
                        Err(Rc::HIERARCHY)
                    }
                }
                Handle::NULL | Handle::LOCKOUT | Handle::PW => Ok(()),
                _ => Err(Rc::VALUE),
            },
            HandleType::Transient if self.volatile.transient.contains_key(&h.0) => Ok(()),
            HandleType::HmacSession | HandleType::PolicySession
                if self.volatile.sessions.contains_key(&h.0) =>
            {
                Ok(())
            }
            HandleType::HmacSession | HandleType::PolicySession
                if self.is_session_of_other_type(h) =>
            {
                Err(Rc::HANDLE)
            }
            // Saved, flushed or never there: guests' resource managers know what is gone by
            // this answer (Part 3, 5.4).
            HandleType::Transient | HandleType::HmacSession | HandleType::PolicySession => {
                Err(Rc::reference_handle(index))
            }
            HandleType::Persistent => {
                let object = self.persistent.get(h).ok_or(Rc::HANDLE)?;
                let keeper = if h.0 >= Handle::PLATFORM_PERSISTENT {
                    Handle::PLATFORM
                } else {
                    Handle::OWNER
                };
                if self.hierarchy_enabled(*object.hierarchy) && self.hierarchy_enabled(keeper) {
                    Ok(())
                } else {
                    Err(Rc::HANDLE)
                }
            }
            HandleType::NvIndex => {
                let nv = self.nv.get(h).ok_or(Rc::HANDLE)?;
                let enabled = if nv.has(NvAttributes::PLATFORM_CREATE) {
                    self.clear.ph_enable_nv
                } else {
                    self.clear.sh_enable
                };
                if enabled { Ok(()) } else { Err(Rc::HANDLE) }
            }
            HandleType::Pcr => h.pcr().map(|_| ()).ok_or(Rc::VALUE),
            HandleType::Other => Err(Rc::VALUE),
        }
    }

    /// Whether a hierarchy (or PLATFORM_NV) is enabled.
    #[must_use]
    pub fn hierarchy_enabled(&self, h: Handle) -> bool {
        match h {
            Handle::OWNER => self.clear.sh_enable,
            Handle::ENDORSEMENT => self.clear.eh_enable,
            Handle::PLATFORM => self.volatile.ph_enable,
            Handle::PLATFORM_NV => self.clear.ph_enable_nv,
            _ => true,
        }
    }

    /// The Name of an entity (Part 1, 14).
    #[must_use]
    pub fn name_of(&self, h: Handle) -> Tpm2bName {
        match h.kind() {
            HandleType::Transient | HandleType::Persistent => self
                .object(h)
                .map_or_else(|_| Tpm2bName::empty(), |o| o.name.clone()),
            HandleType::NvIndex => self.nv.get(h).map_or_else(Tpm2bName::empty, NvIndex::name),
            _ => Tpm2bName::cut(&h.to_bytes()),
        }
    }

    /// The auth value of an entity, without trailing zeros.
    #[must_use]
    pub fn auth_value_of(&self, h: Handle) -> Tpm2bAuth {
        match h.kind() {
            HandleType::Permanent => match h {
                Handle::OWNER => self.hierarchies.owner_auth.clone(),
                Handle::ENDORSEMENT => self.hierarchies.endorsement_auth.clone(),
                Handle::LOCKOUT => self.hierarchies.lockout_auth.clone(),
                Handle::PLATFORM => self.clear.platform_auth.clone(),
                _ => Tpm2bAuth::empty(),
            },
            HandleType::Transient | HandleType::Persistent => {
                if let Ok(sequence) = self.sequence(h) {
                    return sequence.auth.clone();
                }
                let sensitive = self.object(h).ok().and_then(|o| o.sensitive.as_ref());
                sensitive.map_or_else(Tpm2bAuth::empty, |s| s.auth.without_trailing_zeros())
            }
            HandleType::NvIndex => self.nv_auth_value(h),
            HandleType::Pcr => crate::chapters::pcr::auth_value(self, h),
            _ => Tpm2bAuth::empty(),
        }
    }

    fn nv_auth_value(&self, h: Handle) -> Tpm2bAuth {
        self.nv
            .get(h)
            .map_or_else(Tpm2bAuth::empty, |nv| nv.auth.without_trailing_zeros())
    }

    /// The policy of an entity and its hash algorithm, if it has one.
    #[must_use]
    pub fn policy_of(&self, h: Handle) -> Option<(HashAlg, Tpm2bDigest)> {
        let policy = match h.kind() {
            HandleType::Permanent => match h {
                Handle::OWNER => &self.hierarchies.owner_policy,
                Handle::ENDORSEMENT => &self.hierarchies.endorsement_policy,
                Handle::LOCKOUT => &self.hierarchies.lockout_policy,
                Handle::PLATFORM => &self.clear.platform_policy,
                _ => return None,
            },
            HandleType::Transient | HandleType::Persistent => {
                let o = self.object(h).ok()?;
                let digest = o.public.auth_policy.clone();
                return o
                    .public
                    .name_alg
                    .filter(|_| !digest.is_empty())
                    .map(|alg| (alg, digest));
            }
            HandleType::NvIndex => {
                let nv = self.nv.get(h)?;
                let digest = nv.public.auth_policy.clone();
                return (!digest.is_empty()).then_some((nv.public.name_alg, digest));
            }
            HandleType::Pcr => crate::chapters::pcr::policy(self, h)?,
            _ => return None,
        };
        let alg = policy.alg?;
        (!policy.digest.is_empty()).then(|| (alg, policy.digest.clone()))
    }

    /// Whether failed authorizations of an entity are not counted.
    #[must_use]
    pub fn is_da_exempt(&self, h: Handle) -> bool {
        match h.kind() {
            HandleType::Permanent => h != Handle::LOCKOUT,
            HandleType::Transient | HandleType::Persistent => self
                .object(h)
                .map_or(true, |o| o.has(ObjectAttributes::NO_DA)),
            HandleType::NvIndex => self.nv.get(h).is_none_or(|nv| nv.has(NvAttributes::NO_DA)),
            _ => true,
        }
    }

    /// The object of a transient or persistent handle; TPM_RC_HANDLE when
    /// there is none or it is a sequence.
    pub fn object(&self, h: Handle) -> Result<&Object> {
        match h.kind() {
            HandleType::Transient => match self.volatile.transient.get(&h.0) {
                Some(Transient::Object(o)) => Ok(o),
                _ => Err(Rc::HANDLE),
            },
            HandleType::Persistent => self.persistent.get(h).ok_or(Rc::HANDLE),
            _ => Err(Rc::HANDLE),
        }
    }

    /// The sequence of a transient handle; TPM_RC_MODE when it is none.
    pub fn sequence(&self, h: Handle) -> Result<&Sequence> {
        match self.volatile.transient.get(&h.0) {
            Some(Transient::Sequence(s)) => Ok(s),
            _ => Err(Rc::MODE),
        }
    }

    /// The sequence of a transient handle, to be changed.
    pub fn sequence_mut(&mut self, h: Handle) -> Result<&mut Sequence> {
        match self.volatile.transient.get_mut(&h.0) {
            Some(Transient::Sequence(s)) => Ok(s),
            _ => Err(Rc::MODE),
        }
    }

    /// The loaded session of a handle.
    pub fn session(&self, h: Handle) -> Result<&Session> {
        self.volatile.sessions.get(&h.0).ok_or(Rc::HANDLE)
    }

    /// The loaded session of a handle, to be changed.
    pub fn session_mut(&mut self, h: Handle) -> Result<&mut Session> {
        self.volatile.sessions.get_mut(&h.0).ok_or(Rc::HANDLE)
    }

    /// TPM_RC_OBJECT_MEMORY when no transient slot is free.
    pub fn need_object_slot(&self) -> Result<()> {
        self.free_object_slot().map(|_| ())
    }

    fn free_object_slot(&self) -> Result<Handle> {
        (0..u32::try_from(crate::limits::MAX_LOADED_OBJECTS).unwrap_or(0))
            .map(crate::state::object::transient_handle)
            .find(|h| !self.volatile.transient.contains_key(&h.0))
            .ok_or(Rc::OBJECT_MEMORY)
    }

    /// Puts an object into a transient slot.
    pub fn load_object(&mut self, object: Object) -> Result<Handle> {
        let h = self.free_object_slot()?;
        self.volatile
            .transient
            .insert(h.0, Transient::Object(Box::new(object)));
        Ok(h)
    }

    /// Puts a sequence into a transient slot.
    pub fn load_sequence(&mut self, sequence: Sequence) -> Result<Handle> {
        let h = self.free_object_slot()?;
        self.volatile
            .transient
            .insert(h.0, Transient::Sequence(Box::new(sequence)));
        Ok(h)
    }

    /// The hierarchy that an object, a sequence or a hierarchy's handle belongs to.
    pub fn hierarchy_of(&self, h: Handle) -> Result<RhHierarchy> {
        if let Ok(sequence) = self.sequence(h) {
            return Ok(sequence.hierarchy);
        }
        match h.kind() {
            HandleType::Transient | HandleType::Persistent => Ok(self.object(h)?.hierarchy),
            _ => Ok(RhHierarchy(h)),
        }
    }

    /// The proof of a hierarchy.
    #[must_use]
    pub fn proof_of(&self, h: RhHierarchy) -> &crate::state::hierarchy::Proof {
        match *h {
            Handle::OWNER => &self.hierarchies.sh_proof,
            Handle::ENDORSEMENT => &self.hierarchies.eh_proof,
            Handle::PLATFORM => &self.hierarchies.ph_proof,
            _ => &self.reset.null_proof,
        }
    }

    /// The primary seed of a hierarchy.
    #[must_use]
    pub fn seed_of(&self, h: RhHierarchy) -> &crate::state::hierarchy::Seed {
        match *h {
            Handle::OWNER => &self.hierarchies.sp_seed,
            Handle::ENDORSEMENT => &self.hierarchies.ep_seed,
            Handle::PLATFORM => &self.hierarchies.pp_seed,
            _ => &self.reset.null_seed,
        }
    }
}
