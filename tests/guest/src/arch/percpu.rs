//! Which vCPU the program runs on: GS.base, which comes with the VMSA, points to its number.

use core::arch::asm;

/// Most vCPUs that the program can use.
pub(crate) const MAX_VCPUS: usize = 64;

/// The numbers that GS.base points to.
pub(crate) static INDEXES: [u64; MAX_VCPUS] = {
    let mut indexes = [0; MAX_VCPUS];
    let mut index = 0;
    while index < MAX_VCPUS {
        indexes[index] = index as u64;
        index += 1;
    }
    indexes
};

/// GS.base of a vCPU.
pub(crate) fn gs_base(vcpu: usize) -> u64 {
    (&raw const INDEXES[vcpu]).addr() as u64
}

/// The running vCPU's number: 0 is the one that the launch made.
pub(crate) fn index() -> usize {
    let index: usize;
    // SAFETY: the entry code and every VMSA that this program makes point GS.base to a number in
    // `INDEXES`, and nothing changes it.
    unsafe {
        asm!(
            "mov {}, qword ptr gs:[0]", out(reg) index,
            options(nostack, readonly, preserves_flags),
        );
    }
    index
}
