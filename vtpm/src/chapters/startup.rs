//! Startup (Part 3, 9) and the kinds of starting (Part 1, 12.2).

use crate::command::Action;
use crate::context::Context;
use crate::rc::{Rc, Result};
use crate::state::{OrderlyShutdown, State, StateClear, StateReset};
use crate::wire::{Marshal, Reader, Unmarshal, Writer};
use alloc::vec::Vec;

/// TPM_SU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartupType {
    /// Begin anew.
    Clear,
    /// Go on with what Shutdown(STATE) saved.
    State,
}

impl Unmarshal for StartupType {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        match r.read::<u16>()? {
            0 => Ok(StartupType::Clear),
            1 => Ok(StartupType::State),
            _ => Err(Rc::VALUE),
        }
    }
}

impl Marshal for StartupType {
    fn marshal(&self, out: &mut Writer) {
        match self {
            StartupType::Clear => 0u16,
            StartupType::State => 1,
        }
        .marshal(out);
    }
}

#[cfg(any(test, feature = "sample"))]
impl crate::wire::sample::Sample for StartupType {
    fn sample(g: &mut crate::wire::sample::Gen) -> Self {
        g.pick(&[StartupType::Clear, StartupType::State])
    }
}

/// What a Startup amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Startup(CLEAR) without a saved state.
    Reset,
    /// Startup(CLEAR) after Shutdown(STATE).
    Restart,
    /// Startup(STATE) after Shutdown(STATE).
    Resume,
}

/// TPM_CC_Shutdown.
pub(crate) const SHUTDOWN: u32 = 0x145;

/// Values of [`OrderlyShutdown::kind`].
pub mod shutdown_kind {
    /// Power was lost without a Shutdown.
    pub const NONE: u8 = 0;
    /// Shutdown(CLEAR).
    pub const CLEAR: u8 = 1;
    /// Shutdown(STATE).
    pub const STATE: u8 = 2;
}

crate::commands! {
    /// TPM2_Startup (Part 3, 9.3).
    Startup = 0x144 [nv no_sessions before_startup no_audit] {
        handles {}
        parameters { startup_type: StartupType }
        response StartupResponse [] {}
    }

    /// TPM2_Shutdown (Part 3, 9.4).
    Shutdown = 0x145 [nv no_audit] {
        handles {}
        parameters { shutdown_type: StartupType }
        response ShutdownResponse [] {}
    }
}

impl Action for Startup {
    type Response = StartupResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<StartupResponse> {
        if ctx.state.volatile.started {
            return Err(Rc::INITIALIZE);
        }
        if !matches!(ctx.locality, 0 | 3) {
            return Err(Rc::LOCALITY);
        }
        let kind = ctx.state.shutdown.kind;
        let saved = if kind == shutdown_kind::STATE {
            Some(Saved::from_bytes(&ctx.state.shutdown.saved))
        } else {
            None
        };
        let (start, saved) = match (self.startup_type, saved) {
            (StartupType::State, Some(Ok(saved))) => (Start::Resume, Some(saved)),
            (StartupType::State, _) => return Err(Rc::VALUE.parameter(1)),
            (StartupType::Clear, Some(Ok(saved))) => (Start::Restart, Some(saved)),
            (StartupType::Clear, _) => (Start::Reset, None),
        };
        if let Some(saved) = &saved
            && start == Start::Resume
            && saved.startup_locality_3 != (ctx.locality == 3)
        {
            return Err(Rc::LOCALITY);
        }
        let orderly = kind != shutdown_kind::NONE;
        begin(ctx.state, start, saved, orderly, ctx.locality);
        Ok(StartupResponse {})
    }
}

crate::state_struct! {
    /// What Shutdown(STATE) saves.
    pub struct Saved {
        /// For resume and restart.
        pub reset: StateReset,
        /// For resume.
        pub clear: StateClear,
        /// Whether Startup came from locality 3.
        pub startup_locality_3: bool,
        /// Whether a DRTM preceded Startup.
        pub drtm_before_startup: bool,
    }
}

fn begin(state: &mut State, start: Start, saved: Option<Saved>, orderly: bool, locality: u8) {
    state.volatile.startup_locality_3 = locality == 3;
    let mut old_clear = None;
    if let Some(saved) = saved {
        state.reset = saved.reset;
        state.reset.restart_count = state.reset.restart_count.saturating_add(1);
        match start {
            Start::Resume => {
                state.volatile.drtm_before_startup = saved.drtm_before_startup;
                old_clear = Some(saved.clear);
            }
            // stClear objects do not survive a restart.
            _ => state.reset.clear_count = state.reset.clear_count.saturating_add(1),
        }
    } else {
        // power_on() made a fresh StateReset and StateClear.
        state.clock.reset_count = state.clock.reset_count.saturating_add(1);
        state.clock.total_reset_count = state.clock.total_reset_count.saturating_add(1);
    }
    super::pcr::on_startup(state, start, old_clear.as_ref().map(|c| &c.pcrs));
    if let Some(mut clear) = old_clear {
        clear.pcrs = state.clear.pcrs.clone();
        state.clear = clear;
    }
    super::sessions::on_startup(state);
    crate::clock::on_startup(state, orderly);
    crate::da::on_startup(state);
    crate::nv::on_startup(state, start, orderly);
    // From here on the saved state is stale.
    forget_shutdown(state);
    state.volatile.started = true;
}

/// As if there had been no Shutdown.
pub(crate) fn forget_shutdown(state: &mut State) {
    if state.shutdown.kind != shutdown_kind::NONE {
        *state.shutdown = OrderlyShutdown {
            kind: shutdown_kind::NONE,
            saved: Vec::new(),
        };
    }
}

impl Action for Shutdown {
    type Response = ShutdownResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ShutdownResponse> {
        let time = ctx.time();
        let state = &mut *ctx.state;
        let active = state.clear.pcrs.selections();
        let reallocated = !state
            .pcr_config
            .allocated
            .iter()
            .filter(|b| b.pcrs != [0; 3])
            .copied()
            .eq(active);
        if self.shutdown_type == StartupType::State && reallocated {
            return Err(Rc::TYPE.parameter(1));
        }
        crate::clock::on_shutdown(state, time);
        crate::nv::on_shutdown(state);
        *state.shutdown = match self.shutdown_type {
            StartupType::Clear => OrderlyShutdown {
                kind: shutdown_kind::CLEAR,
                saved: Vec::new(),
            },
            StartupType::State => {
                let saved = Saved {
                    reset: state.reset.clone(),
                    clear: state.clear.clone(),
                    startup_locality_3: state.volatile.startup_locality_3,
                    drtm_before_startup: state.volatile.drtm_before_startup,
                };
                OrderlyShutdown {
                    kind: shutdown_kind::STATE,
                    saved: saved.to_bytes(),
                }
            }
        };
        Ok(ShutdownResponse {})
    }
}
