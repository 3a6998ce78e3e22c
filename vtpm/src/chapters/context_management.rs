//! Context management (Part 3, 28; Part 1, 30).

use crate::command::Action;
use crate::context::Context;
use crate::crypto::hash::HashAlg;
use crate::crypto::hmac::{ct_eq, hmac};
use crate::crypto::kdf::kdfa;
use crate::crypto::sym::{Mode, crypt};
use crate::limits::MAX_LOADED_SESSIONS;
use crate::rc::{Rc, Result};
use crate::session::{Session, session_number};
use crate::state::reset::ContextSlot;
use crate::state::{ObjectFlags, State, Transient};
use crate::wire::{
    DhContext, DhSaved, Handle, Marshal, RhHierarchy, Tpm2bContextData, Tpm2bDigest, Unmarshal,
    Writer,
};
use zeroize::Zeroizing;

/// Hash algorithm of the integrity value.
const ALG: HashAlg = HashAlg::Sha256;
/// Bytes of the AES key.
const KEY: usize = 32;

crate::wire_struct! {
    /// TPMS_CONTEXT.
    pub struct SavedContext {
        /// Number of this save.
        pub sequence: u64,
        /// A session's handle, or the kind of object.
        pub saved_handle: DhSaved,
        /// Hierarchy of the object; TPM_RH_NULL for a session.
        pub hierarchy: RhHierarchy,
        /// Integrity value and encrypted state.
        pub blob: Tpm2bContextData,
    }
}

crate::commands! {
    /// TPM2_ContextSave (Part 3, 28.2).
    ContextSave = 0x162 [no_sessions] {
        handles { save_handle: DhContext }
        parameters {}
        response ContextSaveResponse [] { context: SavedContext }
    }

    /// TPM2_ContextLoad (Part 3, 28.3).
    ContextLoad = 0x161 [no_sessions] {
        handles {}
        parameters { context: SavedContext }
        response ContextLoadResponse [loaded_handle] {}
    }

    /// TPM2_FlushContext (Part 3, 28.4).
    FlushContext = 0x165 [no_sessions] {
        handles {}
        parameters { flush_handle: DhContext }
        response FlushContextResponse [] {}
    }
}

/// Kinds of saved objects, as their handles say.
mod kind {
    pub(super) const OBJECT: u32 = 0x8000_0000;
    pub(super) const SEQUENCE: u32 = 0x8000_0001;
    pub(super) const ST_CLEAR: u32 = 0x8000_0002;
}

/// Encrypts (or decrypts) the state in place and gives the integrity value of
/// what is encrypted.
struct Seal<'a> {
    state: &'a State,
    sequence: u64,
    handle: DhSaved,
    hierarchy: RhHierarchy,
}

impl Seal<'_> {
    fn crypt(&self, encrypt: bool, data: &mut [u8]) -> Result<()> {
        let bits = u32::try_from((KEY + 16) * 8).unwrap_or(0);
        let proof = self.state.proof_of(self.hierarchy);
        let material = kdfa(
            ALG,
            proof,
            b"CONTEXT",
            &self.sequence.to_be_bytes(),
            &self.handle.to_bytes(),
            bits,
        );
        let (key, iv) = material.split_at_checked(KEY).ok_or(Rc::FAILURE)?;
        let mut iv: [u8; 16] = iv.try_into().map_err(|_| Rc::FAILURE)?;
        crypt(Mode::Cfb, encrypt, key, &mut iv, data).map_err(|_| Rc::FAILURE)
    }

    /// What makes saved contexts stale stands in the integrity value: a reset,
    /// and for stClear objects a restart.
    fn integrity(&self, encrypted: &[u8]) -> Tpm2bDigest {
        let clear_count = if self.handle.0.0 == kind::ST_CLEAR {
            self.state.reset.clear_count
        } else {
            0
        };
        let digest = hmac(
            ALG,
            self.state.proof_of(self.hierarchy),
            &[
                &self.state.clock.total_reset_count.to_be_bytes(),
                &clear_count.to_be_bytes(),
                &self.sequence.to_be_bytes(),
                &self.handle.to_bytes(),
                encrypted,
            ],
        );
        Tpm2bDigest::from(digest)
    }
}

fn save(
    state: &State,
    sequence: u64,
    handle: Handle,
    hierarchy: RhHierarchy,
    body: &impl Marshal,
) -> Result<SavedContext> {
    let handle = DhSaved(handle);
    let seal = Seal {
        state,
        sequence,
        handle,
        hierarchy,
    };
    let mut data = Zeroizing::new(body.to_bytes());
    seal.crypt(true, &mut data)?;
    let mut blob = Writer::new();
    seal.integrity(&data).marshal(&mut blob);
    blob.extend_from_slice(&data);
    let blob = Tpm2bContextData::new(&blob).map_err(|_| Rc::FAILURE)?;
    Ok(SavedContext {
        sequence,
        saved_handle: handle,
        hierarchy,
        blob,
    })
}

fn restore<T: Unmarshal>(state: &State, context: &SavedContext) -> Result<T> {
    let seal = Seal {
        state,
        sequence: context.sequence,
        handle: context.saved_handle,
        hierarchy: context.hierarchy,
    };
    let mut r = crate::wire::Reader::new(&context.blob);
    let integrity: Tpm2bDigest = r.read().map_err(|_| Rc::SIZE)?;
    if !ct_eq(&integrity, &seal.integrity(r.rest())) {
        return Err(Rc::INTEGRITY.parameter(1));
    }
    let mut data = Zeroizing::new(r.rest().to_vec());
    seal.crypt(false, &mut data)?;
    // It is what this TPM wrote, unless a newer version did.
    T::from_bytes(&data).map_err(|_| Rc::INTEGRITY.parameter(1))
}

impl Action for ContextSave {
    type Response = ContextSaveResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ContextSaveResponse> {
        let h = self.save_handle;
        let state = &mut *ctx.state;
        if h.is_session() {
            let sequence = state.reset.context_counter;
            let session = state.session(h)?.clone();
            let context = save(state, sequence, h, RhHierarchy(Handle::NULL), &session)?;
            if let Some(slot) = session_number(h).and_then(|n| state.reset.contexts.get_mut(n)) {
                *slot = ContextSlot {
                    state: ContextSlot::SAVED,
                    saved_at: sequence,
                };
            }
            state.reset.context_counter = sequence.saturating_add(1);
            state.volatile.sessions.remove(&h.0);
            return Ok(ContextSaveResponse { context });
        }
        let transient = state
            .volatile
            .transient
            .get(&h.0)
            .ok_or(Rc::reference_handle(0))?;
        let (saved, hierarchy) = match transient {
            Transient::Sequence(s) => (kind::SEQUENCE, s.hierarchy),
            Transient::Object(o) if o.flags.has(ObjectFlags::ST_CLEAR) => {
                (kind::ST_CLEAR, o.hierarchy)
            }
            Transient::Object(o) => (kind::OBJECT, o.hierarchy),
        };
        let sequence = state.reset.object_context_id.saturating_add(1);
        let context = save(state, sequence, Handle(saved), hierarchy, transient)?;
        state.reset.object_context_id = sequence;
        Ok(ContextSaveResponse { context })
    }
}

impl Action for ContextLoad {
    type Response = ContextLoadResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ContextLoadResponse> {
        let context = &self.context;
        let h = context.saved_handle.0;
        let state = &mut *ctx.state;
        if h.is_session() {
            if *context.hierarchy != Handle::NULL {
                return Err(Rc::HIERARCHY.parameter(1));
            }
            let session: Session = restore(state, context)?;
            let number = session_number(h).ok_or(Rc::HANDLE.parameter(1))?;
            let slot = state
                .reset
                .contexts
                .get_mut(number)
                .ok_or(Rc::HANDLE.parameter(1))?;
            // A session's context loads once.
            if slot.state != ContextSlot::SAVED || slot.saved_at != context.sequence {
                return Err(Rc::HANDLE.parameter(1));
            }
            if state.volatile.sessions.len() >= MAX_LOADED_SESSIONS {
                return Err(Rc::SESSION_MEMORY);
            }
            *slot = ContextSlot {
                state: ContextSlot::LOADED,
                saved_at: 0,
            };
            state.volatile.sessions.insert(h.0, session);
            return Ok(ContextLoadResponse { loaded_handle: h });
        }
        if !state.hierarchy_enabled(*context.hierarchy) {
            return Err(Rc::HIERARCHY.parameter(1));
        }
        let loaded_handle = match restore(state, context)? {
            Transient::Object(o) => state.load_object(*o)?,
            Transient::Sequence(s) => state.load_sequence(*s)?,
        };
        Ok(ContextLoadResponse { loaded_handle })
    }
}

impl Action for FlushContext {
    type Response = FlushContextResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<FlushContextResponse> {
        let h = self.flush_handle.0;
        let state = &mut *ctx.state;
        if h.is_session() {
            let slot = session_number(h).and_then(|n| state.reset.contexts.get(n));
            let there = match slot.map(|s| s.state) {
                Some(ContextSlot::LOADED) => state.session(h).is_ok(),
                Some(ContextSlot::SAVED) => true,
                _ => false,
            };
            if !there {
                return Err(Rc::HANDLE.parameter(1));
            }
            super::sessions::flush(state, h);
        } else if state.volatile.transient.remove(&h.0).is_none() {
            return Err(Rc::HANDLE.parameter(1));
        }
        Ok(FlushContextResponse {})
    }
}
