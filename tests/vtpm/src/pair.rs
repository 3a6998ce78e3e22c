//! The same command to both TPMs, and the comparison.

use anyhow::Result;

use crate::command::{Command, Fields};
use crate::constants::alg;
use crate::constants::{cc, se};
use crate::response::Response;
use crate::server::{self, Kind, Server};

/// Both TPMs. What differs is collected, so that a test shows all of it at once.
#[derive(Debug)]
pub struct Pair {
    /// Rampart's.
    pub ours: Server,
    /// The yardstick.
    pub theirs: Server,
    differences: Vec<String>,
    compared: usize,
}

impl Pair {
    /// Both, before Startup.
    ///
    /// # Errors
    /// One of them does not start.
    pub fn cold() -> Result<Self> {
        Ok(Self {
            ours: Server::start(server::under_test())?,
            theirs: Server::start(Kind::Swtpm)?,
            differences: Vec::new(),
            compared: 0,
        })
    }

    /// Both, after Startup(CLEAR).
    ///
    /// # Panics
    /// If one of them does not start.
    #[must_use]
    pub fn new() -> Self {
        let mut pair = Self::cold().expect("both TPMs");
        pair.startup(0);
        pair
    }

    /// Startup of both: 0 is CLEAR, 1 is STATE.
    pub fn startup(&mut self, kind: u16) -> u32 {
        let startup = Command::new(cc::STARTUP).with(Fields::new().u16(kind));
        self.code("Startup", &startup)
    }

    /// The reset line of both.
    ///
    /// # Panics
    /// If one of them does not answer.
    pub fn reset(&mut self) {
        self.ours.reset().expect("vtpm-server resets");
        self.theirs.reset().expect("swtpm resets");
    }

    /// Both responses.
    ///
    /// # Panics
    /// If one of them does not answer.
    pub fn each(&mut self, command: &Command) -> [Response; 2] {
        self.each_raw(0, &command.bytes())
    }

    /// Both responses to any bytes, from a locality.
    ///
    /// # Panics
    /// If one of them does not answer.
    pub fn each_raw(&mut self, locality: u8, bytes: &[u8]) -> [Response; 2] {
        let ours = self.ours.send_from(locality, bytes);
        let theirs = self.theirs.send_from(locality, bytes);
        [
            ours.expect("vtpm-server answers"),
            theirs.expect("swtpm answers"),
        ]
    }

    /// Notes a difference between two values of which a test knows that they agree.
    pub fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, ours: T, theirs: T) {
        self.compared += 1;
        if ours != theirs {
            self.differences
                .push(format!("{what}: {ours:02x?}, and swtpm {theirs:02x?}"));
        }
    }

    /// Sends it to both; the whole responses must be the same. Returns ours.
    pub fn same(&mut self, what: &str, command: &Command) -> Response {
        let [ours, theirs] = self.each(command);
        self.compare(what, &ours, &theirs);
        ours
    }

    /// Sends it to both; the code and what follows the first `skip` bytes of the
    /// parameters (which each TPM counts for itself) must be the same.
    pub fn same_tail(&mut self, what: &str, command: &Command, skip: usize) {
        let [ours, theirs] = self.same_code(what, command);
        let tail = |response: &Response| response.0.get(10 + skip..).map(<[u8]>::to_vec);
        self.compare(what, tail(&ours), tail(&theirs));
    }

    /// Sends it to both; the response codes must be the same. Returns the code.
    pub fn code(&mut self, what: &str, command: &Command) -> u32 {
        let [ours, _] = self.same_code(what, command);
        ours.code()
    }

    /// Sends it to both; the response codes must be the same. Returns both.
    pub fn same_code(&mut self, what: &str, command: &Command) -> [Response; 2] {
        let [ours, theirs] = self.each(command);
        self.compared += 1;
        if ours.code() != theirs.code() {
            self.differences.push(format!(
                "{what}: response code {:#05x}, and swtpm {:#05x}",
                ours.code(),
                theirs.code()
            ));
        }
        [ours, theirs]
    }

    /// Starts a session without salt, binding and symmetric algorithm; both give
    /// it the same handle.
    pub fn session(&mut self, kind: u8, hash: u16) -> u32 {
        let command = start_session(kind, hash);
        let [ours, theirs] = self.same_code("StartAuthSession", &command);
        self.compare("session handle", ours.handle(), theirs.handle());
        ours.handle()
    }

    /// A trial session.
    pub fn trial(&mut self) -> u32 {
        self.session(se::TRIAL, alg::SHA256)
    }

    /// Removes an object or session of both.
    pub fn flush(&mut self, handle: u32) {
        let flush = Command::new(cc::FLUSH_CONTEXT).with(Fields::new().u32(handle));
        self.same("FlushContext", &flush);
    }

    /// Takes over what differed in another pair of the same test.
    pub fn join(&mut self, other: Self) {
        self.compared += other.compared;
        self.differences.extend(other.differences);
    }

    /// Ends the test: every difference at once.
    ///
    /// # Panics
    /// If anything differed, or nothing was compared.
    #[track_caller]
    pub fn finish(self) {
        assert!(self.compared > 0, "nothing was compared");
        assert!(
            self.differences.is_empty(),
            "{} of {} differ:\n{}",
            self.differences.len(),
            self.compared,
            self.differences.join("\n")
        );
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

/// `TPM2_StartAuthSession` without salt, binding and symmetric algorithm.
#[must_use]
pub fn start_session(kind: u8, hash: u16) -> Command {
    let fields = Fields::new().sized(&[7; 16]).sized(&[]).u8(kind);
    Command::new(cc::START_AUTH_SESSION)
        .handle(crate::constants::rh::NULL)
        .handle(crate::constants::rh::NULL)
        .with(fields.u16(alg::NULL).u16(hash))
}
