//! Instructions: VMGEXIT with the GHCB MSR, SEV_STATUS, and those that are expected to trap.

use core::arch::asm;
use core::sync::atomic::Ordering;

use protocols::addr::PageSize;
use protocols::ghcb::{MSR_GHCB, MsrValue};
use protocols::snp::{MSR_SEV_STATUS, RmpAttributes, RmpResult, SevStatus};

use super::exceptions::{Exception, RESUME, take_caught};

/// The registers that an SVSM call reads and writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) rax: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) r8: u64,
    pub(crate) r9: u64,
}

/// VMGEXIT with `request` in the GHCB MSR and `registers` in the processor. Gives the MSR's value
/// afterwards.
pub(crate) fn vmgexit(request: MsrValue, registers: &mut Registers) -> MsrValue {
    let Registers {
        rax,
        rcx,
        rdx,
        r8,
        r9,
    } = registers;
    write_msr(MSR_GHCB, request.0);
    // SAFETY: the host and the SVSM answer in these registers, in the GHCB page, in the calling
    // area and in pages that the request names, and the checks name no page of the program. A host
    // that does more could do so without this instruction.
    unsafe {
        asm!(
            "rep vmmcall",
            inout("rax") * rax,
            inout("rcx") * rcx,
            inout("rdx") * rdx,
            inout("r8") * r8,
            inout("r9") * r9,
            options(nostack),
        );
    }
    MsrValue(read_msr(MSR_GHCB))
}

/// The SEV_STATUS MSR.
pub(crate) fn sev_status() -> SevStatus {
    SevStatus::from_bits_retain(read_msr(MSR_SEV_STATUS))
}

fn write_msr(number: u32, value: u64) {
    // SAFETY: the one MSR that is written is the GHCB MSR, which has no effect before VMGEXIT.
    unsafe {
        asm!(
            "wrmsr", in("ecx") number, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, nomem, preserves_flags),
        );
    }
}

fn read_msr(number: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the MSRs that are read exist in every SEV-SNP guest, and reading them has no effect.
    unsafe {
        asm!(
            "rdmsr", in("ecx") number, out("eax") low, out("edx") high,
            options(nostack, nomem, preserves_flags),
        );
    }
    u64::from(high) << 32 | u64::from(low)
}

/// What an instruction does that is expected to trap at the guest's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tried<T> {
    /// It was executed.
    Done(T),
    /// It raised this.
    Raised(Exception),
}

fn tried<T>(done: T) -> Tried<T> {
    // The instruction may not have trapped: the next exception is then not its own.
    RESUME.store(0, Ordering::SeqCst);
    match take_caught() {
        Some(exception) => Tried::Raised(exception),
        None => Tried::Done(done),
    }
}

/// PVALIDATE of the page at `address`.
pub(crate) fn pvalidate(address: u64, size: PageSize, validate: bool) -> Tried<RmpResult> {
    let code: u64;
    // SAFETY: at the guest's level the instruction only traps. If it did not, a page of the
    // playground would change, where no Rust object lies.
    unsafe {
        asm!(
            "lea {resume_at}, [rip + 2f]",
            "mov [rip + {resume}], {resume_at}",
            ".byte 0xf2, 0x0f, 0x01, 0xff",
            "2:",
            resume_at = out(reg) _,
            resume = sym RESUME,
            inout("rax") address => code,
            in("ecx") size.encoding() as u32,
            in("edx") u32::from(validate),
        );
    }
    tried(RmpResult(code as u32))
}

/// RMPADJUST of the 4 KiB page at `address`.
pub(crate) fn rmpadjust(address: u64, attributes: RmpAttributes) -> Tried<RmpResult> {
    let code: u64;
    // SAFETY: rights of a page of the playground, where no Rust object lies.
    unsafe {
        asm!(
            "lea {resume_at}, [rip + 2f]",
            "mov [rip + {resume}], {resume_at}",
            ".byte 0xf3, 0x0f, 0x01, 0xfe",
            "2:",
            resume_at = out(reg) _,
            resume = sym RESUME,
            inout("rax") address => code,
            in("rcx") PageSize::Size4K.encoding(),
            in("rdx") attributes.bits(),
        );
    }
    tried(RmpResult(code as u32))
}

/// A load that may trap, of a quadword of the playground.
pub(crate) fn read(address: u64) -> Tried<u64> {
    super::memory::assert_foreign(address, size_of::<u64>());
    let value: u64;
    // SAFETY: the address is mapped and belongs to no Rust object; a trap is caught.
    unsafe {
        asm!(
            "lea {resume_at}, [rip + 2f]",
            "mov [rip + {resume}], {resume_at}",
            "mov {value}, [{value}]",
            "2:",
            resume_at = out(reg) _,
            resume = sym RESUME,
            value = inout(reg) address => value,
            options(nostack),
        );
    }
    tried(value)
}

/// The time stamp counter.
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: RDTSC touches no memory and is not intercepted.
    unsafe { core::arch::x86_64::_rdtsc() }
}
