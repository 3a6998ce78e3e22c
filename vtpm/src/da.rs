//! Dictionary-attack protection (Part 1, 19.8): counting, lockout, recovery.

use crate::rc::{Rc, Result};
use crate::state::State;
use crate::wire::Handle;

/// TPM_RC_LOCKOUT when authorizations protected against dictionary attacks
/// (or of the lockout itself) are refused now.
pub fn check(state: &State, h: Handle) -> Result<()> {
    let locked = if h == Handle::LOCKOUT {
        !state.lockout.lockout_auth_enabled
    } else {
        state.lockout.failed_tries >= state.lockout.max_tries
    };
    if locked { Err(Rc::LOCKOUT) } else { Ok(()) }
}

/// Counts a failed authorization of an entity that is protected. `now` is the
/// time since _TPM_Init in milliseconds.
pub fn register_failure(state: &mut State, h: Handle, now: u64) {
    if h == Handle::LOCKOUT {
        state.lockout.lockout_auth_enabled = false;
        state.volatile.lockout_timer = now;
    } else {
        if state.lockout.recovery_time == 0 {
            return;
        }
        state.lockout.failed_tries = state.lockout.failed_tries.saturating_add(1);
        state.volatile.da_timer = now;
    }
}

/// Forgets failures for the time that went by (Part 1, 19.8.5).
pub fn self_heal(state: &mut State, now: u64) {
    let recovery = u64::from(state.lockout.recovery_time).saturating_mul(1000);
    if state.lockout.failed_tries > 0 && recovery > 0 {
        let passed = now.saturating_sub(state.volatile.da_timer) / recovery;
        if passed > 0 {
            let forgotten = u32::try_from(passed).unwrap_or(u32::MAX);
            state.lockout.failed_tries = state.lockout.failed_tries.saturating_sub(forgotten);
            state.volatile.da_timer = state
                .volatile
                .da_timer
                .saturating_add(passed.saturating_mul(recovery));
        }
    }
    let lockout_recovery = u64::from(state.lockout.lockout_recovery).saturating_mul(1000);
    if !state.lockout.lockout_auth_enabled
        && lockout_recovery > 0
        && now.saturating_sub(state.volatile.lockout_timer) >= lockout_recovery
    {
        state.lockout.lockout_auth_enabled = true;
    }
}

/// A lockout of lockoutAuth that only a reset ends, ends. Failures are stored
/// before they are answered, so an unclean stop hides none.
pub(crate) fn on_startup(state: &mut State) {
    if state.lockout.lockout_recovery == 0 && !state.lockout.lockout_auth_enabled {
        state.lockout.lockout_auth_enabled = true;
    }
}
