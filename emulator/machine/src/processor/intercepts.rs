//! What leaves the guest, and the permission maps for ports and MSRs.

use crate::mem::heap::Frames;
use crate::mem::phys;

use super::vmcb::{Vmcb, control, save};

const CR0_WRITE: u32 = 1 << 16;

const DB: u32 = 1 << 1;
const UD: u32 = 1 << 6;

/// RFLAGS.TF.
const TF: u64 = 1 << 8;

const NMI: u32 = 1 << 1;
const CPUID: u32 = 1 << 18;
const INVD: u32 = 1 << 22;
const HLT: u32 = 1 << 24;
const INVLPGA: u32 = 1 << 26;
const IOIO: u32 = 1 << 27;
const MSR: u32 = 1 << 28;
const SHUTDOWN: u32 = 1 << 31;

const VMRUN: u32 = 1 << 0;
const VMMCALL: u32 = 1 << 1;
const VMLOAD: u32 = 1 << 2;
const VMSAVE: u32 = 1 << 3;
const STGI: u32 = 1 << 4;
const CLGI: u32 = 1 << 5;
const SKINIT: u32 = 1 << 6;
const MONITOR: u32 = 1 << 10;
const MWAIT: u32 = 1 << 11;
const XSETBV: u32 = 1 << 13;

const ALL_ONES: u8 = 0xff;
const IOPM_LEN: u64 = 0x3000;
const MSRPM_LEN: u64 = 0x2000;

/// MSRs that an SNP guest reaches without an exit because the VMSA holds them,
/// and that QEMU implements. The GHCB MSR, SEV_STATUS and EFER are the
/// processor's as well, but have to be emulated (`msr`).
const DIRECT_MSRS: [u32; 13] = [
    0x174,       // SYSENTER_CS
    0x175,       // SYSENTER_ESP
    0x176,       // SYSENTER_EIP
    0x277,       // PAT
    0xc000_0081, // STAR
    0xc000_0082, // LSTAR
    0xc000_0083, // CSTAR
    0xc000_0084, // SFMASK
    0xc000_0100, // FS.base
    0xc000_0101, // GS.base
    0xc000_0102, // KernelGSBase
    0xc000_0103, // TSC_AUX
    0x10,        // TSC: RDTSC is not intercepted either
];

/// Sets the intercepts up. None: no memory for the maps.
pub(crate) fn init(vmcb: &mut Vmcb, frames: &mut Frames) -> Option<()> {
    let iopm = frames.backing(IOPM_LEN)?;
    phys::fill(iopm, IOPM_LEN, ALL_ONES);
    let msrpm = frames.backing(MSRPM_LEN)?;
    phys::fill(msrpm, MSRPM_LEN, ALL_ONES);
    for msr in DIRECT_MSRS {
        allow_msr(msrpm, msr);
    }
    vmcb.set(control::IOPM_BASE, iopm);
    vmcb.set(control::MSRPM_BASE, msrpm);
    vmcb.set(control::INTERCEPT_CR, CR0_WRITE);
    vmcb.set(control::INTERCEPT_DR, 0u32);
    vmcb.set(control::INTERCEPT_EXCEPTIONS, UD);
    vmcb.set(
        control::INTERCEPT_MISC1,
        NMI | CPUID | INVD | INVLPGA | IOIO | MSR | SHUTDOWN,
    );
    vmcb.set(
        control::INTERCEPT_MISC2,
        VMRUN | VMMCALL | VMLOAD | VMSAVE | STGI | CLGI | SKINIT | MONITOR | MWAIT | XSETBV,
    );
    vmcb.set(control::ASID, 1u32);
    vmcb.set(control::NESTED_ENABLE, 1u64);
    Some(())
}

/// HLT leaves the guest only where nobody could wake it: with interrupts off.
/// Elsewhere the physical interrupt that ends it goes straight to the guest.
pub(crate) fn set_hlt(vmcb: &mut Vmcb, intercept: bool) {
    let misc: u32 = vmcb.get(control::INTERCEPT_MISC1);
    vmcb.set(
        control::INTERCEPT_MISC1,
        if intercept { misc | HLT } else { misc & !HLT },
    );
}

/// Steps through the guest: each instruction ends in a #DB exit.
pub(crate) fn set_stepping(vmcb: &mut Vmcb, on: bool) {
    vmcb.set(control::INTERCEPT_EXCEPTIONS, if on { UD | DB } else { UD });
    let flags: u64 = vmcb.get(save::RFLAGS);
    vmcb.set(save::RFLAGS, if on { flags | TF } else { flags & !TF });
}

/// Two bits for each MSR, in three ranges of 8 Ki MSRs (APM volume 2, 15.11).
fn allow_msr(map: u64, msr: u32) {
    let (base, first) = match msr {
        0..=0x1fff => (0, 0),
        0xc000_0000..=0xc000_1fff => (0x800, 0xc000_0000),
        _ => (0x1000, 0xc001_0000),
    };
    let bit = u64::from(msr - first) * 2;
    let address = map + base + bit / 8;
    let byte: u8 = phys::read(address);
    phys::write(address, byte & !(3 << (bit % 8)));
}
