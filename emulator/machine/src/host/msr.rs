//! MSRs that the guest reaches through the host.

use protocols::ghcb::{GhcbField, MalformedReason};

use super::ghcb::GhcbView;
use crate::arch::{apic, msr};

/// The x2APIC interrupt command register.
const X2APIC_ICR: u32 = 0x830;

/// What an MSR is to this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// QEMU's own: APIC base, x2APIC, MTRRs.
    Device,
    /// Reads as zero, writes are ignored.
    Zero,
    /// #GP.
    None,
}

fn kind(number: u32) -> Kind {
    match number {
        0x1b | 0x800..=0x8ff => Kind::Device,
        // MTRRs.
        0xfe | 0x200..=0x20f | 0x250 | 0x258 | 0x259 | 0x268..=0x26f | 0x2ff => Kind::Device,
        // Microcode level, machine check banks, AMD configuration registers.
        0x8b | 0x179..=0x17b | 0x400..=0x47f => Kind::Zero,
        0xc001_0000..=0xc001_0007 | 0xc001_0010 | 0xc001_0015 | 0xc001_001f => Kind::Zero,
        0xc001_0114 | 0xc001_1020..=0xc001_102d => Kind::Zero,
        _ => Kind::None,
    }
}

/// Serves an MSR exit.
pub(crate) fn serve(ghcb: &GhcbView) {
    let (number, write) = (ghcb.get(GhcbField::RCX), ghcb.get(GhcbField::EXIT_INFO1));
    let (rax, rdx) = (ghcb.get(GhcbField::RAX), ghcb.get(GhcbField::RDX));
    ghcb.begin_answer();
    let (Some(number), Some(write)) = (number, write) else {
        ghcb.malformed(MalformedReason::MISSING_INPUT);
        return;
    };
    let number = number as u32;
    if write != 0 {
        let (Some(rax), Some(rdx)) = (rax, rdx) else {
            ghcb.malformed(MalformedReason::MISSING_INPUT);
            return;
        };
        let value = rdx << 32 | rax & 0xffff_ffff;
        let done = match kind(number) {
            // Refused for an SNP guest: nothing happens.
            Kind::Device if number == X2APIC_ICR && apic::is_init_or_startup(value as u32) => true,
            Kind::Device => msr::try_write(number, value),
            Kind::Zero => true,
            Kind::None => false,
        };
        if !done {
            ghcb.raise_gp();
        }
        return;
    }
    let value = match kind(number) {
        Kind::Device => msr::try_read(number),
        Kind::Zero => Some(0),
        Kind::None => None,
    };
    match value {
        Some(value) => {
            ghcb.set(GhcbField::RAX, value & 0xffff_ffff);
            ghcb.set(GhcbField::RDX, value >> 32);
        }
        None => ghcb.raise_gp(),
    }
}
