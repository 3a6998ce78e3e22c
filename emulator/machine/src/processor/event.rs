//! Events for the guest: injected by the processor under the machine where it
//! can, and #VC, which that one cannot deliver with its error code, in software.
//!
//! Facts: emulation.md, "Delivering #VC"; APM volume 2, sections 8.9 and 15.20.

use super::guest_memory::{self, GuestFault};
use super::vcpu::Vcpu;
use super::vmcb::{Segment, Vmcb, control, save};
use crate::arch::svm;
use crate::host::memory::Memory;

const VECTOR_NMI: u8 = 2;
const VECTOR_UD: u8 = 6;
const VECTOR_DF: u8 = 8;
const VECTOR_GP: u8 = 13;
const VECTOR_PF: u8 = 14;
const VECTOR_VC: u8 = 29;

const EVENT_VALID: u64 = 1 << 31;
const EVENT_ERROR_CODE: u64 = 1 << 11;
const TYPE_EXTERNAL: u64 = 0;
const TYPE_NMI: u64 = 2;
const TYPE_EXCEPTION: u64 = 3;
const TYPE_SOFTWARE: u64 = 4;

const EFER_LMA: u64 = 1 << 10;
const CR0_PE: u64 = 1;
const RFLAGS_TF: u64 = 1 << 8;
const RFLAGS_IF: u64 = 1 << 9;
const RFLAGS_NT: u64 = 1 << 14;
const RFLAGS_RF: u64 = 1 << 16;
const RFLAGS_VM: u64 = 1 << 17;

const GATE_INTERRUPT: u8 = 14;
const GATE_TRAP: u8 = 15;

/// Why an event could not be given to the guest: on silicon, a triple fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undeliverable {
    /// Real mode or a 16-bit gate: no guest of this machine has #VC handlers there.
    Mode,
    /// The descriptor tables hold nothing usable.
    Gate,
}

fn inject(vmcb: &mut Vmcb, vector: u8, error_code: Option<u32>) {
    let mut event = EVENT_VALID | TYPE_EXCEPTION << 8 | u64::from(vector);
    if let Some(code) = error_code {
        event |= EVENT_ERROR_CODE | u64::from(code) << 32;
    }
    vmcb.set(control::EVENT_INJ, event);
}

/// An event as a host injects it: an exception below vector 32 (NMI is 2), an
/// external interrupt from there on, whatever RFLAGS.IF is. None: another event
/// is already to be delivered at the next entry.
pub(crate) fn inject_from_host(vmcb: &mut Vmcb, vector: u8, error: Option<u32>) -> Option<()> {
    if vmcb.get::<u64>(control::EVENT_INJ) & EVENT_VALID != 0 {
        return None;
    }
    match vector {
        VECTOR_NMI => vmcb.set(control::EVENT_INJ, EVENT_VALID | TYPE_NMI << 8 | 2),
        0..32 => inject(vmcb, vector, error),
        _ => vmcb.set(
            control::EVENT_INJ,
            EVENT_VALID | TYPE_EXTERNAL << 8 | u64::from(vector),
        ),
    }
    Some(())
}

/// An NMI that another processor of the guest sent.
pub(crate) fn inject_nmi(vmcb: &mut Vmcb) {
    vmcb.set(
        control::EVENT_INJ,
        EVENT_VALID | TYPE_NMI << 8 | u64::from(VECTOR_NMI),
    );
}

/// #UD at the current instruction.
pub(crate) fn inject_ud(vmcb: &mut Vmcb) {
    inject(vmcb, VECTOR_UD, None);
}

/// #GP with this error code at the current instruction.
pub(crate) fn inject_gp(vmcb: &mut Vmcb, code: u32) {
    inject(vmcb, VECTOR_GP, Some(code));
}

/// #PF at the current instruction.
pub(crate) fn inject_pf(vmcb: &mut Vmcb, linear: u64, code: u32) {
    vmcb.set(save::CR2, linear);
    inject(vmcb, VECTOR_PF, Some(code));
}

/// #DF. Its error code is 0.
fn inject_df(vmcb: &mut Vmcb) {
    inject(vmcb, VECTOR_DF, Some(0));
}

/// Gives an event back that an exit interrupted while it was being delivered.
///
/// QEMU reports a physical interrupt as an exception; vectors from 32 on that
/// are no INT n are interrupts. A software interrupt returns behind its
/// two-byte instruction, which QEMU's injection leaves to us.
pub(crate) fn reinject_interrupted(vmcb: &mut Vmcb) {
    let info: u64 = vmcb.get(control::EXIT_INT_INFO);
    if info & EVENT_VALID == 0 {
        return;
    }
    let vector = info & 0xff;
    let mut event = info;
    match (info >> 8) & 7 {
        TYPE_EXCEPTION if vector >= 32 => event = (info & !(7 << 8)) | TYPE_EXTERNAL << 8,
        TYPE_SOFTWARE => vmcb.advance(2),
        _ => {}
    }
    vmcb.set(control::EVENT_INJ, event);
}

/// Whether the last exit interrupted the delivery of an event.
pub(crate) fn was_delivering(vmcb: &Vmcb) -> bool {
    vmcb.get::<u64>(control::EXIT_INT_INFO) & EVENT_VALID != 0
}

/// Delivers #VC with `error_code` (the exit code) at the current instruction.
pub(crate) fn deliver_vc(
    vcpu: &mut Vcpu,
    memory: &Memory,
    error_code: u64,
) -> Result<(), Undeliverable> {
    let long = vcpu.vmcb.get::<u64>(save::EFER) & EFER_LMA != 0;
    let outcome = if long {
        deliver_long(vcpu, memory, error_code as u32)
    } else {
        deliver_protected(vcpu, memory, error_code as u32)
    };
    match outcome {
        Ok(()) => Ok(()),
        Err(Failure::Undeliverable(reason)) => Err(reason),
        // #VC is contributory: a page fault while it is delivered is taken
        // after it, anything else makes a double fault.
        Err(Failure::Guest(GuestFault::Page { linear, code })) => {
            inject_pf(&mut vcpu.vmcb, linear, code);
            Ok(())
        }
        Err(Failure::Guest(GuestFault::Nested { .. })) | Err(Failure::Protection) => {
            inject_df(&mut vcpu.vmcb);
            Ok(())
        }
    }
}

enum Failure {
    Undeliverable(Undeliverable),
    Guest(GuestFault),
    Protection,
}

impl From<GuestFault> for Failure {
    fn from(fault: GuestFault) -> Self {
        Failure::Guest(fault)
    }
}

fn table_entry<const N: usize>(
    vcpu: &Vcpu,
    memory: &Memory,
    table: Segment,
    offset: u64,
) -> Result<[u8; N], Failure> {
    if offset + N as u64 > u64::from(table.limit) + 1 {
        return Err(Failure::Protection);
    }
    let mut bytes = [0; N];
    guest_memory::read_linear(vcpu, memory, table.base.wrapping_add(offset), &mut bytes)?;
    Ok(bytes)
}

/// The code segment a gate names, as a segment register would hold it.
fn code_segment(vcpu: &Vcpu, memory: &Memory, selector: u16) -> Result<Segment, Failure> {
    let gdt = vcpu.vmcb.segment(save::GDTR);
    let ldt = vcpu.vmcb.segment(save::LDTR);
    let table = if selector & 4 == 0 { gdt } else { ldt };
    let bytes: [u8; 8] = table_entry(vcpu, memory, table, u64::from(selector & !7))?;
    let raw = u64::from_le_bytes(bytes);
    let attributes = ((raw >> 40) & 0xff | (raw >> 44) & 0xf00) as u16;
    let code_and_present = attributes & 0x98 == 0x98;
    if selector & !3 == 0 || !code_and_present {
        return Err(Failure::Protection);
    }
    let mut limit = (raw & 0xffff | (raw >> 32) & 0xf_0000) as u32;
    if attributes & 0x800 != 0 {
        limit = limit << 12 | 0xfff;
    }
    let base = (raw >> 16) & 0xff_ffff | (raw >> 32) & 0xff00_0000;
    Ok(Segment {
        selector,
        attributes,
        limit,
        base,
    })
}

fn deliver_long(vcpu: &mut Vcpu, memory: &Memory, error_code: u32) -> Result<(), Failure> {
    let idt = vcpu.vmcb.segment(save::IDTR);
    let gate: [u8; 16] = table_entry(vcpu, memory, idt, u64::from(VECTOR_VC) * 16)?;
    let low = u64::from_le_bytes(gate[..8].try_into().unwrap_or_default());
    let high = u64::from_le_bytes(gate[8..].try_into().unwrap_or_default());
    let kind = ((low >> 40) & 0xf) as u8;
    if low & 1 << 47 == 0 || !matches!(kind, GATE_INTERRUPT | GATE_TRAP) {
        return Err(Failure::Undeliverable(Undeliverable::Gate));
    }
    let target = low & 0xffff | (low >> 32) & 0xffff_0000 | high << 32;
    let ist = (low >> 32) & 7;
    let mut code = code_segment(vcpu, memory, (low >> 16) as u16)?;
    let cpl = vcpu.vmcb.cpl();
    let conforming = code.attributes & 4 != 0;
    if code.dpl() > cpl || code.attributes & 0x200 == 0 {
        return Err(Failure::Protection);
    }
    let new_cpl = if conforming { cpl } else { code.dpl() };

    let old_rsp: u64 = vcpu.vmcb.get(save::RSP);
    let old_ss = vcpu.vmcb.segment(save::SS);
    let stack_slot = match (ist, new_cpl < cpl) {
        (0, false) => None,
        (0, true) => Some(4 + 8 * u64::from(new_cpl)),
        (ist, _) => Some(0x24 + 8 * (ist - 1)),
    };
    let mut rsp = match stack_slot {
        None => old_rsp,
        Some(offset) => {
            // TR lives in the processor while the guest runs.
            // SAFETY: the VMCB is the machine's.
            unsafe { svm::vmsave(vcpu.vmcb.address()) };
            let tss = vcpu.vmcb.segment(save::TR);
            u64::from_le_bytes(table_entry(vcpu, memory, tss, offset)?)
        }
    };
    rsp &= !0xf;

    let rflags: u64 = vcpu.vmcb.get(save::RFLAGS);
    let old_cs = vcpu.vmcb.segment(save::CS);
    let frame = [
        u64::from(error_code),
        vcpu.vmcb.rip(),
        u64::from(old_cs.selector),
        rflags | RFLAGS_RF,
        old_rsp,
        u64::from(old_ss.selector),
    ];
    let mut bytes = [0; 48];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(frame) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    rsp = rsp.wrapping_sub(bytes.len() as u64);
    guest_memory::write_linear(vcpu, memory, rsp, &bytes)?;

    code.selector = code.selector & !3 | u16::from(new_cpl);
    vcpu.vmcb.set_segment(save::CS, code);
    if new_cpl != cpl {
        // A null SS with RPL = CPL; QEMU takes the privilege level from its DPL.
        let attributes = 0x93 | u16::from(new_cpl) << 5;
        vcpu.vmcb.set_segment(
            save::SS,
            Segment {
                selector: u16::from(new_cpl),
                attributes,
                limit: u32::MAX,
                base: 0,
            },
        );
        vcpu.vmcb.set(save::CPL, new_cpl);
    }
    vcpu.vmcb.set(save::RSP, rsp);
    enter_handler(&mut vcpu.vmcb, target, rflags, kind == GATE_INTERRUPT);
    Ok(())
}

/// 32-bit protected mode at one privilege level: OVMF's reset vector.
fn deliver_protected(vcpu: &mut Vcpu, memory: &Memory, error_code: u32) -> Result<(), Failure> {
    if vcpu.vmcb.get::<u64>(save::CR0) & CR0_PE == 0 {
        return Err(Failure::Undeliverable(Undeliverable::Mode));
    }
    let idt = vcpu.vmcb.segment(save::IDTR);
    let gate = u64::from_le_bytes(table_entry(vcpu, memory, idt, u64::from(VECTOR_VC) * 8)?);
    let kind = ((gate >> 40) & 0xf) as u8;
    if gate & 1 << 47 == 0 || !matches!(kind, GATE_INTERRUPT | GATE_TRAP) {
        return Err(Failure::Undeliverable(Undeliverable::Gate));
    }
    let target = gate & 0xffff | (gate >> 32) & 0xffff_0000;
    let code = code_segment(vcpu, memory, (gate >> 16) as u16)?;
    if code.dpl() != vcpu.vmcb.cpl() {
        return Err(Failure::Undeliverable(Undeliverable::Mode));
    }
    let rflags: u64 = vcpu.vmcb.get(save::RFLAGS);
    let old_cs = vcpu.vmcb.segment(save::CS);
    let frame = [
        error_code,
        vcpu.vmcb.rip() as u32,
        u32::from(old_cs.selector),
        (rflags | RFLAGS_RF) as u32,
    ];
    let mut bytes = [0; 16];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(frame) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    let ss = vcpu.vmcb.segment(save::SS);
    let esp = (vcpu.vmcb.get::<u64>(save::RSP) as u32).wrapping_sub(bytes.len() as u32);
    let linear = (ss.base as u32).wrapping_add(esp);
    guest_memory::write_linear(vcpu, memory, u64::from(linear), &bytes)?;
    vcpu.vmcb.set_segment(save::CS, code);
    vcpu.vmcb.set(save::RSP, u64::from(esp));
    enter_handler(&mut vcpu.vmcb, target, rflags, kind == GATE_INTERRUPT);
    Ok(())
}

fn enter_handler(vmcb: &mut Vmcb, target: u64, rflags: u64, mask_interrupts: bool) {
    let mut cleared = RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM;
    if mask_interrupts {
        cleared |= RFLAGS_IF;
    }
    vmcb.set(save::RFLAGS, rflags & !cleared);
    vmcb.set(save::RIP, target);
    vmcb.set(control::INTERRUPT_SHADOW, 0u64);
}
