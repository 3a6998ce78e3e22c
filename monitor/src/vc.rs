//! The policy for a #VC at VMPL0: almost always the end.
//!
//! VMPL0 runs no instruction that it does not know to exit, so a #VC there is
//! either CPUID, which is answered from the CPUID page, or something that the host
//! made up (threat 28). The exit code alone proves nothing: the bytes at RIP have
//! to be that instruction.

use protocols::ghcb::{ExitCode, RampartReason};
use protocols::snp::CpuidRegisters;

use crate::cpuid::CpuidTable;
use crate::fatal::Fatal;

/// Bytes that [`decide`] needs at RIP.
pub const OPCODE_BYTES: usize = 2;

const CPUID_OPCODE: [u8; OPCODE_BYTES] = [0x0f, 0xa2];

/// What the handler does with a #VC that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Served {
    /// The new EAX, EBX, ECX and EDX.
    pub registers: CpuidRegisters,
    /// Bytes to advance RIP by.
    pub length: u64,
}

/// What must be the end before anything at RIP is read: an access to memory that
/// is not validated is one (threat 10), and reading the opcode could be another.
///
/// # Errors
/// [`Fatal`] for every exit code but CPUID's.
pub fn check_code(error_code: u64) -> Result<(), Fatal> {
    match ExitCode(error_code) {
        ExitCode::CPUID => Ok(()),
        ExitCode::PAGE_NOT_VALIDATED => Err(Fatal::new(RampartReason::UnvalidatedAccess)),
        _ => Err(Fatal::with_detail(
            RampartReason::UnexpectedException,
            error_code,
        )),
    }
}

/// Serves a #VC whose code [`check_code`] has passed. `opcode` are the bytes at
/// RIP; `leaf` and `subleaf` are EAX and ECX.
///
/// # Errors
/// [`Fatal`] when the bytes are not CPUID's.
pub fn decide(
    table: &CpuidTable,
    error_code: u64,
    opcode: [u8; OPCODE_BYTES],
    leaf: u32,
    subleaf: u32,
) -> Result<Served, Fatal> {
    check_code(error_code)?;
    if opcode != CPUID_OPCODE {
        return Err(Fatal::with_detail(RampartReason::ForgedVc, error_code));
    }
    Ok(Served {
        registers: table.cpuid(leaf, subleaf),
        length: OPCODE_BYTES as u64,
    })
}

#[cfg(test)]
mod tests;
