//! The instructions of an SNP guest, one function each, nothing decided here.
//!
//! stage2 compiles this same file: there is one PVALIDATE in the image's source.
//! Sources: AMD64 APM volume 3 (PVALIDATE, RMPADJUST, VMGEXIT, RDRAND) and volume 2, 15.36.

use core::arch::asm;

use protocols::ghcb::MSR_GHCB;

/// What PVALIDATE left behind: nothing has changed unless `eax` is 0 and `unchanged` is false.
#[must_use = "a PVALIDATE whose carry flag is not looked at is an open door"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PvalidateRaw {
    /// Result code: 0, 1 FAIL_INPUT or 6 FAIL_SIZEMISMATCH.
    pub eax: u32,
    /// The carry flag: the validated bit already had the wanted value.
    pub unchanged: bool,
}

/// Sets or clears the validated bit of the page at `va` (4 KiB, or 2 MiB when `huge`).
///
/// # Safety
/// `va` must be mapped; when `validate` is false nothing may be using the page; when true, the
/// caller must treat its contents as arbitrary bytes until it has written them.
pub(crate) unsafe fn pvalidate(va: u64, huge: bool, validate: bool) -> PvalidateRaw {
    let rax: u64;
    let carry: u8;
    // SAFETY: the caller vouches for the page; the instruction touches no memory of its own.
    // `setc` reads the flag before anything else can change it.
    unsafe {
        asm!(
            ".byte 0xf2, 0x0f, 0x01, 0xff",
            "setc {carry}",
            carry = out(reg_byte) carry,
            inout("rax") va => rax,
            in("ecx") u32::from(huge),
            in("edx") u32::from(validate),
            options(nostack),
        );
    }
    PvalidateRaw {
        eax: rax as u32,
        unchanged: carry != 0,
    }
}

/// Replaces the rights of a lower VMPL on the page at `va`; the result is the instruction's EAX.
///
/// `rdx` holds the target VMPL in bits 7:0, the rights in 15:8 and the VMSA bit in 16.
///
/// # Safety
/// `va` must be mapped, and giving away the rights in `rdx` must not expose memory that this
/// firmware relies on.
#[must_use = "an RMPADJUST that failed has granted or revoked nothing"]
pub(crate) unsafe fn rmpadjust(va: u64, huge: bool, rdx: u64) -> u32 {
    let rax: u64;
    // SAFETY: the caller vouches for the page and the rights; no memory is touched.
    unsafe {
        asm!(
            ".byte 0xf3, 0x0f, 0x01, 0xfe",
            inout("rax") va => rax,
            in("rcx") u64::from(huge),
            in("rdx") rdx,
            options(nostack),
        );
    }
    rax as u32
}

/// INVLPGB for every translation of this guest's address space identifier at every VMPL, then
/// TLBSYNC, which waits until all processors have dropped theirs.
///
/// # Safety
/// The processor must have the instructions and the host must let the guest use them; otherwise
/// they are #UD.
pub(crate) unsafe fn invlpgb_all() {
    /// RAX: the address space identifier counts, and global translations go too. The identifier
    /// itself is 0 in a guest, which stands for its own.
    const WHOLE_GUEST: u64 = 1 << 2 | 1 << 3;
    // SAFETY: the caller vouches for the instructions, which touch no memory.
    unsafe {
        asm!(
            ".byte 0x0f, 0x01, 0xfe",
            ".byte 0x0f, 0x01, 0xff",
            in("rax") WHOLE_GUEST,
            in("ecx") 0,
            in("edx") 0,
            options(nostack, preserves_flags),
        );
    }
}

/// Leaves to the host, which reads the GHCB MSR and, if it names one, the GHCB page.
///
/// # Safety
/// The GHCB MSR must hold what the host is to see. The host may change any shared memory and
/// run other levels of this virtual CPU in between; no private memory of this level changes
/// but for what was asked for (a page-state change).
pub(crate) unsafe fn vmgexit() {
    // SAFETY: the caller vouches for the request. The asm is a full compiler barrier for memory.
    unsafe { asm!("rep vmmcall", options(nostack)) }
}

/// Reads a model-specific register.
///
/// # Safety
/// The register must exist and be readable without an intercept at this level.
pub(crate) unsafe fn rdmsr(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller vouches for the register; reading it has no effect on memory.
    unsafe {
        asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high,
             options(nostack, preserves_flags));
    }
    (u64::from(high) << 32) | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The register must exist, and the value must keep this level's execution sound.
pub(crate) unsafe fn wrmsr(msr: u32, value: u64) {
    let (low, high) = (value as u32, (value >> 32) as u32);
    // SAFETY: the caller vouches for register and value.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") low, in("edx") high,
             options(nostack, preserves_flags));
    }
}

/// One exchange of the GHCB MSR protocol: writes `request`, leaves, and reads the answer.
///
/// # Safety
/// As [`vmgexit`]; `request` must be a request of the MSR protocol and no GHCB page address.
#[must_use = "the host's answer has to be checked"]
pub(crate) unsafe fn msr_protocol(request: u64) -> u64 {
    // SAFETY: the GHCB MSR exists in every SEV-ES guest and is reached without an intercept;
    // the caller vouches for the request.
    unsafe {
        wrmsr(MSR_GHCB, request);
        vmgexit();
        rdmsr(MSR_GHCB)
    }
}
