//! Dictionary attacks (Part 3, 25) and the clock (Part 3, 29).

use crate::clock;
use crate::command::Action;
use crate::context::Context;
use crate::rc::{Rc, Result};
use crate::wire::TimeInfo;

crate::commands! {
    /// TPM2_DictionaryAttackLockReset (Part 3, 25.2).
    DictionaryAttackLockReset = 0x139 [nv] {
        handles { lock_handle: RhLockout as User }
        parameters {}
        response DictionaryAttackLockResetResponse [] {}
    }

    /// TPM2_DictionaryAttackParameters (Part 3, 25.3).
    DictionaryAttackParameters = 0x13A [nv] {
        handles { lock_handle: RhLockout as User }
        parameters { new_max_tries: u32, new_recovery_time: u32, lockout_recovery: u32 }
        response DictionaryAttackParametersResponse [] {}
    }

    /// TPM2_ReadClock (Part 3, 29.1).
    ReadClock = 0x181 [] {
        handles {}
        parameters {}
        response ReadClockResponse [] { current_time: TimeInfo }
    }

    /// TPM2_ClockSet (Part 3, 29.2).
    ClockSet = 0x128 [nv] {
        handles { auth: RhProvision as User }
        parameters { new_time: u64 }
        response ClockSetResponse [] {}
    }

    /// TPM2_ClockRateAdjust (Part 3, 29.3).
    ClockRateAdjust = 0x130 [] {
        handles { auth: RhProvision as User }
        parameters { rate_adjust: i8 }
        response ClockRateAdjustResponse [] {}
    }
}

/// The clock can be set to less than this (Part 3, 29.2.1).
const CLOCK_END: u64 = 0xFFFF_0000_0000_0000;

impl Action for DictionaryAttackLockReset {
    type Response = DictionaryAttackLockResetResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<DictionaryAttackLockResetResponse> {
        let _ = self.lock_handle;
        ctx.state.lockout.failed_tries = 0;
        Ok(DictionaryAttackLockResetResponse {})
    }
}

impl Action for DictionaryAttackParameters {
    type Response = DictionaryAttackParametersResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<DictionaryAttackParametersResponse> {
        let _ = self.lock_handle;
        let now = ctx.time();
        let lockout = &mut ctx.state.lockout;
        lockout.max_tries = self.new_max_tries;
        lockout.recovery_time = self.new_recovery_time;
        lockout.lockout_recovery = self.lockout_recovery;
        // What counts from now on counts by the new times.
        ctx.state.volatile.da_timer = now;
        ctx.state.volatile.lockout_timer = now;
        Ok(DictionaryAttackParametersResponse {})
    }
}

impl Action for ReadClock {
    type Response = ReadClockResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ReadClockResponse> {
        let time = ctx.time();
        Ok(ReadClockResponse {
            current_time: clock::time_info(ctx.state, time),
        })
    }
}

impl Action for ClockSet {
    type Response = ClockSetResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ClockSetResponse> {
        let _ = self.auth;
        let time = ctx.time();
        if self.new_time > CLOCK_END || self.new_time < clock::clock(ctx.state, time) {
            return Err(Rc::VALUE.parameter(1));
        }
        clock::set(ctx.state, time, self.new_time);
        Ok(ClockSetResponse {})
    }
}

impl Action for ClockRateAdjust {
    type Response = ClockRateAdjustResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ClockRateAdjustResponse> {
        let _ = self.auth;
        let now = ctx.platform_time();
        clock::adjust_rate(&mut ctx.state.volatile, now, self.rate_adjust)
            .map_err(|rc| rc.parameter(1))?;
        Ok(ClockRateAdjustResponse {})
    }
}
