//! A platform in memory, and commands as bytes: for tests here and in crates
//! that test with this one.

pub mod client;
pub mod fuzz;
pub mod x509;

use crate::limits::MAX_RESPONSE_SIZE;
use crate::platform::{Change, Platform, PlatformError, Record};
use crate::rc::Rc;
use crate::tpm::Tpm;
use crate::wire::sample::Gen;
use crate::wire::{Handle, Marshal, st};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A platform whose storage is a map, whose entropy is a seed's, and whose
/// clock the test moves.
pub struct MemoryPlatform {
    /// The stored records.
    pub records: BTreeMap<u32, Vec<u8>>,
    /// Time in milliseconds.
    pub now: u64,
    /// Whether commits fail.
    pub broken: bool,
    /// Whether NV can be written.
    pub available: bool,
    /// Whether someone is there.
    pub present: bool,
    entropy: Gen,
}

impl MemoryPlatform {
    /// A platform that stores nothing yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        MemoryPlatform {
            records: BTreeMap::new(),
            now: 1000,
            broken: false,
            available: true,
            present: false,
            entropy: Gen::new(seed),
        }
    }
}

impl Platform for MemoryPlatform {
    fn entropy(&mut self, out: &mut [u8]) -> Result<(), PlatformError> {
        out.copy_from_slice(&self.entropy.bytes(out.len()));
        Ok(())
    }

    fn now_ms(&mut self) -> u64 {
        self.now
    }

    fn nv_load(&mut self) -> Result<Vec<Record>, PlatformError> {
        Ok(self
            .records
            .iter()
            .map(|(id, bytes)| (*id, bytes.clone()))
            .collect())
    }

    fn nv_commit(&mut self, changes: &[Change]) -> Result<(), PlatformError> {
        if self.broken || !self.available {
            return Err(PlatformError);
        }
        for change in changes {
            match &change.bytes {
                Some(bytes) => self.records.insert(change.id, bytes.clone()),
                None => self.records.remove(&change.id),
            };
        }
        Ok(())
    }

    fn nv_available(&mut self) -> bool {
        self.available
    }

    fn physical_presence(&mut self) -> bool {
        self.present
    }
}

/// A manufactured TPM with power, before Startup.
///
/// # Panics
///
/// When it cannot be made.
#[must_use]
pub fn powered(seed: u64) -> Tpm<MemoryPlatform> {
    let mut tpm = Tpm::new(MemoryPlatform::new(seed));
    assert_eq!(tpm.manufacture(), Ok(()));
    assert_eq!(tpm.power_on(), Ok(()));
    tpm
}

/// A TPM after Startup(CLEAR).
#[must_use]
pub fn started(seed: u64) -> Tpm<MemoryPlatform> {
    let mut tpm = powered(seed);
    assert_eq!(startup(&mut tpm, 0), Rc::SUCCESS);
    tpm
}

/// Startup with a type (0: CLEAR, 1: STATE).
pub fn startup(tpm: &mut Tpm<MemoryPlatform>, kind: u16) -> Rc {
    run(tpm, &Command::new(0x144).with(&kind)).rc
}

/// A reset: power off and on, and Startup(CLEAR).
pub fn reset(tpm: &mut Tpm<MemoryPlatform>) {
    assert_eq!(tpm.power_on(), Ok(()));
    assert_eq!(startup(tpm, 0), Rc::SUCCESS);
}

/// A command to be sent.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// Its code.
    pub code: u32,
    /// Its handles.
    pub handles: Vec<u32>,
    /// Its sessions, marshalled; `None`: no session area.
    pub sessions: Option<Vec<u8>>,
    /// Its parameters.
    pub parameters: Vec<u8>,
}

impl Command {
    /// A command with a code and nothing else.
    #[must_use]
    pub fn new(code: u32) -> Self {
        Command {
            code,
            ..Command::default()
        }
    }

    /// With one more handle.
    #[must_use]
    pub fn handle(mut self, h: Handle) -> Self {
        self.handles.push(h.0);
        self
    }

    /// With one more handle, authorized by a password.
    #[must_use]
    pub fn auth(mut self, h: Handle, password: &[u8]) -> Self {
        self.handles.push(h.0);
        self.session(Handle::PW, &[], 0, password)
    }

    /// With one more session.
    #[must_use]
    pub fn session(mut self, h: Handle, nonce: &[u8], attributes: u8, auth: &[u8]) -> Self {
        let area = self.sessions.get_or_insert_with(Vec::new);
        h.marshal(area);
        crate::wire::put_len16(nonce.len(), area);
        area.extend_from_slice(nonce);
        attributes.marshal(area);
        crate::wire::put_len16(auth.len(), area);
        area.extend_from_slice(auth);
        self
    }

    /// With one more parameter.
    #[must_use]
    pub fn with(mut self, value: &impl Marshal) -> Self {
        value.marshal(&mut self.parameters);
        self
    }

    /// As bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.code.marshal(&mut body);
        for h in &self.handles {
            h.marshal(&mut body);
        }
        if let Some(sessions) = &self.sessions {
            (sessions.len() as u32).marshal(&mut body);
            body.extend_from_slice(sessions);
        }
        body.extend_from_slice(&self.parameters);
        let mut out = Vec::new();
        if self.sessions.is_some() {
            st::SESSIONS
        } else {
            st::NO_SESSIONS
        }
        .marshal(&mut out);
        (body.len() as u32 + 6).marshal(&mut out);
        out.extend_from_slice(&body);
        out
    }
}

/// A response, taken apart as far as can be done without the command's
/// description.
#[derive(Clone, Debug)]
pub struct Response {
    /// The code.
    pub rc: Rc,
    /// The handle.
    pub handle: Option<Handle>,
    /// The parameters.
    pub parameters: Vec<u8>,
    /// The session area.
    pub sessions: Vec<u8>,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// Sends bytes and returns the response's bytes.
pub fn send<P: Platform>(tpm: &mut Tpm<P>, locality: u8, command: &[u8]) -> Vec<u8> {
    let mut buffer = [0; MAX_RESPONSE_SIZE];
    let len = tpm.execute(locality, command, &mut buffer);
    buffer[..len].to_vec()
}

/// Sends a command from locality 0.
///
/// # Panics
///
/// When the response is not well formed.
pub fn run<P: Platform>(tpm: &mut Tpm<P>, command: &Command) -> Response {
    run_from(tpm, 0, command)
}

/// Sends a command from a locality.
///
/// # Panics
///
/// When the response is not well formed.
pub fn run_from<P: Platform>(tpm: &mut Tpm<P>, locality: u8, command: &Command) -> Response {
    parse(command.code, &send(tpm, locality, &command.to_bytes()))
}

/// Takes a response apart.
///
/// # Panics
///
/// When it is not well formed.
#[must_use]
pub fn parse(code: u32, bytes: &[u8]) -> Response {
    let mut r = crate::wire::Reader::new(bytes);
    let tag: u16 = r.read().expect("tag");
    let size: u32 = r.read().expect("size");
    assert_eq!(size as usize, bytes.len());
    let rc = Rc(r.read().expect("code"));
    let mut response = Response {
        rc,
        handle: None,
        parameters: Vec::new(),
        sessions: Vec::new(),
        bytes: bytes.to_vec(),
    };
    if rc != Rc::SUCCESS {
        assert_eq!(bytes.len(), 10, "an error has no body");
        assert_eq!(
            tag,
            if rc == Rc::BAD_TAG {
                st::RSP_COMMAND
            } else {
                st::NO_SESSIONS
            }
        );
        return response;
    }
    let spec = crate::command::find(code).expect("a command that succeeds is in the table");
    if spec.response_handle {
        response.handle = Some(r.read().expect("handle"));
    }
    if tag == st::SESSIONS {
        let size: u32 = r.read().expect("parameter size");
        response.parameters = r.take(size as usize).expect("parameters").to_vec();
        response.sessions = r.rest().to_vec();
    } else {
        assert_eq!(tag, st::NO_SESSIONS);
        response.parameters = r.rest().to_vec();
    }
    response
}
