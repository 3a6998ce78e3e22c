//! TPM commands through the SVSM's vTPM protocol: a buffer of one page, request and response in it.

use protocols::svsm::{PlatformCommand, ProtocolId, Request, SvsmResult, VtpmCall, VtpmRequest};

use crate::arch::memory;
use crate::check::{Failure, Outcome, holds, same, succeeds};
use crate::svsm::{self, Reply};

/// TPM_RC_INITIALIZE.
pub(crate) const RC_INITIALIZE: u32 = 0x100;
/// TPM_RH_NULL.
const NULL: u32 = 0x4000_0007;

/// Longest command of the checks.
const ROOM: usize = 128;

/// A TPM command that is put together.
#[derive(Clone, Copy)]
pub(crate) struct Command {
    bytes: [u8; ROOM],
    len: usize,
}

impl Command {
    /// A command without sessions.
    pub(crate) fn new(code: u32) -> Self {
        Self::tagged(0x8001, code)
    }

    /// A command whose first handle is authorized by an empty password.
    fn with_password(code: u32, handle: u32) -> Self {
        Self::tagged(0x8002, code)
            .put(&handle.to_be_bytes())
            .put(&[0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0])
    }

    fn tagged(tag: u16, code: u32) -> Self {
        let empty = Self {
            bytes: [0; ROOM],
            len: 0,
        };
        empty
            .put(&tag.to_be_bytes())
            .put(&[0; 4])
            .put(&code.to_be_bytes())
    }

    /// Appends parameters.
    pub(crate) fn put(mut self, bytes: &[u8]) -> Self {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
        let size = self.len as u32;
        if self.len >= 6 {
            self.bytes[2..6].copy_from_slice(&size.to_be_bytes());
        }
        self
    }

    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// TPM2_Startup(CLEAR).
pub(crate) fn startup() -> Command {
    Command::new(0x144).put(&[0, 0])
}

/// TPM2_GetRandom of 16 bytes.
pub(crate) fn get_random() -> Command {
    Command::new(0x17B).put(&[0, 16])
}

/// TPM2_PCR_Extend of the bank of SHA-256.
pub(crate) fn extend(pcr: u8, digest: &[u8; 32]) -> Command {
    Command::with_password(0x182, pcr.into())
        .put(&[0, 0, 0, 1, 0, 0x0B])
        .put(digest)
}

/// TPM2_PCR_Read of the bank of SHA-256.
pub(crate) fn read_pcr(pcr: u8) -> Command {
    let mut bits = [0; 3];
    bits[usize::from(pcr / 8)] = 1 << (pcr % 8);
    Command::new(0x17E)
        .put(&[0, 0, 0, 1, 0, 0x0B, 3])
        .put(&bits)
}

/// TPM2_CreatePrimary in the NULL hierarchy of a key that signs: an RSA key of 2,048 bits, or one on
/// P-256.
pub(crate) fn create_primary(rsa: bool) -> Command {
    let public: &[u8] = match rsa {
        // No symmetric algorithm, no scheme, 2,048 bits, the usual exponent, nothing unique.
        true => &[
            0, 22, 0, 1, 0, 0x0B, 0, 4, 4, 0x72, 0, 0, 0, 0x10, 0, 0x10, 8, 0, 0, 0, 0, 0, 0, 0,
        ],
        // No symmetric algorithm, no scheme, P-256, no key derivation, nothing unique.
        false => &[
            0, 22, 0, 0x23, 0, 0x0B, 0, 4, 4, 0x72, 0, 0, 0, 0x10, 0, 0x10, 0, 3, 0, 0x10, 0, 0, 0,
            0,
        ],
    };
    Command::with_password(0x131, NULL)
        .put(&[0, 4, 0, 0, 0, 0])
        .put(public)
        .put(&[0, 0])
        .put(&[0, 0, 0, 0])
}

/// TPM2_FlushContext.
pub(crate) fn flush(handle: u32) -> Command {
    Command::new(0x165).put(&handle.to_be_bytes())
}

/// The call with a buffer at `gpa`.
pub(crate) fn request() -> Request {
    Request {
        protocol: ProtocolId::VTPM,
        call: VtpmCall::CMD.0,
    }
}

/// Writes a request into the buffer.
pub(crate) fn write(gpa: u64, command: PlatformCommand, locality: u8, size: u32, bytes: &[u8]) {
    let head = VtpmRequest {
        command: command.0.into(),
        locality,
        size: size.into(),
    };
    memory::write(gpa, &head);
    memory::write(gpa + size_of::<VtpmRequest>() as u64, bytes);
}

/// Writes a TPM command into the buffer.
pub(crate) fn prepare(gpa: u64, command: &Command) {
    let bytes = command.as_bytes();
    let size = bytes.len() as u32;
    write(gpa, PlatformCommand::SEND_COMMAND, 0, size, bytes);
}

/// A call with a buffer that is prepared.
pub(crate) fn call(gpa: u64) -> Reply {
    svsm::call(request(), [gpa, 0, 0, 0])
}

/// The response in a buffer, which has to be whole: its code, and its length with the head.
pub(crate) fn response(gpa: u64) -> Result<(u32, usize), Failure> {
    let size: u32 = memory::read(gpa);
    holds("size of the response", (10..=4092).contains(&size))?;
    let head: [u8; 10] = memory::read(gpa + 4);
    let [_, _, s0, s1, s2, s3, c0, c1, c2, c3] = head;
    same(
        "size in the response",
        u32::from_be_bytes([s0, s1, s2, s3]),
        size,
    )?;
    Ok((u32::from_be_bytes([c0, c1, c2, c3]), size as usize))
}

/// The response's bytes behind its head.
pub(crate) fn body<const N: usize>(gpa: u64) -> [u8; N] {
    memory::read(gpa + 14)
}

/// Sends a command and returns its response code.
pub(crate) fn send(gpa: u64, command: &Command) -> Result<u32, Failure> {
    prepare(gpa, command);
    let reply = call(gpa);
    succeeds("result", reply)?;
    Ok(response(gpa)?.0)
}

/// Sends a command that has to succeed.
pub(crate) fn done(what: &'static str, gpa: u64, command: &Command) -> Outcome {
    same(what, send(gpa, command)?, 0u32)
}

/// A command of another vCPU that has to have succeeded.
pub(crate) fn was_done(gpa: u64, result: SvsmResult) -> Outcome {
    same("result", result.0, SvsmResult::SUCCESS.0)?;
    same("response code", response(gpa)?.0, 0u32)
}
