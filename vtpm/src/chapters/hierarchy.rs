//! Hierarchies (Part 3, 24).

use crate::command::Action;
use crate::context::Context;
use crate::crypto::hash::HashAlg;
use crate::limits::{MAX_DIGEST_SIZE, SEED_SIZE};
use crate::rc::{Rc, Result};
use crate::state::hierarchy::{AuthPolicy, Seed};
use crate::state::{Lockout, State, Transient};
use crate::wire::{Handle, NvAttributes, RhEnables, Tpm2bAuth, Tpm2bDigest};

crate::commands! {
    /// TPM2_HierarchyControl (Part 3, 24.2).
    HierarchyControl = 0x121 [nv extensive] {
        handles { auth_handle: RhBaseHierarchy as User }
        parameters { enable: RhEnables, state: bool }
        response HierarchyControlResponse [] {}
    }

    /// TPM2_SetPrimaryPolicy (Part 3, 24.3).
    SetPrimaryPolicy = 0x12E [nv] {
        handles { auth_handle: RhHierarchyAuth as User }
        parameters { auth_policy: Tpm2bDigest, hash_alg: Option<HashAlg> }
        response SetPrimaryPolicyResponse [] {}
    }

    /// TPM2_ChangePPS (Part 3, 24.4).
    ChangePps = 0x125 [nv extensive] {
        handles { auth_handle: RhPlatform as User }
        parameters {}
        response ChangePpsResponse [] {}
    }

    /// TPM2_ChangeEPS (Part 3, 24.5).
    ChangeEps = 0x124 [nv extensive] {
        handles { auth_handle: RhPlatform as User }
        parameters {}
        response ChangeEpsResponse [] {}
    }

    /// TPM2_Clear (Part 3, 24.6).
    Clear = 0x126 [nv extensive] {
        handles { auth_handle: RhClear as User }
        parameters {}
        response ClearResponse [] {}
    }

    /// TPM2_ClearControl (Part 3, 24.7).
    ClearControl = 0x127 [nv] {
        handles { auth: RhClear as User }
        parameters { disable: bool }
        response ClearControlResponse [] {}
    }

    /// TPM2_HierarchyChangeAuth (Part 3, 24.8).
    HierarchyChangeAuth = 0x129 [nv] {
        handles { auth_handle: RhHierarchyAuth as User }
        parameters { new_auth: Tpm2bAuth }
        response HierarchyChangeAuthResponse [] {}
    }
}

/// Takes away the loaded objects of a hierarchy.
fn flush_loaded(state: &mut State, hierarchy: Handle) {
    state.volatile.transient.retain(|_, loaded| match loaded {
        Transient::Object(object) => *object.hierarchy != hierarchy,
        Transient::Sequence(_) => true,
    });
}

/// Takes away everything that belongs to a hierarchy, the owner's NV indices
/// with the owner's.
fn flush_all(state: &mut State, hierarchy: Handle) {
    flush_loaded(state, hierarchy);
    state
        .persistent
        .retain(|_, object| *object.hierarchy != hierarchy);
    if hierarchy == Handle::OWNER {
        let indices: alloc::vec::Vec<Handle> = state
            .nv
            .iter()
            .filter(|(_, nv)| !nv.has(NvAttributes::PLATFORM_CREATE))
            .map(|(index, _)| index)
            .collect();
        for index in indices {
            crate::nv::remove(state, index);
        }
    }
}

fn new_seed(ctx: &mut Context<'_>) -> Seed {
    let bytes = zeroize::Zeroizing::new(ctx.random_bytes(SEED_SIZE));
    Seed::cut(&bytes)
}

impl Action for HierarchyControl {
    type Response = HierarchyControlResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<HierarchyControlResponse> {
        let which = *self.enable;
        let by_platform = self.auth_handle == Handle::PLATFORM;
        let allowed = match which {
            Handle::PLATFORM | Handle::PLATFORM_NV => by_platform,
            // Whoever owns a hierarchy can disable it, but not enable it again.
            _ => by_platform || (self.auth_handle == which && !self.state),
        };
        if !allowed {
            return Err(Rc::AUTH_TYPE);
        }
        let state = &mut *ctx.state;
        match which {
            Handle::PLATFORM => state.volatile.ph_enable = self.state,
            Handle::PLATFORM_NV => state.clear.ph_enable_nv = self.state,
            Handle::ENDORSEMENT => state.clear.eh_enable = self.state,
            _ => state.clear.sh_enable = self.state,
        }
        if !self.state {
            flush_loaded(state, which);
        }
        Ok(HierarchyControlResponse {})
    }
}

impl Action for SetPrimaryPolicy {
    type Response = SetPrimaryPolicyResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<SetPrimaryPolicyResponse> {
        let size = self.hash_alg.map_or(0, HashAlg::digest_size);
        if self.auth_policy.len() != size {
            return Err(Rc::SIZE.parameter(1));
        }
        let policy = AuthPolicy {
            alg: self.hash_alg,
            digest: self.auth_policy,
        };
        let state = &mut *ctx.state;
        match self.auth_handle {
            Handle::OWNER => state.hierarchies.owner_policy = policy,
            Handle::ENDORSEMENT => state.hierarchies.endorsement_policy = policy,
            Handle::LOCKOUT => state.hierarchies.lockout_policy = policy,
            _ => state.clear.platform_policy = policy,
        }
        Ok(SetPrimaryPolicyResponse {})
    }
}

impl Action for ChangePps {
    type Response = ChangePpsResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ChangePpsResponse> {
        let _ = self.auth_handle;
        let (seed, proof) = (new_seed(ctx), new_seed(ctx));
        ctx.state.hierarchies.pp_seed = seed;
        ctx.state.hierarchies.ph_proof = proof;
        ctx.state.clear.platform_policy = AuthPolicy::none();
        flush_all(ctx.state, Handle::PLATFORM);
        Ok(ChangePpsResponse {})
    }
}

impl Action for ChangeEps {
    type Response = ChangeEpsResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ChangeEpsResponse> {
        let _ = self.auth_handle;
        let (seed, proof) = (new_seed(ctx), new_seed(ctx));
        let hierarchies = &mut ctx.state.hierarchies;
        hierarchies.ep_seed = seed;
        hierarchies.eh_proof = proof;
        hierarchies.eps_from_tpm = true;
        hierarchies.endorsement_auth = Tpm2bAuth::empty();
        hierarchies.endorsement_policy = AuthPolicy::none();
        ctx.state.clear.eh_enable = true;
        flush_all(ctx.state, Handle::ENDORSEMENT);
        Ok(ChangeEpsResponse {})
    }
}

impl Action for Clear {
    type Response = ClearResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ClearResponse> {
        let _ = self.auth_handle;
        if ctx.state.hierarchies.disable_clear {
            return Err(Rc::DISABLED);
        }
        let (seed, sh_proof, eh_proof) = (new_seed(ctx), new_seed(ctx), new_seed(ctx));
        let time = ctx.time();
        let state = &mut *ctx.state;
        let hierarchies = &mut state.hierarchies;
        hierarchies.sp_seed = seed;
        hierarchies.sh_proof = sh_proof;
        hierarchies.eh_proof = eh_proof;
        hierarchies.owner_auth = Tpm2bAuth::empty();
        hierarchies.endorsement_auth = Tpm2bAuth::empty();
        hierarchies.lockout_auth = Tpm2bAuth::empty();
        hierarchies.owner_policy = AuthPolicy::none();
        hierarchies.endorsement_policy = AuthPolicy::none();
        hierarchies.lockout_policy = AuthPolicy::none();
        state.clear.sh_enable = true;
        state.clear.eh_enable = true;
        flush_all(state, Handle::OWNER);
        flush_all(state, Handle::ENDORSEMENT);
        *state.lockout = Lockout::new();
        state.clock.reset_count = 0;
        state.reset.restart_count = 0;
        state.reset.clear_count = 0;
        crate::clock::set(state, time, 0);
        Ok(ClearResponse {})
    }
}

impl Action for ClearControl {
    type Response = ClearControlResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ClearControlResponse> {
        // The lockout authorization can give the right away, not take it back.
        if self.auth == Handle::LOCKOUT && !self.disable {
            return Err(Rc::AUTH_FAIL);
        }
        ctx.state.hierarchies.disable_clear = self.disable;
        Ok(ClearControlResponse {})
    }
}

impl Action for HierarchyChangeAuth {
    type Response = HierarchyChangeAuthResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<HierarchyChangeAuthResponse> {
        let auth = self.new_auth.without_trailing_zeros();
        if auth.len() > MAX_DIGEST_SIZE {
            return Err(Rc::SIZE.parameter(1));
        }
        let state = &mut *ctx.state;
        match self.auth_handle {
            Handle::OWNER => state.hierarchies.owner_auth = auth,
            Handle::ENDORSEMENT => state.hierarchies.endorsement_auth = auth,
            Handle::LOCKOUT => state.hierarchies.lockout_auth = auth,
            _ => state.clear.platform_auth = auth,
        }
        Ok(HierarchyChangeAuthResponse {})
    }
}
