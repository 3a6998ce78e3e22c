//! How the guest ends: power-off, or a termination request with a code of its own set.

use protocols::ghcb::{IoSize, MsrRequest, Termination};

use crate::arch::cpu::{Registers, vmgexit};
use crate::arch::exceptions::Exception;
use crate::console::println;
use crate::host::{self, pci};

/// The GHCB termination set of this guest.
const SET: u8 = 9;

/// Why the guest ends before its time: the codes of set 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    /// At least one check failed.
    ChecksFailed = 1,
    /// The program panicked.
    Panic = 2,
    /// The CPUID page does not say where the C-bit is.
    NoCBit = 3,
    /// An exception that no check expects.
    Exception = 4,
    /// The host refused what nothing can go on without.
    Host = 5,
}

impl Reason {
    /// The termination of this reason.
    pub(crate) const fn termination(self) -> Termination {
        Termination::new(SET, self as u8)
    }
}

/// Ends the guest, as often as it takes.
pub(crate) fn terminate(reason: Reason) -> ! {
    let request = MsrRequest::Terminate(reason.termination()).encode();
    loop {
        vmgexit(request, &mut Registers::default());
    }
}

/// Ends the guest after an exception.
pub(crate) fn unexpected(exception: Exception, rip: u64) -> ! {
    let Exception { vector, error_code } = exception;
    println!("exception {vector} with error code {error_code:#x} at {rip:#x}");
    terminate(Reason::Exception)
}

/// PM1a control of q35's ICH9, once PMBASE is what follows.
const PM_BASE: u16 = 0x600;
const PM1A_CONTROL: u16 = PM_BASE + 4;
/// SLP_EN with SLP_TYP 0, which is S5 in QEMU's q35.
const SLEEP: u32 = 1 << 13;
/// How often to ask for it, and how long to wait for it each time.
const SLEEP_TRIES: u32 = 1000;
const SLEEP_SPINS: u32 = 100_000;
/// PMBASE and ACPI_CNTL of the LPC bridge, and what turns the registers on.
const LPC: pci::Function = pci::Function {
    bus: 0,
    device: 0x1f,
    function: 0,
};
const LPC_PMBASE: u8 = 0x40;
const LPC_ACPI_CONTROL: u8 = 0x44;
const PMBASE_IS_IO: u32 = 1;
const ACPI_ENABLE: u32 = 0x80;

/// Turns the machine off through ACPI, as q35 has it.
pub(crate) fn power_off() -> ! {
    LPC.write_config(LPC_PMBASE, u32::from(PM_BASE) | PMBASE_IS_IO);
    LPC.write_config(LPC_ACPI_CONTROL, ACPI_ENABLE);
    // The processor runs on until the host has come to the end of the machine.
    for _ in 0..SLEEP_TRIES {
        host::port_out(PM1A_CONTROL, IoSize::Word, SLEEP);
        (0..SLEEP_SPINS).for_each(|_| core::hint::spin_loop());
    }
    terminate(Reason::Host)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("panic: {info}");
    terminate(Reason::Panic)
}
