//! A guest for the SVSM's guest VMPL, to be launched in place of OVMF: it makes every call of the
//! core protocol, right and wrong, and reports on the serial port.
//!
//! # What one sees
//!
//! One line for each check, then the sum, then a power-off through ACPI:
//!
//! ```text
//! test-guest: ok query_protocol/core, version 1
//! test-guest: FAIL pvalidate/validated twice: got 0x0 want 0x80001010 (result)
//! test-guest: 120 passed, 1 failed
//! ```
//!
//! With a failure the guest ends by a GHCB termination request instead. The codes of its set 9 are
//! [`Reason`](end::Reason): 1 checks failed, 2 panic, 3 no C-bit in the CPUID page, 4 unexpected
//! exception, 5 refused by the host. Launched without an SVSM, at VMPL0, it says `test-guest: no
//! SVSM` and powers off.
//!
//! # How it is built
//!
//! The image is a ROM below 4 GiB in the form of OVMF's, some tens of KiB long. `arch/rom.rs` is
//! its metadata: the same sections at the same addresses as the real firmware, so that the same
//! launch code is at work. `arch/boot.rs` leads from the 16-bit reset vector to 64-bit mode in RAM.
//!
//! | part | what it is |
//! |---|---|
//! | `arch/` | first instructions, exceptions, instructions, memory by address; all `unsafe` |
//! | `host/` | the GHCB's MSR and page protocols |
//! | `svsm`, `list` | a call; the list of PVALIDATE |
//! | `playground` | RAM for the checks |
//! | `check` | the runner |
//! | `checks/` | the checks, a file for each area, each with its table |
//! | `lives` | the three VMSAs that the first vCPU runs after another |
//! | `vcpus`, `hands` | the other vCPUs, and what they do for the checks |
//! | `stress/` | the other mode: all vCPUs make random calls |
//!
//! The checks are those of [`protocols`] and of what an SVSM owes its guest: each wrong input has
//! its result, changes nothing, and leaves the page in question ordinary memory. New checks go into
//! the table of their file in `checks/`.
//!
//! # What it does not do
//!
//! With one vCPU, CREATE_VCPU is checked on that vCPU's own APIC ID alone: the guest makes a second
//! and a third VMSA, has the host run them, and deletes the second from the third. With four there
//! are the checks of `checks/several.rs` as well. Nothing here touches a page that it has no right
//! to: no host could let it go on.
#![no_std]
#![no_main]

mod arch;
mod check;
mod checks;
mod console;
mod end;
mod hands;
mod host;
mod list;
mod lives;
mod noise;
mod playground;
mod stress;
mod svsm;
mod tpm;
mod vcpus;

use console::println;

/// The first Rust of the guest, on the stack of the first VMSA.
extern "C" fn guest_main() -> ! {
    arch::exceptions::init();
    host::open_ghcb();
    if svsm::described().size == 0 {
        println!("no SVSM");
        end::power_off();
    }
    match stress::order() {
        Some(order) => stress::run(order),
        None => lives::first(),
    }
}
