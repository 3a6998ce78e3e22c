//! The few instructions whose bytes the machine has to read, because QEMU
//! reports neither instruction bytes nor the next RIP.

use super::guest_memory::{self, GuestFault};
use super::vcpu::Vcpu;
use super::vmcb::save;
use crate::host::memory::Memory;

const EFER_LMA: u64 = 1 << 10;
const CS_LONG: u16 = 0x200;

/// Longest instruction of the architecture, in bytes.
const LONGEST: usize = 15;

/// An instruction cut into prefixes and the rest.
pub(crate) struct Instruction {
    bytes: [u8; LONGEST],
    available: usize,
    /// Bytes of legacy and REX prefixes.
    prefixes: usize,
    /// The last of F2 and F3, or 0.
    pub(crate) repeat: u8,
    /// Operand-size prefix 66 seen.
    pub(crate) operand_size: bool,
    /// The REX prefix right before the opcode, or 0.
    pub(crate) rex: u8,
}

impl Instruction {
    /// Reads the instruction at the guest's CS:RIP.
    pub(crate) fn fetch(vcpu: &Vcpu, memory: &Memory) -> Result<Self, GuestFault> {
        let cs = vcpu.vmcb.segment(save::CS);
        let long = vcpu.vmcb.get::<u64>(save::EFER) & EFER_LMA != 0 && cs.attributes & CS_LONG != 0;
        let rip = vcpu.vmcb.rip();
        let linear = if long {
            rip
        } else {
            (cs.base as u32).wrapping_add(rip as u32).into()
        };
        let mut bytes = [0; LONGEST];
        let in_page = (0x1000 - (linear & 0xfff)) as usize;
        let mut available = LONGEST.min(in_page);
        guest_memory::fetch_linear(vcpu, memory, linear, &mut bytes[..available])?;
        if available < LONGEST {
            // The next page need not be there for a short instruction.
            let next = linear.wrapping_add(available as u64);
            if guest_memory::fetch_linear(vcpu, memory, next, &mut bytes[available..]).is_ok() {
                available = LONGEST;
            }
        }
        Ok(Self::parse(bytes, available, long))
    }

    fn parse(bytes: [u8; LONGEST], available: usize, long: bool) -> Self {
        let mut this = Self {
            bytes,
            available,
            prefixes: 0,
            repeat: 0,
            operand_size: false,
            rex: 0,
        };
        for &byte in &bytes[..available] {
            match byte {
                0xf2 | 0xf3 => this.repeat = byte,
                0x66 => this.operand_size = true,
                0x67 | 0xf0 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65 => {}
                0x40..=0x4f if long => {
                    this.rex = byte;
                    this.prefixes += 1;
                    continue;
                }
                _ => break,
            }
            this.rex = 0;
            this.prefixes += 1;
        }
        this
    }

    /// Byte `index` of the opcode and what follows it; 0 where none could be read.
    pub(crate) fn byte(&self, index: usize) -> u8 {
        match self.prefixes + index {
            at if at < self.available => self.bytes[at],
            _ => 0,
        }
    }

    /// Whether the opcode starts with these bytes.
    pub(crate) fn is(&self, opcode: &[u8]) -> bool {
        opcode
            .iter()
            .enumerate()
            .all(|(index, &byte)| self.byte(index) == byte)
    }

    /// Length of the instruction if its opcode and operands take `rest` bytes.
    pub(crate) fn length(&self, rest: usize) -> u64 {
        (self.prefixes + rest) as u64
    }

    /// All bytes, for a message.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.bytes[..self.available]
    }
}
