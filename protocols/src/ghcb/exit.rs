//! Exit codes: the processor's (APM volume 2, appendix C) and the software
//! exits of the page protocol (AMD publication 56421, table of NAE events).

/// A VMCB or GHCB exit code. A #VC error code is one too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExitCode(
    /// The code, as the VMCB's EXITCODE or the GHCB's SW_EXITCODE holds it.
    pub u64,
);

impl ExitCode {
    /// DR7 read.
    pub const READ_DR7: Self = Self(0x27);
    /// DR7 write.
    pub const WRITE_DR7: Self = Self(0x37);
    /// Physical interrupt.
    pub const INTR: Self = Self(0x60);
    /// NMI.
    pub const NMI: Self = Self(0x61);
    /// SMI.
    pub const SMI: Self = Self(0x62);
    /// INIT.
    pub const INIT: Self = Self(0x63);
    /// Virtual interrupt.
    pub const VINTR: Self = Self(0x64);
    /// Selective CR0 write.
    pub const CR0_SEL_WRITE: Self = Self(0x65);
    /// SIDT.
    pub const IDTR_READ: Self = Self(0x66);
    /// SGDT.
    pub const GDTR_READ: Self = Self(0x67);
    /// SLDT.
    pub const LDTR_READ: Self = Self(0x68);
    /// STR.
    pub const TR_READ: Self = Self(0x69);
    /// LIDT.
    pub const IDTR_WRITE: Self = Self(0x6a);
    /// LGDT.
    pub const GDTR_WRITE: Self = Self(0x6b);
    /// LLDT.
    pub const LDTR_WRITE: Self = Self(0x6c);
    /// LTR.
    pub const TR_WRITE: Self = Self(0x6d);
    /// RDTSC.
    pub const RDTSC: Self = Self(0x6e);
    /// RDPMC.
    pub const RDPMC: Self = Self(0x6f);
    /// PUSHF.
    pub const PUSHF: Self = Self(0x70);
    /// POPF.
    pub const POPF: Self = Self(0x71);
    /// CPUID.
    pub const CPUID: Self = Self(0x72);
    /// RSM.
    pub const RSM: Self = Self(0x73);
    /// IRET.
    pub const IRET: Self = Self(0x74);
    /// Software interrupt.
    pub const SWINT: Self = Self(0x75);
    /// INVD.
    pub const INVD: Self = Self(0x76);
    /// PAUSE.
    pub const PAUSE: Self = Self(0x77);
    /// HLT.
    pub const HLT: Self = Self(0x78);
    /// INVLPG.
    pub const INVLPG: Self = Self(0x79);
    /// INVLPGA.
    pub const INVLPGA: Self = Self(0x7a);
    /// Port I/O.
    pub const IOIO: Self = Self(0x7b);
    /// MSR access.
    pub const MSR: Self = Self(0x7c);
    /// Task switch.
    pub const TASK_SWITCH: Self = Self(0x7d);
    /// FERR freeze.
    pub const FERR_FREEZE: Self = Self(0x7e);
    /// Shutdown.
    pub const SHUTDOWN: Self = Self(0x7f);
    /// VMRUN.
    pub const VMRUN: Self = Self(0x80);
    /// VMMCALL.
    pub const VMMCALL: Self = Self(0x81);
    /// VMLOAD.
    pub const VMLOAD: Self = Self(0x82);
    /// VMSAVE.
    pub const VMSAVE: Self = Self(0x83);
    /// STGI.
    pub const STGI: Self = Self(0x84);
    /// CLGI.
    pub const CLGI: Self = Self(0x85);
    /// SKINIT.
    pub const SKINIT: Self = Self(0x86);
    /// RDTSCP.
    pub const RDTSCP: Self = Self(0x87);
    /// ICEBP.
    pub const ICEBP: Self = Self(0x88);
    /// WBINVD.
    pub const WBINVD: Self = Self(0x89);
    /// MONITOR.
    pub const MONITOR: Self = Self(0x8a);
    /// MWAIT.
    pub const MWAIT: Self = Self(0x8b);
    /// Conditional MWAIT.
    pub const MWAIT_CONDITIONAL: Self = Self(0x8c);
    /// XSETBV.
    pub const XSETBV: Self = Self(0x8d);
    /// RDPRU.
    pub const RDPRU: Self = Self(0x8e);
    /// After EFER write.
    pub const EFER_WRITE_TRAP: Self = Self(0x8f);
    /// After CR0 write.
    pub const CR0_WRITE_TRAP: Self = Self(0x90);
    /// After CR3 write.
    pub const CR3_WRITE_TRAP: Self = Self(0x93);
    /// After CR4 write.
    pub const CR4_WRITE_TRAP: Self = Self(0x94);
    /// After CR8 write.
    pub const CR8_WRITE_TRAP: Self = Self(0x98);
    /// INVPCID.
    pub const INVPCID: Self = Self(0xa2);
    /// Bus lock.
    pub const BUS_LOCK: Self = Self(0xa5);
    /// Idle HLT.
    pub const IDLE_HLT: Self = Self(0xa6);
    /// Nested page fault.
    pub const NPF: Self = Self(0x400);
    /// AVIC incomplete IPI.
    pub const AVIC_INCOMPLETE_IPI: Self = Self(0x401);
    /// AVIC unaccelerated access.
    pub const AVIC_NOACCEL: Self = Self(0x402);
    /// VMGEXIT.
    pub const VMGEXIT: Self = Self(0x403);
    /// Page not validated.
    pub const PAGE_NOT_VALIDATED: Self = Self(0x404);
    /// MMIO read. SW_EXITINFO1 = GPA, SW_EXITINFO2 = length, scratch = buffer.
    pub const MMIO_READ: Self = Self(0x8000_0001);
    /// MMIO write. SW_EXITINFO1 = GPA, SW_EXITINFO2 = length, scratch = buffer.
    pub const MMIO_WRITE: Self = Self(0x8000_0002);
    /// NMI complete.
    pub const NMI_COMPLETE: Self = Self(0x8000_0003);
    /// AP reset hold. On wake SW_EXITINFO2 is not 0.
    pub const AP_RESET_HOLD: Self = Self(0x8000_0004);
    /// AP jump table. SEV-ES only.
    pub const AP_JUMP_TABLE: Self = Self(0x8000_0005);
    /// Page state change. Scratch = list.
    pub const PAGE_STATE_CHANGE: Self = Self(0x8000_0010);
    /// Guest request. SW_EXITINFO1 = request GPA, SW_EXITINFO2 = response GPA.
    pub const GUEST_REQUEST: Self = Self(0x8000_0011);
    /// Extended guest request. As above, RAX = data GPA, RBX = pages.
    pub const EXTENDED_GUEST_REQUEST: Self = Self(0x8000_0012);
    /// AP creation..
    pub const AP_CREATION: Self = Self(0x8000_0013);
    /// #HV doorbell page. Restricted injection only.
    pub const HV_DOORBELL_PAGE: Self = Self(0x8000_0014);
    /// #HV IPI. Restricted injection only.
    pub const HV_IPI: Self = Self(0x8000_0015);
    /// #HV timer. Restricted injection only.
    pub const HV_TIMER: Self = Self(0x8000_0016);
    /// APIC ID list. RAX = pages, SW_EXITINFO1 = GPA of the list.
    pub const GET_APIC_IDS: Self = Self(0x8000_0017);
    /// Run VMPL. SW_EXITINFO1 = VMPL.
    pub const RUN_VMPL: Self = Self(0x8000_0018);
    /// Secure AVIC.
    pub const SECURE_AVIC: Self = Self(0x8000_001a);
    /// Configure interrupt injection.
    pub const CONFIGURE_INTERRUPT_INJECTION: Self = Self(0x8000_001b);
    /// Disable alternate injection.
    pub const DISABLE_ALTERNATE_INJECTION: Self = Self(0x8000_001c);
    /// Specific EOI.
    pub const SPECIFIC_EOI: Self = Self(0x8000_001d);
    /// SEV-TIO guest request.
    pub const TIO_GUEST_REQUEST: Self = Self(0x8000_0020);
    /// SEV-TIO operation.
    pub const TIO_OPERATION: Self = Self(0x8000_0021);
    /// Hypervisor features. SW_EXITINFO2 answers.
    pub const HV_FEATURES: Self = Self(0x8000_fffd);
    /// Termination request. SW_EXITINFO1 = reason, SW_EXITINFO2 = detail.
    pub const TERMINATE: Self = Self(0x8000_fffe);
    /// Unsupported event. SW_EXITINFO1 = exit code, SW_EXITINFO2 = error code.
    pub const UNSUPPORTED_EVENT: Self = Self(0x8000_ffff);

    /// Whether the code is a software exit of the page protocol, not an event
    /// of the processor.
    pub const fn is_software(self) -> bool {
        matches!(self.0, 0x8000_0000..=0x8000_ffff)
    }

    /// The event in words, for a log. None for codes without a constant here.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::READ_DR7 => "DR7 read",
            Self::WRITE_DR7 => "DR7 write",
            Self::INTR => "physical interrupt",
            Self::NMI => "NMI",
            Self::SMI => "SMI",
            Self::INIT => "INIT",
            Self::VINTR => "virtual interrupt",
            Self::CR0_SEL_WRITE => "selective CR0 write",
            Self::IDTR_READ => "SIDT",
            Self::GDTR_READ => "SGDT",
            Self::LDTR_READ => "SLDT",
            Self::TR_READ => "STR",
            Self::IDTR_WRITE => "LIDT",
            Self::GDTR_WRITE => "LGDT",
            Self::LDTR_WRITE => "LLDT",
            Self::TR_WRITE => "LTR",
            Self::RDTSC => "RDTSC",
            Self::RDPMC => "RDPMC",
            Self::PUSHF => "PUSHF",
            Self::POPF => "POPF",
            Self::CPUID => "CPUID",
            Self::RSM => "RSM",
            Self::IRET => "IRET",
            Self::SWINT => "software interrupt",
            Self::INVD => "INVD",
            Self::PAUSE => "PAUSE",
            Self::HLT => "HLT",
            Self::INVLPG => "INVLPG",
            Self::INVLPGA => "INVLPGA",
            Self::IOIO => "port I/O",
            Self::MSR => "MSR access",
            Self::TASK_SWITCH => "task switch",
            Self::FERR_FREEZE => "FERR freeze",
            Self::SHUTDOWN => "shutdown",
            Self::VMRUN => "VMRUN",
            Self::VMMCALL => "VMMCALL",
            Self::VMLOAD => "VMLOAD",
            Self::VMSAVE => "VMSAVE",
            Self::STGI => "STGI",
            Self::CLGI => "CLGI",
            Self::SKINIT => "SKINIT",
            Self::RDTSCP => "RDTSCP",
            Self::ICEBP => "ICEBP",
            Self::WBINVD => "WBINVD",
            Self::MONITOR => "MONITOR",
            Self::MWAIT => "MWAIT",
            Self::MWAIT_CONDITIONAL => "conditional MWAIT",
            Self::XSETBV => "XSETBV",
            Self::RDPRU => "RDPRU",
            Self::EFER_WRITE_TRAP => "after EFER write",
            Self::CR0_WRITE_TRAP => "after CR0 write",
            Self::CR3_WRITE_TRAP => "after CR3 write",
            Self::CR4_WRITE_TRAP => "after CR4 write",
            Self::CR8_WRITE_TRAP => "after CR8 write",
            Self::INVPCID => "INVPCID",
            Self::BUS_LOCK => "bus lock",
            Self::IDLE_HLT => "idle HLT",
            Self::NPF => "nested page fault",
            Self::AVIC_INCOMPLETE_IPI => "AVIC incomplete IPI",
            Self::AVIC_NOACCEL => "AVIC unaccelerated access",
            Self::VMGEXIT => "VMGEXIT",
            Self::PAGE_NOT_VALIDATED => "page not validated",
            Self::MMIO_READ => "MMIO read",
            Self::MMIO_WRITE => "MMIO write",
            Self::NMI_COMPLETE => "NMI complete",
            Self::AP_RESET_HOLD => "AP reset hold",
            Self::AP_JUMP_TABLE => "AP jump table",
            Self::PAGE_STATE_CHANGE => "page state change",
            Self::GUEST_REQUEST => "guest request",
            Self::EXTENDED_GUEST_REQUEST => "extended guest request",
            Self::AP_CREATION => "AP creation",
            Self::HV_DOORBELL_PAGE => "#HV doorbell page",
            Self::HV_IPI => "#HV IPI",
            Self::HV_TIMER => "#HV timer",
            Self::GET_APIC_IDS => "APIC ID list",
            Self::RUN_VMPL => "run VMPL",
            Self::SECURE_AVIC => "secure AVIC",
            Self::CONFIGURE_INTERRUPT_INJECTION => "configure interrupt injection",
            Self::DISABLE_ALTERNATE_INJECTION => "disable alternate injection",
            Self::SPECIFIC_EOI => "specific EOI",
            Self::TIO_GUEST_REQUEST => "SEV-TIO guest request",
            Self::TIO_OPERATION => "SEV-TIO operation",
            Self::HV_FEATURES => "hypervisor features",
            Self::TERMINATE => "termination request",
            Self::UNSUPPORTED_EVENT => "unsupported event",
            _ => return None,
        })
    }
}

impl core::fmt::Display for ExitCode {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.name() {
            Some(name) => write!(formatter, "{name} ({:#x})", self.0),
            None => write!(formatter, "{:#x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;
    use super::*;
    use alloc::format;

    #[test]
    fn codes_have_names_and_unknown_codes_do_not() {
        assert_eq!(ExitCode(0x72).name(), Some("CPUID"));
        assert_eq!(ExitCode(0x8000_0010).name(), Some("page state change"));
        assert_eq!(ExitCode(0x8000_0006).name(), None);
        assert_eq!(format!("{}", ExitCode(0x7b)), "port I/O (0x7b)");
        assert_eq!(format!("{}", ExitCode(0x999)), "0x999");
    }

    #[test]
    fn software_exits_are_told_from_the_processor_s() {
        assert!(ExitCode::TERMINATE.is_software());
        assert!(!ExitCode::NPF.is_software());
        assert!(!ExitCode(0x1_8000_0001).is_software());
    }
}
