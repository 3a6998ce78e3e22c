//! State that outlives some kinds of starting.

use crate::crypto::hash::Digest;
use crate::crypto::rng::Random;
use crate::limits::{MAX_ACTIVE_SESSIONS, SEED_SIZE};
use crate::state::hierarchy::{AuthPolicy, Proof, Seed};
use crate::state::pcr::{PcrAuth, PcrBanks};
use crate::wire::{Tpm2bAuth, Tpm2bDigest};
use alloc::vec::Vec;

crate::state_struct! {
    /// Set anew at a TPM reset; kept by restart and resume.
    pub struct StateReset {
        /// Seed of the NULL hierarchy.
        pub null_seed: Seed,
        /// Proof of the NULL hierarchy.
        pub null_proof: Proof,
        /// Changes whenever stClear objects must not be loaded any more.
        pub clear_count: u32,
        /// Numbers the contexts of objects that were saved.
        pub object_context_id: u64,
        /// Numbers the contexts of sessions that were saved.
        pub context_counter: u64,
        /// By number of a session: what is known of it.
        pub contexts: Vec<ContextSlot>,
        /// Digest of audited commands; empty before the first.
        pub command_audit_digest: Tpm2bDigest,
        /// Restarts and resumes since the reset.
        pub restart_count: u32,
        /// Counts changes of PCRs that policies look at.
        pub pcr_counter: u32,
        /// Secret from which Commit makes its numbers.
        pub commit_nonce: Seed,
        /// Next number of a commit.
        pub commit_counter: u64,
        /// Which of the last commits are not used yet, one bit for each.
        pub commit_array: [u8; 16],
    }

    /// What is known of the session with a number.
    pub struct ContextSlot {
        /// 0: free, 1: loaded, 2: saved.
        pub state: u8,
        /// The counter at which it was saved.
        pub saved_at: u64,
    }

    /// Set anew at a TPM reset or restart; kept by resume.
    pub struct StateClear {
        /// Whether the storage hierarchy is enabled.
        pub sh_enable: bool,
        /// Whether the endorsement hierarchy is enabled.
        pub eh_enable: bool,
        /// Whether NV indices of the platform are enabled.
        pub ph_enable_nv: bool,
        /// platformAuth.
        pub platform_auth: Tpm2bAuth,
        /// platformPolicy.
        pub platform_policy: AuthPolicy,
        /// Auth values of the PCRs of the group that has them.
        pub pcr_auth: Vec<PcrAuth>,
        /// PCRs, as far as they are kept: all of them, of which a resume takes
        /// up those that the platform keeps.
        pub pcrs: PcrBanks,
    }
}

impl ContextSlot {
    /// No session has the number.
    pub const FREE: u8 = 0;
    /// The session is loaded.
    pub const LOADED: u8 = 1;
    /// The session is saved outside.
    pub const SAVED: u8 = 2;
}

impl StateReset {
    /// What a reset starts with.
    pub fn new(rng: &mut dyn Random) -> Self {
        StateReset {
            null_seed: random(rng),
            null_proof: random(rng),
            clear_count: 0,
            object_context_id: 0,
            context_counter: 1,
            contexts: alloc::vec![ContextSlot { state: ContextSlot::FREE, saved_at: 0 }; MAX_ACTIVE_SESSIONS],
            command_audit_digest: Tpm2bDigest::empty(),
            restart_count: 0,
            pcr_counter: 0,
            commit_nonce: random(rng),
            commit_counter: 0,
            commit_array: [0; 16],
        }
    }
}

impl StateClear {
    /// What a reset or restart starts with.
    #[must_use]
    pub fn new(pcrs: PcrBanks) -> Self {
        StateClear {
            sh_enable: true,
            eh_enable: true,
            ph_enable_nv: true,
            platform_auth: Tpm2bAuth::empty(),
            platform_policy: AuthPolicy::none(),
            pcr_auth: alloc::vec![PcrAuth::empty(); crate::chapters::pcr::AUTH_PCRS],
            pcrs,
        }
    }
}

/// A seed or proof from random bytes.
pub fn random(rng: &mut dyn Random) -> Seed {
    let mut seed = Seed::zeros(SEED_SIZE);
    rng.fill(seed.as_mut_slice());
    seed
}

/// The digest that an audit or policy starts with.
#[must_use]
pub fn zero(alg: crate::crypto::hash::HashAlg) -> Tpm2bDigest {
    Tpm2bDigest::from(Digest::zero(alg))
}
