//! One vCPU: the VMCB and registers of the running level, and what is kept of
//! every level.

use crate::arch::svm::{self, Gprs};

use super::npt::Npt;
use super::vmcb::{Vmcb, control, save};

const CR0_PG: u64 = 1 << 31;

/// What the processor and the host keep for one VMPL of a vCPU.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LevelState {
    /// GPA of the VMSA page to run at this level.
    pub(crate) vmsa: Option<u64>,
    /// System address of the VMSA page that the level was entered from, until its exit. The host
    /// may name another one for the next entry meanwhile.
    pub(crate) entered: Option<u64>,
    /// The GHCB MSR as the level last wrote it or the host answered.
    pub(crate) ghcb_msr: u64,
    /// GPA of the GHCB page that the level registered.
    pub(crate) registered_ghcb: Option<u64>,
    /// SEV_FEATURES of the VMSA, which SEV_STATUS shows.
    pub(crate) sev_features: u64,
}

/// What a processor does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Guest,
    Park,
    /// Nothing, until the other vCPU of that index has done what was asked of it.
    Wait(usize),
}

/// Why a vCPU runs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Nobody has created a VMSA for it.
    NeverStarted,
    /// HLT with interrupts off.
    Halted,
    /// The AP reset hold request.
    ResetHold,
    /// Its VMSA was taken away.
    Stopped,
}

/// A vCPU.
pub(crate) struct Vcpu {
    pub(crate) vmcb: Vmcb,
    pub(crate) gprs: Gprs,
    /// The level that runs.
    pub(crate) level: u8,
    pub(crate) levels: [LevelState; 4],
    /// Set while it runs nothing until the host has a level to run.
    pub(crate) waiting: Option<Waiting>,
    /// The vCPU that it had stopped, and that may still be on its way out of the guest.
    pub(crate) stopping: Option<usize>,
    /// Accesses to pages that are not validated, with nothing done about them.
    pub(crate) unvalidated: Unvalidated,
}

/// A row of #VC for accesses to unvalidated pages by one instruction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unvalidated {
    level: u8,
    rip: u64,
    times: u32,
}

impl Unvalidated {
    /// So many in a row, and nothing that the vCPU does can end it: its #VC handler
    /// itself needs the page.
    const ENDLESS: u32 = 16;

    /// Counts one more. True: the vCPU cannot get out of it.
    pub(crate) fn is_endless(&mut self, level: u8, rip: u64) -> bool {
        if (self.level, self.rip) != (level, rip) {
            *self = Self {
                level,
                rip,
                times: 0,
            };
        }
        self.times += 1;
        self.times >= Self::ENDLESS
    }

    /// The vCPU has done something else, which may have validated the page.
    pub(crate) fn end(&mut self) {
        self.times = 0;
    }
}

impl Vcpu {
    /// A vCPU that runs nothing yet.
    pub(crate) fn new(vmcb: Vmcb) -> Self {
        Self {
            vmcb,
            gprs: Gprs::default(),
            level: 0,
            levels: [LevelState::default(); 4],
            waiting: Some(Waiting::NeverStarted),
            stopping: None,
            unvalidated: Unvalidated::default(),
        }
    }

    /// Whether it runs nothing.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// State of the running level.
    pub(crate) fn current(&mut self) -> &mut LevelState {
        &mut self.levels[usize::from(self.level & 3)]
    }

    /// Whether the guest's paging is on.
    pub(crate) fn paging(&self) -> bool {
        self.vmcb.get::<u64>(save::CR0) & CR0_PG != 0
    }

    /// Points the VMCB at the level's nested tables for its paging mode.
    pub(crate) fn select_root(&mut self, npt: &Npt) {
        let root = npt.root(self.level, self.paging());
        self.vmcb.set(control::NESTED_CR3, root);
    }

    /// Runs the guest to its next exit and returns the exit code.
    pub(crate) fn run(&mut self) -> u64 {
        // SAFETY: the intercepts of `intercepts::init` and nested tables that
        // only `Memory` fills keep the guest out of the machine.
        unsafe { svm::run(self.vmcb.address(), &mut self.gprs) };
        self.vmcb.get(control::EXIT_CODE)
    }

    /// General register by its number in an instruction (0 = RAX … 15 = R15).
    pub(crate) fn register(&self, number: u8) -> u64 {
        let g = &self.gprs;
        match number & 15 {
            0 => self.vmcb.get(save::RAX),
            1 => g.rcx,
            2 => g.rdx,
            3 => g.rbx,
            4 => self.vmcb.get(save::RSP),
            5 => g.rbp,
            6 => g.rsi,
            7 => g.rdi,
            8 => g.r8,
            9 => g.r9,
            10 => g.r10,
            11 => g.r11,
            12 => g.r12,
            13 => g.r13,
            14 => g.r14,
            _ => g.r15,
        }
    }
}
