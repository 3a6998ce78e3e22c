//! Time and clock (Part 1, 36).

use crate::state::State;
use crate::wire::{ClockInfo, TimeInfo};

/// The clock is stored whenever it has advanced so far, in milliseconds, so
/// that after a loss of power it goes on from no earlier than it was reported.
pub const UPDATE_INTERVAL: u64 = 1 << 22;

/// The clock at a time since _TPM_Init, both in milliseconds.
#[must_use]
pub fn clock(state: &State, time: u64) -> u64 {
    // Clear sets the clock back below the time since _TPM_Init.
    state.volatile.clock_base.wrapping_add(time)
}

/// Sets the clock to `value`, at a time since _TPM_Init, in milliseconds.
pub(crate) fn set(state: &mut State, time: u64, value: u64) {
    state.volatile.clock_base = value.wrapping_sub(time);
    state.volatile.clock_safe = true;
    state.clock.clock = value;
}

/// TPMS_TIME_INFO now.
#[must_use]
pub fn time_info(state: &State, time: u64) -> TimeInfo {
    TimeInfo {
        time,
        clock_info: ClockInfo {
            clock: clock(state, time),
            reset_count: state.clock.reset_count,
            restart_count: state.reset.restart_count,
            safe: state.volatile.clock_safe,
        },
    }
}

/// The clock goes on from its stored value. After an unclean stop larger
/// values may have been reported.
pub(crate) fn on_startup(state: &mut State, orderly: bool) {
    state.volatile.clock_base = state.clock.clock;
    state.volatile.clock_safe = (orderly && state.clock.safe) || state.clock.total_reset_count <= 1;
    state.volatile.time_epoch = state.volatile.time_epoch.wrapping_add(1);
}

/// Stores the clock.
pub(crate) fn on_shutdown(state: &mut State, time: u64) {
    state.clock.clock = clock(state, time);
    state.clock.safe = state.volatile.clock_safe;
}

/// Stores the clock when it is time to; it becomes safe again with that.
pub(crate) fn tick(state: &mut State, time: u64) {
    let now = clock(state, time);
    if now.saturating_sub(state.clock.clock) >= UPDATE_INTERVAL {
        state.clock.clock = now;
        state.volatile.clock_safe = true;
    }
}
