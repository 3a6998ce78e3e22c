//! Random commands from the command table, and what must hold after each.
//!
//! A case is a seed and a number of commands: the same pair does the same, so
//! that a finding is two numbers. Some commands are structured (handles,
//! sessions and parameters of their types), some are such commands with bytes
//! changed, some are noise; and some come in chains.

pub mod chain;
mod useful;

use super::{MemoryPlatform, Response, send, started};
use crate::command::{self, CommandSpec};
use crate::platform::Platform;
use crate::rc::Rc;
use crate::tpm::Tpm;
use crate::wire::sample::{Gen, HANDLES, Sample};
use crate::wire::{Handle, Reader, st};
use alloc::vec::Vec;

/// A command that takes long and that a case runs but rarely.
fn is_slow(bytes: &[u8]) -> bool {
    // An RSA template: TPM_ALG_RSA followed by a hash algorithm that is one.
    bytes
        .windows(4)
        .any(|w| matches!(w, [0, 1, 0, 0x04 | 0x0B | 0x0C | 0x0D]))
}

/// HierarchyControl, Clear, ChangePPS and ChangeEPS, HierarchyChangeAuth,
/// SetPrimaryPolicy, PCR_Allocate.
const RARE: [u32; 7] = [0x121, 0x126, 0x125, 0x124, 0x129, 0x12E, 0x12B];

/// What a run met with, so that one can see that it reaches somewhere.
#[derive(Clone, Debug, Default)]
pub struct Met {
    /// Commands sent.
    pub commands: u64,
    /// Of these answered with success.
    pub successes: u64,
    /// Successes by command code.
    pub by_code: alloc::collections::BTreeMap<u32, u64>,
    /// Chains begun and come to their end, by their place in `chain::CHAINS`.
    pub chains: alloc::collections::BTreeMap<usize, (u64, u64)>,
}

/// A TPM under random commands.
pub struct Fuzz {
    tpm: Tpm<MemoryPlatform>,
    g: Gen,
    sent: Vec<Vec<u8>>,
    saved: Vec<Vec<u8>>,
    made: Vec<Vec<u8>>,
    /// Whether there are chains, among the commands.
    chains: bool,
    /// Whether commands like those of a chain are sent before them.
    near: bool,
    /// What was met with.
    pub met: Met,
}

impl Fuzz {
    /// A case that begins with a seed, with chains among its commands.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Fuzz {
            chains: true,
            ..Fuzz::without_chains(seed)
        }
    }

    /// A case that begins with a seed: single commands, each on its own.
    #[must_use]
    pub fn without_chains(seed: u64) -> Self {
        Fuzz {
            tpm: started(seed),
            g: Gen::new(seed),
            sent: Vec::new(),
            saved: Vec::new(),
            made: Vec::new(),
            chains: false,
            near: true,
            met: Met::default(),
        }
    }

    /// Sends `commands` commands.
    ///
    /// # Panics
    ///
    /// When something does not hold.
    pub fn run(&mut self, commands: usize) {
        for _ in 0..commands {
            self.one();
        }
    }

    /// Runs a chain with its commands only, as they should be, and says whether
    /// it came to its end.
    ///
    /// # Panics
    ///
    /// When something does not hold.
    pub fn run_chain(&mut self, number: usize) -> bool {
        self.near = false;
        let ended = chain::run(self, number);
        self.near = true;
        ended
    }

    fn one(&mut self) {
        if self.chains && self.g.once_in(60) {
            let number = self.g.below(chain::CHAINS.len());
            let ended = chain::run(self, number);
            let (begun, ends) = self.met.chains.entry(number).or_default();
            *begun += 1;
            *ends += u64::from(ended);
            return;
        }
        let bytes = self.make();
        if is_slow(&bytes) && !self.g.once_in(50) {
            return;
        }
        if self.g.once_in(200) {
            self.power();
        }
        self.tpm.platform().now += self.g.pick(&[0, 1, 10, 1000, 100_000, 10_000_000]);
        self.tpm.platform().present = self.g.once_in(2);
        self.tpm.platform().available = !self.g.once_in(20);
        let locality = if self.g.once_in(10) {
            self.g.below(6) as u8
        } else {
            0
        };
        let response = check(&mut self.tpm, locality, &bytes, &mut self.met);
        self.remember(&bytes, response.map_or_else(Vec::new, |r| r.parameters));
        self.keep(bytes);
        if self.g.once_in(300) {
            round_trip(&mut self.tpm);
        }
    }

    /// Keeps a command, to be sent again.
    fn keep(&mut self, bytes: Vec<u8>) {
        if self.sent.len() < 64 {
            self.sent.push(bytes);
        } else {
            let place = self.g.below(64);
            self.sent[place] = bytes;
        }
    }

    /// Keeps saved contexts and created objects for later.
    fn remember(&mut self, bytes: &[u8], parameters: Vec<u8>) {
        if parameters.is_empty() {
            return;
        }
        let (pool, value) = match bytes.get(6..10) {
            Some([0, 0, 1, 0x62]) => (&mut self.saved, parameters),
            Some([0, 0, 1, 0x53]) => match useful::loadable(&parameters) {
                Some(loadable) => (&mut self.made, loadable),
                None => return,
            },
            _ => return,
        };
        if pool.len() >= 16 {
            pool.remove(0);
        }
        pool.push(value);
    }

    /// Power goes and comes, with or without a word.
    fn power(&mut self) {
        let kind = self.g.below(2) as u16;
        self.tpm.platform().available = true;
        if self.g.once_in(2) {
            let command = super::Command::new(0x145).with(&kind).to_bytes();
            check(&mut self.tpm, 0, &command, &mut self.met);
        }
        assert_eq!(self.tpm.power_on(), Ok(()));
        for kind in [kind, 0] {
            let command = super::Command::new(0x144).with(&kind).to_bytes();
            check(&mut self.tpm, 0, &command, &mut self.met);
        }
    }

    fn make(&mut self) -> Vec<u8> {
        let specs: Vec<&CommandSpec> = command::all().collect();
        let mut spec = self.g.pick(&specs);
        // What takes the ground from under the others is rarer.
        if RARE.contains(&spec.code) && !self.g.once_in(10) {
            spec = self.g.pick(&specs);
        }
        // What was saved is loaded again, as it was.
        if self.g.once_in(20) && !self.saved.is_empty() {
            let at = self.g.below(self.saved.len());
            let mut command = super::Command::new(0x161);
            command.parameters = self.saved[at].clone();
            return command.to_bytes();
        }
        let live = self.tpm.live_handles();
        let mut bytes = if self.g.once_in(12) && !self.sent.is_empty() {
            let at = self.g.below(self.sent.len());
            self.sent[at].clone()
        } else if self.g.once_in(3) {
            useful::command(&mut self.g, &live, &self.made)
        } else {
            structured(&mut self.g, spec, &live)
        };
        match self.g.below(8) {
            0 => mutate(&mut self.g, &mut bytes),
            1 if self.g.once_in(10) => {
                let len = self.g.below(200);
                bytes = self.g.bytes(len);
            }
            _ => {}
        }
        bytes
    }
}

/// A command of the table with plausible contents.
pub fn structured(g: &mut Gen, spec: &CommandSpec, live: &[u32]) -> Vec<u8> {
    let mut command = super::Command::new(spec.code);
    for expected in spec.handles {
        let mut h = Handle::sample(g);
        for _ in 0..40 {
            if (expected.check)(h).is_ok() {
                break;
            }
            h = Handle::sample(g);
        }
        let fit: Vec<u32> = live
            .iter()
            .copied()
            .filter(|&h| (expected.check)(Handle(h)).is_ok())
            .collect();
        if !fit.is_empty() && !g.once_in(4) {
            h = Handle(g.pick(&fit));
        }
        command.handles.push(h.0);
    }
    let needed = spec.auth_handles();
    let extra = if g.once_in(8) { g.below(3) } else { 0 };
    for index in 0..needed + extra {
        let password = g.once_in(3) && index >= needed || !g.once_in(6) && index < needed;
        if password {
            let auth = if g.once_in(8) { g.bytes(4) } else { Vec::new() };
            command = command.session(Handle::PW, &[], 1, &auth);
        } else {
            let sessions: Vec<u32> = live
                .iter()
                .copied()
                .filter(|&h| Handle(h).is_session())
                .collect();
            let h = match sessions.is_empty() {
                true => Handle(0x0200_0000),
                false => Handle(g.pick(&sessions)),
            };
            let nonce = g.bytes(16);
            let attributes = g.pick(&[1, 0, 0x21, 0x41, 0x81, 0x61, 0xE1, 0x83, 0x85]);
            let auth = if g.once_in(2) {
                Vec::new()
            } else {
                g.bytes(32)
            };
            command = command.session(h, &nonce, attributes, &auth);
        }
    }
    for parameter in spec.parameters {
        (parameter.sample)(g, &mut command.parameters);
    }
    command.to_bytes()
}

fn mutate(g: &mut Gen, bytes: &mut Vec<u8>) {
    alter(g, bytes);
    // Most of them with a size that is right, so that more is read.
    if bytes.len() >= 6 && !g.once_in(4) {
        let len = (bytes.len() as u32).to_be_bytes();
        bytes[2..6].copy_from_slice(&len);
    }
}

fn alter(g: &mut Gen, bytes: &mut Vec<u8>) {
    for _ in 0..1 + g.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = g.below(bytes.len());
        match g.below(5) {
            0 => bytes[at] ^= 1 << g.below(8),
            1 => bytes[at] = g.pick(&[0, 1, 0xFF, 0x7F, 0x80]),
            2 => {
                let value = g.pick(&HANDLES).to_be_bytes();
                let end = (at + 4).min(bytes.len());
                bytes[at..end].copy_from_slice(&value[..end - at]);
            }
            3 => bytes.truncate(at),
            _ => {
                let more = g.bytes(1 + at % 8);
                bytes.extend_from_slice(&more);
            }
        }
    }
}

/// Everything of a TPM's state but what a failed command may change: the
/// counting of failed authorizations, random numbers and the clock.
fn fingerprint(tpm: &mut Tpm<MemoryPlatform>) -> Vec<u8> {
    tpm.fingerprint()
}

/// Sends one command and checks what must hold of every answer. Returns the
/// response of a success.
///
/// # Panics
///
/// When it does not.
pub fn check(
    tpm: &mut Tpm<MemoryPlatform>,
    locality: u8,
    bytes: &[u8],
    met: &mut Met,
) -> Option<Response> {
    let before = fingerprint(tpm);
    let response = send(tpm, locality, bytes);
    met.commands += 1;
    let mut r = Reader::new(&response);
    let (tag, size, rc): (u16, u32, u32) = (read(&mut r), read(&mut r), read(&mut r));
    assert_eq!(size as usize, response.len());
    if rc != 0 {
        assert_eq!(response.len(), 10);
        assert_ne!(Rc(rc), Rc::MORE_WORK);
        assert!(
            rc == 0x1E || (0x80..0x1000).contains(&rc),
            "response code {rc:#x}"
        );
        assert_eq!(
            tag,
            if rc == 0x1E {
                st::RSP_COMMAND
            } else {
                st::NO_SESSIONS
            }
        );
        assert!(Rc(rc) != Rc::FAILURE, "failure mode after {bytes:02x?}");
        assert!(
            fingerprint(tpm) == before,
            "{:?} changed the state: {bytes:02x?}",
            Rc(rc)
        );
        return None;
    }
    let code = u32::from_be_bytes([bytes[6], bytes[7], bytes[8], bytes[9]]);
    met.successes += 1;
    *met.by_code.entry(code).or_default() += 1;
    Some(super::parse(code, &response))
}

fn read<T: crate::wire::Unmarshal>(r: &mut Reader<'_>) -> T {
    r.read().expect("a response has a header")
}

/// A snapshot gives back the state it was taken of.
fn round_trip(tpm: &mut Tpm<MemoryPlatform>) {
    tpm.platform().available = true;
    let before = fingerprint(tpm);
    let image = tpm
        .snapshot(Some(b"key"), 7)
        .expect("no command is pending");
    assert_eq!(tpm.restore(&image, Some(b"key"), 7), Ok(()));
    assert!(
        fingerprint(tpm) == before,
        "a snapshot differs from its state"
    );
    let stored = tpm.platform().nv_load().expect("memory");
    assert!(!stored.is_empty());
}
