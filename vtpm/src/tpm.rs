//! A TPM as its user sees it: power, commands, and the interface signals that
//! are no commands.

use crate::command::dispatch::{self, Pending, error_response};
use crate::crypto::rng::Drbg;
use crate::drtm;
use crate::limits::{MAX_RESPONSE_SIZE, SEED_SIZE};
use crate::manufacture;
use crate::platform::{Change, Platform};
use crate::rc::Rc;
use crate::state::commit::{load, manufactured};
use crate::state::snapshot;
use crate::state::{NvIndex, PcrBanks, State, StateClear, StateError, StateReset, Volatile};
use crate::wire::{Handle, Writer};
use alloc::boxed::Box;
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// How far a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The response is complete and has so many bytes.
    Done(usize),
    /// It needs more [`Tpm::step`]s.
    More,
}

/// A TPM on a platform.
pub struct Tpm<P: Platform> {
    platform: P,
    state: Option<Box<State>>,
    pending: Option<Box<Pending>>,
}

impl<P: Platform> Tpm<P> {
    /// A TPM without power.
    pub fn new(platform: P) -> Self {
        Tpm {
            platform,
            state: None,
            pending: None,
        }
    }

    /// The platform.
    pub fn platform(&mut self) -> &mut P {
        &mut self.platform
    }

    /// Gives up the TPM; what is not persistent is lost.
    pub fn into_platform(self) -> P {
        self.platform
    }

    /// Makes a new TPM: seeds, proofs, empty auth values, no objects and no NV
    /// indices. What the platform stored of an older TPM is replaced, so this
    /// is for platforms that hold none.
    pub fn manufacture(&mut self) -> Result<(), StateError> {
        self.manufacture_with(None)
    }

    /// [`Tpm::manufacture`] with this endorsement primary seed, for a TPM that is to have the same
    /// endorsement keys as another one had.
    pub fn manufacture_with(
        &mut self,
        endorsement: Option<&[u8; SEED_SIZE]>,
    ) -> Result<(), StateError> {
        self.power_off();
        manufacture::manufacture(&mut self.platform, endorsement)
    }

    /// _TPM_Init: power on, or a reset of the platform. The state is read from
    /// the platform, and the TPM waits for Startup.
    pub fn power_on(&mut self) -> Result<(), StateError> {
        self.power_off();
        let records = self.platform.nv_load().map_err(|_| StateError::Platform)?;
        let stored = load(records)?;
        let mut seed = zeroize::Zeroizing::new([0u8; 48]);
        self.platform
            .entropy(&mut *seed)
            .map_err(|_| StateError::Platform)?;
        let mut rng = Drbg::new(&*seed, b"rampart vtpm");
        let now = self.platform.now_ms();
        let pcrs = PcrBanks::zeroed(&stored.pcr_config.allocated);
        self.state = Some(Box::new(State {
            hierarchies: stored.hierarchies,
            lockout: stored.lockout,
            clock: stored.clock,
            pcr_config: stored.pcr_config,
            audit: stored.audit,
            shutdown: stored.shutdown,
            nv: stored.nv,
            persistent: stored.persistent,
            reset: StateReset::new(&mut rng),
            clear: StateClear::new(pcrs),
            volatile: Volatile::new(rng, now),
        }));
        Ok(())
    }

    /// Power off without a word; what is not persistent is lost.
    pub fn power_off(&mut self) {
        self.pending = None;
        self.state = None;
    }

    /// Whether the TPM has power.
    pub fn is_on(&self) -> bool {
        self.state.is_some()
    }

    /// Puts an NV index in, past all commands: for provisioning.
    pub(crate) fn put_index(&mut self, h: Handle, index: NvIndex) -> Result<(), Rc> {
        let state = self.state.as_deref_mut().ok_or(Rc::INITIALIZE)?;
        state.nv.insert(h, index);
        state.commit(&mut self.platform)
    }

    /// The whole state between two commands, sealed with a key if one is
    /// given, and with a counter by which [`Tpm::restore`] knows older ones.
    /// `None` without power, or while a long command is being worked on. The
    /// value holds secrets.
    pub fn snapshot(&mut self, key: Option<&[u8]>, counter: u64) -> Option<Zeroizing<Vec<u8>>> {
        if self.pending.is_some() {
            return None;
        }
        let now = self.platform.now_ms();
        self.state
            .as_deref()
            .map(|state| snapshot::take(state, now, key, counter))
    }

    /// Takes up a snapshot whose counter is at least `least`: the TPM has power
    /// and goes on where it was. What the platform stores becomes the
    /// snapshot's. On an error everything stays as it was.
    pub fn restore(
        &mut self,
        image: &[u8],
        key: Option<&[u8]>,
        least: u64,
    ) -> Result<(), StateError> {
        let now = self.platform.now_ms();
        let mut state = snapshot::open(image, now, key, least)?;
        let old = self.platform.nv_load().map_err(|_| StateError::Platform)?;
        let made = state.changes();
        let stale = old
            .into_iter()
            .map(|(id, _)| id)
            .filter(|id| !made.iter().any(|m| m.id == *id));
        let mut changes: Vec<Change> = stale.map(|id| Change { id, bytes: None }).collect();
        changes.retain(|c| c.id != manufactured().id);
        changes.extend(made);
        changes.push(manufactured());
        self.platform
            .nv_commit(&changes)
            .map_err(|_| StateError::Platform)?;
        self.pending = None;
        self.state = Some(Box::new(state));
        Ok(())
    }

    /// Handles of everything that is there, for tests.
    #[cfg(any(test, feature = "sample"))]
    pub fn live_handles(&self) -> Vec<u32> {
        let Some(state) = self.state.as_deref() else {
            return Vec::new();
        };
        let transient = state.volatile.transient.keys().copied();
        let sessions = state.volatile.sessions.keys().copied();
        let kept = state
            .nv
            .handles()
            .chain(state.persistent.handles())
            .map(|h| h.0);
        transient.chain(sessions).chain(kept).collect()
    }

    /// The state without what a failed command may change (counted failures,
    /// random numbers, the clock), for tests that compare.
    #[cfg(any(test, feature = "sample"))]
    pub fn fingerprint(&mut self) -> Vec<u8> {
        self.state
            .as_deref()
            .map_or_else(Vec::new, State::fingerprint)
    }

    /// _TPM_Hash_Start.
    pub fn hash_start(&mut self) {
        if let Some(state) = self.state.as_deref_mut() {
            drtm::start(state);
        }
    }

    /// _TPM_Hash_Data.
    pub fn hash_data(&mut self, bytes: &[u8]) {
        if let Some(state) = self.state.as_deref_mut() {
            drtm::data(state, bytes);
        }
    }

    /// _TPM_Hash_End.
    pub fn hash_end(&mut self) {
        if let Some(state) = self.state.as_deref_mut() {
            drtm::end(state);
        }
    }

    /// Answers a command at once; a long one takes its time. Returns the
    /// response's length.
    pub fn execute(
        &mut self,
        locality: u8,
        command: &[u8],
        response: &mut [u8; MAX_RESPONSE_SIZE],
    ) -> usize {
        let mut progress = self.begin(locality, command, response);
        loop {
            match progress {
                Progress::Done(len) => return len,
                Progress::More => progress = self.step(64, response),
            }
        }
    }

    /// Takes a command and answers it, unless it is a long one: then
    /// [`Tpm::step`] goes on with it. A command that is still being worked on
    /// is given up without an answer.
    pub fn begin(
        &mut self,
        locality: u8,
        command: &[u8],
        response: &mut [u8; MAX_RESPONSE_SIZE],
    ) -> Progress {
        self.pending = None;
        let Some(state) = self.state.as_deref_mut() else {
            return put(&error_response(Rc::INITIALIZE), response);
        };
        match dispatch::begin(state, &mut self.platform, locality, command) {
            Ok(pending) => {
                self.pending = Some(Box::new(pending));
                self.go_on(response)
            }
            Err(rc) => self.answer_error(rc, response),
        }
    }

    /// Works on a long command for `slices` slices of one or two milliseconds.
    /// Without one there is nothing to answer: the length is zero.
    pub fn step(&mut self, slices: u32, response: &mut [u8; MAX_RESPONSE_SIZE]) -> Progress {
        let job = self.pending.as_deref_mut().and_then(|p| p.job.as_mut());
        match job.map(|j| j.step(slices)) {
            None => Progress::Done(0),
            Some(Ok(false)) => Progress::More,
            Some(Ok(true)) => self.go_on(response),
            Some(Err(rc)) => {
                self.pending = None;
                self.answer_error(rc, response)
            }
        }
    }

    /// Ends a long command with TPM_RC_CANCELED. Without one nothing happens,
    /// and the length is zero.
    pub fn cancel(&mut self, response: &mut [u8; MAX_RESPONSE_SIZE]) -> usize {
        if self.pending.take().is_none() {
            return 0;
        }
        match put(&error_response(Rc::CANCELED), response) {
            Progress::Done(len) => len,
            Progress::More => 0,
        }
    }

    fn go_on(&mut self, response: &mut [u8; MAX_RESPONSE_SIZE]) -> Progress {
        let (Some(state), Some(pending)) = (self.state.as_deref_mut(), self.pending.as_deref_mut())
        else {
            return put(&error_response(Rc::FAILURE), response);
        };
        match dispatch::run(state, &mut self.platform, pending) {
            Ok(None) => Progress::More,
            Ok(Some(out)) => {
                self.pending = None;
                // What the command changed is stored before it is answered.
                match state.commit(&mut self.platform) {
                    Ok(()) => put(&out, response),
                    Err(rc) => put(&error_response(rc), response),
                }
            }
            Err(rc) => {
                self.pending = None;
                self.answer_error(rc, response)
            }
        }
    }

    fn answer_error(&mut self, rc: Rc, response: &mut [u8; MAX_RESPONSE_SIZE]) -> Progress {
        // Failed authorizations count even though the command fails.
        let committed = self
            .state
            .as_deref_mut()
            .map_or(Ok(()), |s| s.commit(&mut self.platform));
        put(&error_response(committed.err().unwrap_or(rc)), response)
    }

    /// The state, for tests that look behind the commands.
    #[cfg(test)]
    pub(crate) fn state(&mut self) -> &mut State {
        self.state.as_deref_mut().expect("power is on")
    }
}

fn put(out: &Writer, response: &mut [u8; MAX_RESPONSE_SIZE]) -> Progress {
    match response.get_mut(..out.len()) {
        Some(place) => {
            place.copy_from_slice(out);
            Progress::Done(out.len())
        }
        None => Progress::Done(0),
    }
}
