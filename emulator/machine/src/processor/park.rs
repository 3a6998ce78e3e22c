//! A processor with nothing to run rests in a guest of its own: HLT in real
//! mode. Entering it and opening the door for NMIs is one step, so that a kick
//! that comes at the wrong moment is not lost, and QEMU's processor sleeps.

use super::vmcb::{Segment, Vmcb, control, save};
use crate::arch::svm::{self, Gprs};
use crate::mem::heap::Frames;
use crate::mem::phys;

const HLT_FOR_EVER: [u8; 3] = [0xf4, 0xeb, 0xfd]; // hlt; jmp $-1

const INTERCEPT_NMI: u32 = 1 << 1;
const INTERCEPT_SHUTDOWN: u32 = 1 << 31;
const INTERCEPT_VMRUN: u32 = 1;
const EFER_SVME: u64 = 1 << 12;
/// CR0 of real mode: ET.
const CR0: u64 = 0x10;
const RFLAGS: u64 = 2;
const CODE: u16 = 0x9b;
const DATA: u16 = 0x93;

/// A processor's resting place, and its host save area.
pub(crate) struct Park {
    vmcb: Vmcb,
    gprs: Gprs,
    host_save_area: u64,
}

impl Park {
    /// None: no frames.
    pub(crate) fn new(frames: &mut Frames) -> Option<Self> {
        let code = frames.backing(0x1000)?;
        phys::write_bytes(code, &HLT_FOR_EVER);
        let mut vmcb = Vmcb::new(frames.backing(0x1000)?);
        vmcb.set(control::INTERCEPT_MISC1, INTERCEPT_NMI | INTERCEPT_SHUTDOWN);
        vmcb.set(control::INTERCEPT_MISC2, INTERCEPT_VMRUN);
        vmcb.set(control::ASID, 1u32);
        let segment = |attributes, base| Segment {
            selector: 0,
            attributes,
            limit: 0xffff,
            base,
        };
        vmcb.set_segment(save::CS, segment(CODE, code));
        for register in [save::SS, save::DS, save::ES] {
            vmcb.set_segment(register, segment(DATA, 0));
        }
        vmcb.set(save::EFER, EFER_SVME);
        vmcb.set(save::CR0, CR0);
        vmcb.set(save::RFLAGS, RFLAGS);
        Some(Self {
            vmcb,
            gprs: Gprs::default(),
            host_save_area: frames.backing(0x1000)?,
        })
    }

    /// For VM_HSAVE_PA.
    pub(crate) fn host_save_area(&self) -> u64 {
        self.host_save_area
    }

    /// Rests until the next NMI.
    pub(crate) fn wait(&mut self) {
        self.vmcb.set(save::RIP, 0u64);
        // SAFETY: the guest is three bytes of the machine's own, in real mode
        // with interrupts off and nothing else mapped that it names.
        unsafe { svm::run(self.vmcb.address(), &mut self.gprs) };
    }
}
