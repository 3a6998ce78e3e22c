//! The VMCB (APM volume 2, appendix B), reached by copy through the direct map.

use crate::mem::phys;

/// Control area fields by offset.
pub(crate) mod control {
    pub(crate) const INTERCEPT_CR: u64 = 0x000;
    pub(crate) const INTERCEPT_DR: u64 = 0x004;
    pub(crate) const INTERCEPT_EXCEPTIONS: u64 = 0x008;
    pub(crate) const INTERCEPT_MISC1: u64 = 0x00c;
    pub(crate) const INTERCEPT_MISC2: u64 = 0x010;
    pub(crate) const IOPM_BASE: u64 = 0x040;
    pub(crate) const MSRPM_BASE: u64 = 0x048;
    pub(crate) const ASID: u64 = 0x058;
    pub(crate) const INTERRUPT_SHADOW: u64 = 0x068;
    pub(crate) const EXIT_CODE: u64 = 0x070;
    pub(crate) const EXIT_INFO1: u64 = 0x078;
    pub(crate) const EXIT_INFO2: u64 = 0x080;
    pub(crate) const EXIT_INT_INFO: u64 = 0x088;
    pub(crate) const NESTED_ENABLE: u64 = 0x090;
    pub(crate) const EVENT_INJ: u64 = 0x0a8;
    pub(crate) const NESTED_CR3: u64 = 0x0b0;
}

/// State save area fields by offset (from the VMCB's start).
pub(crate) mod save {
    pub(crate) const ES: u64 = 0x400;
    pub(crate) const CS: u64 = 0x410;
    pub(crate) const SS: u64 = 0x420;
    pub(crate) const DS: u64 = 0x430;
    pub(crate) const GDTR: u64 = 0x460;
    pub(crate) const LDTR: u64 = 0x470;
    pub(crate) const IDTR: u64 = 0x480;
    pub(crate) const TR: u64 = 0x490;
    pub(crate) const CPL: u64 = 0x4cb;
    pub(crate) const EFER: u64 = 0x4d0;
    pub(crate) const CR4: u64 = 0x548;
    pub(crate) const CR3: u64 = 0x550;
    pub(crate) const CR0: u64 = 0x558;
    pub(crate) const DR6: u64 = 0x568;
    pub(crate) const RFLAGS: u64 = 0x570;
    pub(crate) const RIP: u64 = 0x578;
    pub(crate) const RSP: u64 = 0x5d8;
    pub(crate) const RAX: u64 = 0x5f8;
    pub(crate) const CR2: u64 = 0x640;
    pub(crate) const PAT: u64 = 0x668;
}

/// A segment register as the VMCB and the VMSA hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) selector: u16,
    /// Packed as in the VMCB: type, S, DPL, P in bits 7:0; AVL, L, D, G in bits 11:8.
    pub(crate) attributes: u16,
    pub(crate) limit: u32,
    pub(crate) base: u64,
}

impl Segment {
    /// The descriptor privilege level.
    pub(crate) fn dpl(self) -> u8 {
        ((self.attributes >> 5) & 3) as u8
    }
}

/// One VMCB frame.
pub(crate) struct Vmcb {
    address: u64,
}

impl Vmcb {
    /// Takes a zeroed frame of the machine.
    pub(crate) fn new(frame: u64) -> Self {
        Self { address: frame }
    }

    /// The physical address, for VMRUN.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    /// Reads a field of the type's size.
    pub(crate) fn get<T: phys::Word>(&self, offset: u64) -> T {
        phys::read(self.address + offset)
    }

    /// Writes a field of the type's size.
    pub(crate) fn set<T: phys::Word>(&mut self, offset: u64, value: T) {
        phys::write(self.address + offset, value);
    }

    /// Reads a segment register.
    pub(crate) fn segment(&self, offset: u64) -> Segment {
        Segment {
            selector: self.get(offset),
            attributes: self.get(offset + 2),
            limit: self.get(offset + 4),
            base: self.get(offset + 8),
        }
    }

    /// Writes a segment register.
    pub(crate) fn set_segment(&mut self, offset: u64, segment: Segment) {
        self.set(offset, segment.selector);
        self.set(offset + 2, segment.attributes);
        self.set(offset + 4, segment.limit);
        self.set(offset + 8, segment.base);
    }

    /// The instruction pointer.
    pub(crate) fn rip(&self) -> u64 {
        self.get(save::RIP)
    }

    /// Moves past an instruction of `length` bytes: a completed instruction
    /// also ends the interrupt shadow.
    pub(crate) fn advance(&mut self, length: u64) {
        let rip = self.rip().wrapping_add(length);
        self.set(save::RIP, rip);
        self.set(control::INTERRUPT_SHADOW, 0u64);
    }

    /// The current privilege level.
    pub(crate) fn cpl(&self) -> u8 {
        self.get(save::CPL)
    }
}
