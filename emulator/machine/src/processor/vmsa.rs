//! Loading a level from its VMSA page and storing it back (APM volume 2,
//! table B-4). The page is the truth whenever the level is not running.

use core::arch::asm;
use core::mem::offset_of;

use protocols::snp::vmsa::Vmsa;

use super::vcpu::Vcpu;
use super::vmcb::{control, save};
use crate::arch::fpu::FxImage;
use crate::arch::svm;
use crate::mem::phys;

/// Start of the state save area in the VMCB. Up to `COMMON_END` a field has
/// the same offset there and in the VMSA.
const SAVE_AREA: u64 = 0x400;

/// Fields that the VMCB and the VMSA have at the same offset: {offset, bytes}.
/// The reserved ranges between them are not moved: on entry QEMU would take
/// them for state, on exit the VMSA keeps what it had.
const COMMON: [(usize, usize); 17] = [
    (offset_of!(Vmsa, es), 0xa0),
    (offset_of!(Vmsa, cpl), 1),
    (offset_of!(Vmsa, efer), 8),
    (offset_of!(Vmsa, cr4), 8),
    (offset_of!(Vmsa, cr3), 8),
    (offset_of!(Vmsa, cr0), 8),
    (offset_of!(Vmsa, dr7), 8),
    (offset_of!(Vmsa, dr6), 8),
    (offset_of!(Vmsa, rflags), 8),
    (offset_of!(Vmsa, rip), 8),
    (offset_of!(Vmsa, rsp), 8),
    (offset_of!(Vmsa, rax), 8),
    (offset_of!(Vmsa, star), 0x20),
    (offset_of!(Vmsa, kernel_gs_base), 8),
    (offset_of!(Vmsa, sysenter_cs), 0x18),
    (offset_of!(Vmsa, cr2), 8),
    (offset_of!(Vmsa, g_pat), 8),
];

const _: () = assert!(offset_of!(Vmsa, efer) as u64 + SAVE_AREA == save::EFER);
const _: () = assert!(offset_of!(Vmsa, rax) as u64 + SAVE_AREA == save::RAX);
const _: () = assert!(offset_of!(Vmsa, g_pat) as u64 + SAVE_AREA == save::PAT);

/// EFER.SVME: a VMSA without it cannot be entered.
const EFER_SVME: u64 = 1 << 12;
/// What QEMU refuses in a VMCB's EFER (VMEXIT_INVALID).
const EFER_REFUSED: u64 = 1 << 13 | 1 << 15 | 1 << 17 | 1 << 21;
const CR4_REFUSED: u64 = !0x7f_ffff;
const SS_DPL_SHIFT: u16 = 5;

/// MXCSR bits that FXRSTOR would fault on.
const MXCSR_MASK: u32 = 0xffff;

/// Why a VMSA cannot be entered: VMEXIT_INVALID on silicon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidVmsa {
    /// EFER.SVME is clear: the level is not to run.
    NotRunnable,
    /// A register holds what the processor refuses.
    State,
}

fn gpr_fields(gprs: &mut svm::Gprs) -> [(usize, &mut u64); 14] {
    [
        (offset_of!(Vmsa, rbx), &mut gprs.rbx),
        (offset_of!(Vmsa, rcx), &mut gprs.rcx),
        (offset_of!(Vmsa, rdx), &mut gprs.rdx),
        (offset_of!(Vmsa, rsi), &mut gprs.rsi),
        (offset_of!(Vmsa, rdi), &mut gprs.rdi),
        (offset_of!(Vmsa, rbp), &mut gprs.rbp),
        (offset_of!(Vmsa, r8), &mut gprs.r8),
        (offset_of!(Vmsa, r9), &mut gprs.r9),
        (offset_of!(Vmsa, r10), &mut gprs.r10),
        (offset_of!(Vmsa, r11), &mut gprs.r11),
        (offset_of!(Vmsa, r12), &mut gprs.r12),
        (offset_of!(Vmsa, r13), &mut gprs.r13),
        (offset_of!(Vmsa, r14), &mut gprs.r14),
        (offset_of!(Vmsa, r15), &mut gprs.r15),
    ]
}

fn copy(from: u64, to: u64, len: usize) {
    let mut bytes = [0; 0xa0];
    if let Some(part) = bytes.get_mut(..len) {
        phys::read_bytes(from, part);
        phys::write_bytes(to, part);
    }
}

/// Loads the VMSA at system physical address `page` into the vCPU.
pub(crate) fn load(vcpu: &mut Vcpu, page: u64) -> Result<(), InvalidVmsa> {
    let field = |offset: usize| phys::read::<u64>(page + offset as u64);
    let efer = field(offset_of!(Vmsa, efer));
    if efer & EFER_SVME == 0 {
        return Err(InvalidVmsa::NotRunnable);
    }
    if efer & EFER_REFUSED != 0 || field(offset_of!(Vmsa, cr4)) & CR4_REFUSED != 0 {
        return Err(InvalidVmsa::State);
    }
    let area = vcpu.vmcb.address() + SAVE_AREA;
    for (offset, len) in COMMON {
        copy(page + offset as u64, area + offset as u64, len);
    }
    // QEMU takes the privilege level from SS.DPL.
    let mut ss = vcpu.vmcb.segment(save::SS);
    let cpl = u16::from(vcpu.vmcb.cpl());
    ss.attributes = ss.attributes & !(3 << SS_DPL_SHIFT) | cpl << SS_DPL_SHIFT;
    vcpu.vmcb.set_segment(save::SS, ss);
    for (offset, register) in gpr_fields(&mut vcpu.gprs) {
        *register = field(offset);
    }
    let event = field(offset_of!(Vmsa, event_inj));
    vcpu.vmcb.set(control::EVENT_INJ, event);
    phys::write(page + offset_of!(Vmsa, event_inj) as u64, 0u64);
    vcpu.vmcb.set(
        control::INTERRUPT_SHADOW,
        field(offset_of!(Vmsa, vintr_ctrl)) >> 40 & 1,
    );
    // SAFETY: the VMCB is the machine's, which uses none of these registers.
    unsafe { svm::vmload(vcpu.vmcb.address()) };
    load_debug_registers([
        field(offset_of!(Vmsa, dr0)),
        field(offset_of!(Vmsa, dr1)),
        field(offset_of!(Vmsa, dr2)),
        field(offset_of!(Vmsa, dr3)),
    ]);
    load_fpu(page);
    Ok(())
}

/// Stores the vCPU into the VMSA at `page`, with the exit that ended the run.
pub(crate) fn store(vcpu: &mut Vcpu, page: u64, exit_code: u64) {
    // SAFETY: the VMCB is the machine's.
    unsafe { svm::vmsave(vcpu.vmcb.address()) };
    let area = vcpu.vmcb.address() + SAVE_AREA;
    for (offset, len) in COMMON {
        copy(area + offset as u64, page + offset as u64, len);
    }
    let put = |offset: usize, value: u64| phys::write(page + offset as u64, value);
    for (offset, register) in gpr_fields(&mut vcpu.gprs) {
        put(offset, *register);
    }
    let dr = store_debug_registers();
    put(offset_of!(Vmsa, dr0), dr[0]);
    put(offset_of!(Vmsa, dr1), dr[1]);
    put(offset_of!(Vmsa, dr2), dr[2]);
    put(offset_of!(Vmsa, dr3), dr[3]);
    put(offset_of!(Vmsa, guest_exit_code), exit_code);
    put(
        offset_of!(Vmsa, guest_exit_info_1),
        vcpu.vmcb.get(control::EXIT_INFO1),
    );
    put(
        offset_of!(Vmsa, guest_exit_info_2),
        vcpu.vmcb.get(control::EXIT_INFO2),
    );
    put(
        offset_of!(Vmsa, guest_exit_int_info),
        vcpu.vmcb.get(control::EXIT_INT_INFO),
    );
    store_fpu(page);
}

fn load_debug_registers(dr: [u64; 4]) {
    // SAFETY: DR7 of the machine is 0 after #VMEXIT, so no breakpoint is armed;
    // the guest's DR7 comes from the VMCB at VMRUN.
    unsafe {
        asm!("mov dr0, {}", "mov dr1, {}", "mov dr2, {}", "mov dr3, {}",
             in(reg) dr[0], in(reg) dr[1], in(reg) dr[2], in(reg) dr[3],
             options(nomem, nostack));
    }
}

fn store_debug_registers() -> [u64; 4] {
    let (a, b, c, d): (u64, u64, u64, u64);
    // SAFETY: reads registers.
    unsafe {
        asm!("mov {}, dr0", "mov {}, dr1", "mov {}, dr2", "mov {}, dr3",
             out(reg) a, out(reg) b, out(reg) c, out(reg) d, options(nomem, nostack));
    }
    [a, b, c, d]
}

/// VMSA fields and where FXSAVE has them: {VMSA offset, FXSAVE offset, bytes}.
/// The tag word (0x40c, abridged in both) is a byte in the FXSAVE image.
const FPU: [(usize, usize, usize); 7] = [
    (offset_of!(Vmsa, x87_fcw), 0, 2),
    (offset_of!(Vmsa, x87_fsw), 2, 2),
    (offset_of!(Vmsa, x87_ftw), 4, 1),
    (offset_of!(Vmsa, x87_fop), 6, 2),
    (offset_of!(Vmsa, x87_rip), 8, 8),
    (offset_of!(Vmsa, x87_dp), 16, 8),
    (offset_of!(Vmsa, fpreg_xmm), 160, 256),
];
const FX_MXCSR: usize = 24;
const FX_REGISTERS: usize = 32;

/// Loads what is not there yet: see docs/architecture.md, "Threads of QEMU", for what the
/// instruction may break.
fn load_fpu(page: u64) {
    let mut now = FxImage::zeroed();
    now.save();
    // What the VMSA does not hold stays as it is.
    let mut image = now.clone();
    for (vmsa, fx, len) in FPU {
        if let Some(part) = image.0.get_mut(fx..fx + len) {
            phys::read_bytes(page + vmsa as u64, part);
        }
    }
    let mxcsr: u32 = phys::read(page + offset_of!(Vmsa, mxcsr) as u64);
    image.0[FX_MXCSR..FX_MXCSR + 4].copy_from_slice(&(mxcsr & MXCSR_MASK).to_le_bytes());
    for register in 0..8 {
        let at = FX_REGISTERS + register * 16;
        let source = page + (offset_of!(Vmsa, fpreg_x87) + register * 10) as u64;
        phys::read_bytes(source, &mut image.0[at..at + 10]);
    }
    if image != now {
        image.load();
    }
}

fn store_fpu(page: u64) {
    let mut image = FxImage::zeroed();
    image.save();
    for (vmsa, fx, len) in FPU {
        if let Some(part) = image.0.get(fx..fx + len) {
            phys::write_bytes(page + vmsa as u64, part);
        }
    }
    phys::write_bytes(
        page + offset_of!(Vmsa, mxcsr) as u64,
        &image.0[FX_MXCSR..FX_MXCSR + 4],
    );
    for register in 0..8 {
        let at = FX_REGISTERS + register * 16;
        let target = page + (offset_of!(Vmsa, fpreg_x87) + register * 10) as u64;
        phys::write_bytes(target, &image.0[at..at + 10]);
    }
}
