//! MSRs that an SNP guest reaches without the host, but that QEMU does not
//! have or must not be left alone with: the GHCB MSR, SEV_STATUS and EFER.

use super::event;
use super::vcpu::Vcpu;
use super::vmcb::{control, save};

const EFER: u32 = 0xc000_0080;
const GHCB: u32 = 0xc001_0130;
const SEV_STATUS: u32 = 0xc001_0131;

const EFER_SCE: u64 = 1;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
const EFER_NXE: u64 = 1 << 11;
const EFER_SVME: u64 = 1 << 12;
const EFER_FFXSR: u64 = 1 << 14;
const CR0_PG: u64 = 1 << 31;

/// RDMSR and WRMSR are two bytes without prefixes; nobody adds any.
const LENGTH: u64 = 2;

/// Serves the access if the MSR is one of the processor's. False: it is #VC's.
pub(crate) fn serve(vcpu: &mut Vcpu) -> bool {
    let write = vcpu.vmcb.get::<u64>(control::EXIT_INFO1) & 1 != 0;
    let msr = vcpu.gprs.rcx as u32;
    if vcpu.vmcb.cpl() != 0 {
        event::inject_gp(&mut vcpu.vmcb, 0);
        return true;
    }
    let value = (vcpu.gprs.rdx << 32) | (vcpu.vmcb.get::<u64>(save::RAX) & 0xffff_ffff);
    let answer = match (msr, write) {
        (GHCB, false) => vcpu.current().ghcb_msr,
        (GHCB, true) => {
            vcpu.current().ghcb_msr = value;
            value
        }
        // SEV, SEV-ES, then SEV_FEATURES from bit 2 on (SNP first).
        (SEV_STATUS, false) => vcpu.current().sev_features << 2 | 3,
        (EFER, false) => vcpu.vmcb.get(save::EFER),
        (EFER, true) => {
            write_efer(vcpu, value);
            return true;
        }
        (SEV_STATUS, true) => {
            event::inject_gp(&mut vcpu.vmcb, 0);
            return true;
        }
        _ => return false,
    };
    if !write {
        vcpu.gprs.rdx = answer >> 32;
        vcpu.vmcb.set(save::RAX, answer & 0xffff_ffff);
    }
    vcpu.vmcb.advance(LENGTH);
    true
}

fn write_efer(vcpu: &mut Vcpu, value: u64) {
    let old: u64 = vcpu.vmcb.get(save::EFER);
    let allowed = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME | EFER_FFXSR;
    let paging = vcpu.vmcb.get::<u64>(save::CR0) & CR0_PG != 0;
    if value & !allowed != 0 || paging && (value ^ old) & EFER_LME != 0 {
        event::inject_gp(&mut vcpu.vmcb, 0);
        return;
    }
    // LMA follows LME and paging; a guest of this processor cannot clear SVME
    // in the running state (it would make the next VMRUN invalid).
    let new = value & !(EFER_LMA | EFER_FFXSR) | old & EFER_LMA | EFER_SVME;
    vcpu.vmcb.set(save::EFER, new);
    vcpu.vmcb.advance(LENGTH);
}
