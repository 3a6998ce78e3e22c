//! Persistent state of the hierarchies, dictionary attacks, clock and audit.

use crate::crypto::hash::HashAlg;
use crate::limits::SEED_SIZE;
use crate::wire::{Bytes, Tpm2bAuth, Tpm2bDigest};
use alloc::vec::Vec;

/// A primary seed.
pub type Seed = Bytes<SEED_SIZE>;
/// The secret from which a hierarchy's proofs and tickets are made.
pub type Proof = Bytes<SEED_SIZE>;

crate::state_struct! {
    /// The hierarchies and the lockout's authorization.
    pub struct Hierarchies {
        /// Endorsement primary seed.
        pub ep_seed: Seed,
        /// Storage primary seed.
        pub sp_seed: Seed,
        /// Platform primary seed.
        pub pp_seed: Seed,
        /// Proof of the endorsement hierarchy.
        pub eh_proof: Proof,
        /// Proof of the storage hierarchy.
        pub sh_proof: Proof,
        /// Proof of the platform hierarchy.
        pub ph_proof: Proof,
        /// ownerAuth.
        pub owner_auth: Tpm2bAuth,
        /// endorsementAuth.
        pub endorsement_auth: Tpm2bAuth,
        /// lockoutAuth.
        pub lockout_auth: Tpm2bAuth,
        /// ownerPolicy.
        pub owner_policy: AuthPolicy,
        /// endorsementPolicy.
        pub endorsement_policy: AuthPolicy,
        /// lockoutPolicy.
        pub lockout_policy: AuthPolicy,
        /// Whether the lockout authorization must not clear.
        pub disable_clear: bool,
        /// Whether the TPM made the EPS itself.
        pub eps_from_tpm: bool,
        /// Commands whose platform authorization needs physical presence, beside
        /// those that always do; in ascending order.
        pub pp_commands: Vec<u32>,
        /// What SetAlgorithmSet said last.
        pub algorithm_set: u32,
    }

    /// A policy and its hash algorithm; none when the digest is empty.
    pub struct AuthPolicy {
        /// Hash algorithm of the policy.
        pub alg: Option<HashAlg>,
        /// Digest, or nothing.
        pub digest: Tpm2bDigest,
    }

    /// Dictionary-attack protection (Part 1, 19.8).
    pub struct Lockout {
        /// Failures counted.
        pub failed_tries: u32,
        /// Failures that lead to lockout.
        pub max_tries: u32,
        /// Seconds after which one failure is forgotten; zero: never counted.
        pub recovery_time: u32,
        /// Seconds after which a failure of lockoutAuth is forgotten; zero:
        /// only a reset does.
        pub lockout_recovery: u32,
        /// Whether lockoutAuth may be used.
        pub lockout_auth_enabled: bool,
    }

    /// The clock and counters of how the TPM was started.
    pub struct Clock {
        /// The clock at the last commit, in milliseconds.
        pub clock: u64,
        /// Whether no larger clock was ever reported, at the last Shutdown.
        pub safe: bool,
        /// Resets since the last Clear.
        pub reset_count: u32,
        /// Resets ever.
        pub total_reset_count: u64,
        /// Highest value that a deleted NV counter had.
        pub max_counter: u64,
    }

    /// Audit of commands.
    pub struct Audit {
        /// Hash algorithm of the audit digest.
        pub alg: HashAlg,
        /// Audit digests that were started.
        pub counter: u64,
        /// The audited commands' codes, ascending.
        pub commands: Vec<u32>,
    }

    /// What the last Shutdown left; invalidated by the first change after.
    pub struct OrderlyShutdown {
        /// 0: none, 1: Shutdown(CLEAR), 2: Shutdown(STATE).
        pub kind: u8,
        /// The marshalled state that a Startup takes up again.
        pub saved: Vec<u8>,
    }
}

impl AuthPolicy {
    /// No policy.
    #[must_use]
    pub fn none() -> Self {
        AuthPolicy {
            alg: None,
            digest: Tpm2bDigest::empty(),
        }
    }
}

impl Lockout {
    /// What a TPM starts with (Part 1, 19.8.3; the values are the vendor's).
    #[must_use]
    pub fn new() -> Self {
        Lockout {
            failed_tries: 0,
            max_tries: 32,
            recovery_time: 7200,
            lockout_recovery: 86400,
            lockout_auth_enabled: true,
        }
    }
}

impl Default for Lockout {
    fn default() -> Self {
        Self::new()
    }
}
