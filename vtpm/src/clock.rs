//! Time and clock (Part 1, 36).

use crate::rc::{Rc, Result};
use crate::state::{State, Volatile};
use crate::wire::{ClockInfo, TimeInfo};

/// The clock is stored whenever it has advanced so far, in milliseconds, so
/// that after a loss of power it goes on from no earlier than it was reported.
pub const UPDATE_INTERVAL: u64 = 1 << 22;

/// The rate at which time and clock follow the platform's time, unless it is
/// adjusted.
pub const NOMINAL_RATE: i32 = 100_000;

/// The most that the rate may be changed by: what Part 1, 33.3.6 allows a clock
/// to be wrong by.
const MAX_RATE_CHANGE: i32 = NOMINAL_RATE / 100 * 15;

/// Milliseconds of the platform's as milliseconds at a changed rate, after
/// `fraction` of one. What is left over comes second; this and `fraction` are in
/// parts of [`NOMINAL_RATE`].
#[must_use]
pub fn at_rate(elapsed: u64, change: i32, fraction: u32) -> (u64, u32) {
    let rate = NOMINAL_RATE.saturating_add(change).unsigned_abs();
    let nominal = u128::from(NOMINAL_RATE.unsigned_abs());
    let scaled = u128::from(elapsed) * u128::from(rate) + u128::from(fraction);
    (
        u64::try_from(scaled / nominal).unwrap_or(u64::MAX),
        u32::try_from(scaled % nominal).unwrap_or(0),
    )
}

/// A change of the rate that there may be; any other is TPM_RC_VALUE.
pub(crate) fn check_rate(change: i32) -> Result<i32> {
    if change.unsigned_abs() <= MAX_RATE_CHANGE.unsigned_abs() {
        Ok(change)
    } else {
        Err(Rc::VALUE)
    }
}

/// Changes the rate by a TPM_CLOCK_ADJUST, from now on. TPM_RC_VALUE when there
/// is no such adjustment, or when the clock would then be more wrong than a
/// clock may be.
pub(crate) fn adjust_rate(volatile: &mut Volatile, now: u64, adjustment: i8) -> Result<()> {
    // Part 2, 6.7: a coarse step is a percent or so, a medium one a tenth of
    // that, a fine one the smallest that there is.
    let step = match adjustment.unsigned_abs() {
        0 => 0,
        1 => 1,
        2 => NOMINAL_RATE / 1000,
        3 => NOMINAL_RATE / 100,
        _ => return Err(Rc::VALUE),
    };
    let step = step * i32::from(adjustment.signum());
    let change = check_rate(volatile.rate_change.saturating_add(step))?;
    // With the fraction: a caller who adjusts often would otherwise stop the time.
    (volatile.time_offset, volatile.time_fraction) = volatile.exact_time(now);
    volatile.time_base = now.max(volatile.time_base);
    volatile.rate_change = change;
    Ok(())
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rng::Drbg;

    /// A millisecond at a slower rate is less than one: none of it gets lost.
    #[test]
    fn frequent_adjustments_do_not_stop_the_time() {
        for steps in [&[-3][..], &[-3, -3, -3, 0], &[-1, 1], &[-3, 0, 3]] {
            let begin = 5000;
            let mut volatile = Volatile::new(Drbg::new(&[6; 32], b""), begin);
            let before = volatile.time(begin);
            let mut last = before;
            for (now, step) in (begin + 1..).zip(steps.iter().cycle()).take(1000) {
                // At the slowest rate that there may be a slower one is refused.
                let _ = adjust_rate(&mut volatile, now, *step);
                let time = volatile.time(now);
                assert!(time >= last);
                last = time;
            }
            assert!((850..=1000).contains(&(last - before)), "{steps:?}: {last}");
        }
    }
}
