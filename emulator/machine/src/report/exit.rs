//! How QEMU ends when the guest does not end it itself.

use crate::arch::port;

/// QEMU's isa-debug-exit device; QEMU's exit status is `(value << 1) | 1`.
const DEBUG_EXIT: u16 = 0xf4;

/// Why the machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum ExitStatus {
    /// The guest asked for its termination (GHCB).
    Terminated = 0x10,
    /// The guest cannot go on: a fault that no host could mend, or a triple fault.
    Stuck = 0x11,
    /// The IGVM file was refused.
    ImageRefused = 0x12,
    /// The machine failed.
    Internal = 0x13,
    /// The scenario's point never came.
    ScenarioNotApplied = 0x14,
    /// The guest asked for a reset.
    Reset = 0x15,
    /// What must hold at every end does not: see `invariants`.
    InvariantViolated = 0x16,
    /// The scenario or an option cannot be read, or asks for what cannot be done.
    ScenarioRefused = 0x17,
}

/// Ends QEMU.
pub(crate) fn end(status: ExitStatus) -> ! {
    port::write(DEBUG_EXIT, 4, status as u32);
    loop {
        core::hint::spin_loop();
    }
}
