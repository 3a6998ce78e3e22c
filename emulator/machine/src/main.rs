//! An emulated SEV-SNP machine.
//!
//! A bare-metal hypervisor that QEMU starts as its BIOS. On QEMU's AMD-V
//! emulation it gives its one guest the SNP architecture: RMP, VMPLs, #VC, the
//! GHCB, the secure processor. Three roles, never mixed: `processor` is what
//! silicon does, `host` what KVM and QEMU do, `psp` the secure processor. Each is
//! honest; how the host lies when a scenario asks it to is in `scenario`.
//!
//! It is an emulation: nothing is encrypted, the measurements are true and
//! their root is not.
#![no_std]
#![no_main]

extern crate alloc;

mod arch;
mod host;
mod machine;
mod mem;
mod options;
mod processor;
mod processors;
mod psp;
mod report;
mod scenario;

use core::arch::global_asm;

use report::console::println;
use report::exit::{self, ExitStatus};

global_asm!(include_str!("boot/reset.s"), options(att_syntax));
global_asm!(include_str!("boot/ap.s"), options(att_syntax));

/// Called by the reset code, on the machine's stack, with its physical base.
#[unsafe(no_mangle)]
extern "sysv64" fn machine_main(base: u64) -> ! {
    arch::svm::disable_global_interrupts();
    mem::phys::init(base);
    mem::heap::init();
    arch::exceptions::load();
    machine::start()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("internal error: {info}");
    exit::end(ExitStatus::Internal)
}
