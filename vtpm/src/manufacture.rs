//! The making of a TPM: seeds and proofs from the platform's entropy.

use crate::crypto::hash::HashAlg;
use crate::crypto::rng::Drbg;
use crate::limits::SEED_SIZE;
use crate::platform::{Change, Platform};
use crate::state::commit::manufactured;
use crate::state::hierarchy::{AuthPolicy, Seed};
use crate::state::reset::random;
use crate::state::{Audit, Clock, Hierarchies, Lockout, OrderlyShutdown, PcrConfig, StateError};
use crate::state::{PcrBanks, State, StateClear, StateReset, Tracked, TrackedMap, Volatile};
use crate::wire::Tpm2bAuth;
use alloc::vec::Vec;

/// The code that SetCommandCodeAuditStatus audits from the start.
const SET_COMMAND_CODE_AUDIT_STATUS: u32 = 0x140;

/// Makes the state and stores it; the record that says so goes last. The endorsement seed is the
/// given one, or as random as the others.
pub(crate) fn manufacture(
    platform: &mut dyn Platform,
    endorsement: Option<&[u8; SEED_SIZE]>,
) -> Result<(), StateError> {
    let mut seed = zeroize::Zeroizing::new([0u8; 64]);
    platform
        .entropy(&mut *seed)
        .map_err(|_| StateError::Platform)?;
    let mut rng = Drbg::new(&*seed, b"rampart vtpm manufacture");
    let hierarchies = Hierarchies {
        ep_seed: endorsement.map_or_else(|| random(&mut rng), |seed| Seed::cut(seed)),
        sp_seed: random(&mut rng),
        pp_seed: random(&mut rng),
        eh_proof: random(&mut rng),
        sh_proof: random(&mut rng),
        ph_proof: random(&mut rng),
        owner_auth: Tpm2bAuth::empty(),
        endorsement_auth: Tpm2bAuth::empty(),
        lockout_auth: Tpm2bAuth::empty(),
        owner_policy: AuthPolicy::none(),
        endorsement_policy: AuthPolicy::none(),
        lockout_policy: AuthPolicy::none(),
        disable_clear: false,
        eps_from_tpm: endorsement.is_none(),
        pp_commands: Vec::new(),
        algorithm_set: 0,
    };
    let old = platform.nv_load().map_err(|_| StateError::Platform)?;
    let pcr_config = PcrConfig::all_banks();
    let pcrs = PcrBanks::zeroed(&pcr_config.allocated);
    let now = platform.now_ms();
    let mut state = State {
        hierarchies: Tracked::new(hierarchies),
        lockout: Tracked::new(Lockout::new()),
        clock: Tracked::new(Clock {
            clock: 0,
            safe: true,
            reset_count: 0,
            total_reset_count: 0,
            max_counter: 0,
        }),
        pcr_config: Tracked::new(pcr_config),
        audit: Tracked::new(Audit {
            alg: HashAlg::Sha256,
            counter: 0,
            commands: alloc::vec![SET_COMMAND_CODE_AUDIT_STATUS],
        }),
        shutdown: Tracked::new(OrderlyShutdown {
            kind: 0,
            saved: Vec::new(),
        }),
        nv: TrackedMap::default(),
        persistent: TrackedMap::default(),
        reset: StateReset::new(&mut rng),
        clear: StateClear::new(pcrs),
        volatile: Volatile::new(rng, now),
    };
    let mut changes: Vec<Change> = old
        .into_iter()
        .map(|(id, _)| Change { id, bytes: None })
        .collect();
    let made = state.changes();
    changes.retain(|c| !made.iter().any(|m| m.id == c.id));
    changes.extend(made);
    platform
        .nv_commit(&changes)
        .map_err(|_| StateError::Platform)?;
    platform
        .nv_commit(&[manufactured()])
        .map_err(|_| StateError::Platform)
}
