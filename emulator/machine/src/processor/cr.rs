//! CR0 writes, caught because they change whether accesses are forced private.

use super::decode::Instruction;
use super::event;
use super::guest_memory::GuestFault;
use super::vcpu::Vcpu;
use super::vmcb::save;
use crate::host::memory::Memory;

const CR0_PE: u64 = 1;
const CR0_TS: u64 = 1 << 3;
const CR0_PG: u64 = 1 << 31;
/// The bits that LMSW loads.
const LMSW_BITS: u64 = 0xf;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
const CR4_PAE: u64 = 1 << 5;
/// NE, ET and the reserved bits that a write cannot make invalid.
const CR0_FIXED: u64 = 1 << 4;

/// What became of a CR0 write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cr0Write {
    Done,
    /// An instruction that the machine does not know to write CR0.
    Unknown,
}

/// Emulates MOV CR0, CLTS or LMSW at the guest's RIP.
pub(crate) fn write_cr0(vcpu: &mut Vcpu, memory: &Memory) -> Result<Cr0Write, GuestFault> {
    let instruction = Instruction::fetch(vcpu, memory)?;
    let old: u64 = vcpu.vmcb.get(save::CR0);
    let modrm = instruction.byte(2);
    let (value, length) = if instruction.is(&[0x0f, 0x22]) {
        let register = modrm & 7 | (instruction.rex & 1) << 3;
        (vcpu.register(register), instruction.length(3))
    } else if instruction.is(&[0x0f, 0x06]) {
        (old & !CR0_TS, instruction.length(2))
    } else if instruction.is(&[0x0f, 0x01]) && modrm & 0xf8 == 0xf0 {
        let register = modrm & 7 | (instruction.rex & 1) << 3;
        let new = old & !LMSW_BITS | vcpu.register(register) & LMSW_BITS;
        // LMSW cannot leave protected mode.
        (new | old & CR0_PE, instruction.length(3))
    } else {
        return Ok(Cr0Write::Unknown);
    };
    let long_entry = value & CR0_PG != 0 && vcpu.vmcb.get::<u64>(save::EFER) & EFER_LME != 0;
    let no_pae = vcpu.vmcb.get::<u64>(save::CR4) & CR4_PAE == 0;
    if value >> 32 != 0 || value & CR0_PG != 0 && value & CR0_PE == 0 || long_entry && no_pae {
        event::inject_gp(&mut vcpu.vmcb, 0);
        return Ok(Cr0Write::Done);
    }
    let efer: u64 = vcpu.vmcb.get(save::EFER);
    let efer = if long_entry {
        efer | EFER_LMA
    } else {
        efer & !EFER_LMA
    };
    vcpu.vmcb.set(save::EFER, efer);
    vcpu.vmcb.set(save::CR0, value | CR0_FIXED);
    vcpu.vmcb.advance(length);
    Ok(Cr0Write::Done)
}
