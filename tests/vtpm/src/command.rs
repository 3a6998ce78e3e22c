//! Commands, written field by field.

use crate::constants::{NO_SESSIONS, SESSIONS, rh};

/// A command in the making: code, handles, sessions and parameters.
#[derive(Debug, Clone)]
pub struct Command {
    code: u32,
    handles: Vec<u8>,
    sessions: Vec<u8>,
    parameters: Vec<u8>,
}

/// Fields, big-endian, one after another.
#[derive(Debug, Clone, Default)]
pub struct Fields(pub Vec<u8>);

impl Fields {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// A u8.
    #[must_use]
    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }
    /// A u16.
    #[must_use]
    pub fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    /// A u32.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    /// A u64.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
    /// A TPM2B: a u16 length and the bytes.
    #[must_use]
    pub fn sized(self, bytes: &[u8]) -> Self {
        let length = u16::try_from(bytes.len()).expect("a test's field of 64 KiB");
        self.u16(length).raw(bytes)
    }
    /// A `TPML_PCR_SELECTION` of one bank with these PCRs.
    #[must_use]
    pub fn pcrs(self, bank: u16, pcrs: &[u8]) -> Self {
        let mut bits = [0_u8; 3];
        for pcr in pcrs {
            bits[usize::from(pcr / 8)] |= 1 << (pcr % 8);
        }
        self.u32(1).u16(bank).u8(3).raw(&bits)
    }
}

impl Command {
    /// A command without anything.
    #[must_use]
    pub fn new(code: u32) -> Self {
        Self {
            code,
            handles: Vec::new(),
            sessions: Vec::new(),
            parameters: Vec::new(),
        }
    }

    /// The next handle.
    #[must_use]
    pub fn handle(mut self, handle: u32) -> Self {
        self.handles.extend(handle.to_be_bytes());
        self
    }

    /// A password authorisation.
    #[must_use]
    pub fn password(self, password: &[u8]) -> Self {
        self.session(rh::PW, &[], 0, password)
    }

    /// Any authorisation: session, nonce, attributes, HMAC or password.
    #[must_use]
    pub fn session(mut self, handle: u32, nonce: &[u8], attributes: u8, hmac: &[u8]) -> Self {
        let fields = Fields::new().u32(handle).sized(nonce);
        self.sessions.extend(fields.u8(attributes).sized(hmac).0);
        self
    }

    /// A policy session without an HMAC, that goes on after the command.
    #[must_use]
    pub fn policy(self, handle: u32) -> Self {
        self.session(handle, &[], 1, &[])
    }

    /// The parameters.
    #[must_use]
    pub fn with(mut self, fields: Fields) -> Self {
        self.parameters.extend(fields.0);
        self
    }

    /// The same command with the first `length` bytes of its parameters only.
    #[must_use]
    pub fn cut(mut self, length: usize) -> Self {
        self.parameters.truncate(length);
        self
    }

    /// The same command with one bit of its parameters turned.
    #[must_use]
    pub fn flipped(mut self, bit: usize) -> Self {
        self.parameters[bit / 8] ^= 0x80 >> (bit % 8);
        self
    }

    /// The length of the parameters in bytes.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters.len()
    }

    /// The command's code.
    #[must_use]
    pub fn code(&self) -> u32 {
        self.code
    }

    /// The whole command.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let with_sessions = !self.sessions.is_empty();
        let mut body = self.handles.clone();
        if with_sessions {
            body.extend((self.sessions.len() as u32).to_be_bytes());
            body.extend(&self.sessions);
        }
        body.extend(&self.parameters);
        let tag = if with_sessions { SESSIONS } else { NO_SESSIONS };
        let mut bytes = tag.to_be_bytes().to_vec();
        bytes.extend((body.len() as u32 + 10).to_be_bytes());
        bytes.extend(self.code.to_be_bytes());
        bytes.extend(body);
        bytes
    }
}
