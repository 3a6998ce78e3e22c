//! Why a guest ends the virtual machine (AMD publication 56421, termination
//! request), and Rampart's own reasons.

use super::msr::{MsrValue, info};

/// A reason set and a code in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Termination {
    /// The set, 4 bits.
    pub set: u8,
    /// The code.
    pub code: u8,
}

impl Termination {
    /// The set that the publication defines.
    pub const SET_GHCB: u8 = 0;
    /// The set of Linux.
    pub const SET_LINUX: u8 = 1;
    /// The set of Rampart: a [`RampartReason`].
    pub const SET_RAMPART: u8 = 8;

    /// No particular reason.
    pub const GENERAL: Self = Self::new(Self::SET_GHCB, 0);
    /// The host's protocol versions do not suit.
    pub const PROTOCOL_VERSION: Self = Self::new(Self::SET_GHCB, 1);
    /// SEV_FEATURES has features on that the guest can't support. The page
    /// protocol's request has their mask in SW_EXITINFO2.
    pub const SNP_UNSUPPORTED: Self = Self::new(Self::SET_GHCB, 2);

    /// A termination. Four bits of the set are kept.
    pub const fn new(set: u8, code: u8) -> Self {
        Self {
            set: set & 0xf,
            code,
        }
    }

    /// The request of the MSR protocol.
    pub const fn msr(self) -> MsrValue {
        MsrValue(
            info::TERMINATE_REQUEST as u64
                | (self.set as u64 & 0xf) << 12
                | (self.code as u64) << 16,
        )
    }

    /// SW_EXITINFO1 of the page protocol's request, exit 0x8000FFFE.
    pub const fn exit_info1(self) -> u64 {
        self.set as u64 & 0xf | (self.code as u64) << 4
    }

    /// The inverse of [`Termination::exit_info1`]. Bits above 11 are ignored.
    pub const fn from_exit_info1(info1: u64) -> Self {
        Self::new(info1 as u8, (info1 >> 4) as u8)
    }
}

impl From<RampartReason> for Termination {
    fn from(reason: RampartReason) -> Self {
        reason.termination()
    }
}

impl core::fmt::Display for Termination {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            formatter,
            "set {} code {:#04x}: {}",
            self.set,
            self.code,
            describe(*self)
        )
    }
}

/// The termination in one line.
pub const fn describe(termination: Termination) -> &'static str {
    match termination.set {
        Termination::SET_GHCB => match termination.code {
            0 => "general termination request",
            1 => "the host's GHCB protocol versions are not supported",
            2 => "an active SEV-SNP feature is not supported",
            _ => "unknown code of the GHCB's set",
        },
        Termination::SET_LINUX => match termination.code {
            0 => "Linux: the host refused to register a GHCB",
            1 => "Linux: the host refused a page state change",
            2 => "Linux: PVALIDATE failed",
            3 => "Linux: not at VMPL0, or the host does not offer several VMPLs",
            4 => "Linux: the CPUID page is malformed",
            5 => "Linux: the host refused CPUID",
            6 => "Linux: the secrets page is malformed",
            7 => "Linux: not at VMPL0 and no SVSM is present",
            8 => "Linux: the SVSM says that the guest is at VMPL0",
            9 => "Linux: the SVSM's calling area is not aligned",
            10 => "Linux: Secure TSC can't be set up",
            11 => "Linux: the SVSM refused to remap the calling area",
            12 => "Linux: Secure AVIC can't be set up",
            _ => "unknown code of Linux's set",
        },
        Termination::SET_RAMPART => match RampartReason::from_code(termination.code) {
            Some(reason) => reason.description(),
            None => "unknown code of Rampart's set",
        },
        _ => "unknown reason set",
    }
}

/// From one list: enumeration, documentation, lookup and text.
macro_rules! reasons {
    ($($name:ident = $code:literal: $text:literal,)*) => {
        /// Why Rampart ends the virtual machine: the codes of reason set 8.
        /// A number, once released, keeps its meaning; new ones are appended to
        /// their group.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum RampartReason {
            $(#[doc = $text] $name = $code,)*
        }

        impl RampartReason {
            /// Every reason, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The reason of that number.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// What happened, in one line.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    // The program itself.
    Panic = 0x01: "the firmware panicked",
    OutOfMemory = 0x02: "the firmware is out of memory",
    Internal = 0x03: "the firmware reached a state that it rules out",
    UnexpectedException = 0x04: "the processor raised an exception that no code expects",
    ForgedVc = 0x05: "#VC with an exit code that the interrupted instruction can't cause",
    UnvalidatedAccess = 0x06: "access to a page that is not validated",
    PageLost = 0x07: "a page that was validated is not accessible any more",
    SecurityCheckFailed = 0x08: "a self-test of memory isolation failed",
    RandomUnavailable = 0x09: "the processor gives no random numbers",

    // The launch: processor, CPUID page, secrets page.
    NotSnp = 0x10: "SEV-SNP is not active",
    NotVmpl0 = 0x11: "the firmware does not run at VMPL0",
    CBitMismatch = 0x12: "host, CPUID page and page tables differ in the C-bit",
    CBitUnproven = 0x13: "the C-bit does not encrypt memory",
    CpuidPageMalformed = 0x14: "the CPUID page is malformed",
    SecretsPageMalformed = 0x15: "the secrets page is malformed",
    NoHugePages = 0x16: "the processor has no 1 GiB pages",

    // The host's answers.
    GhcbProtocolVersion = 0x20: "the host does not support GHCB protocol version 2",
    GhcbRegistrationRefused = 0x21: "the host refused to register the GHCB",
    GhcbReentered = 0x22: "the GHCB was wanted while a request was under way",
    BadMsrAnswer = 0x23: "the host's answer by the GHCB MSR does not fit the request",
    BadGhcbAnswer = 0x24: "the host's answer by the GHCB page is malformed or an error",
    NoSnpFeature = 0x25: "the host does not offer SEV-SNP",
    NoApCreation = 0x26: "the host does not offer AP creation",
    NoMultiVmpl = 0x27: "the host does not offer several VMPLs",
    NoApicIdList = 0x28: "the host does not offer the list of APIC IDs",
    ApicIdListMalformed = 0x29: "the host's list of APIC IDs is malformed",
    RunVmplFailed = 0x2a: "the host refused to run the guest's VMPL",
    ApCreationFailed = 0x2b: "the host refused to create a processor",
    FwCfgFailed = 0x2c: "the host's fw_cfg device does not do as it is asked",

    // Memory and the RMP.
    PageStateChangeRefused = 0x30: "the host refused a page state change",
    PageStateChangeNoProgress = 0x31: "the host makes no progress with a page state change",
    PvalidateFailed = 0x32: "PVALIDATE failed",
    PvalidateUnchanged = 0x33: "a page was validated or invalidated twice",
    RmpadjustFailed = 0x34: "RMPADJUST failed",
    PageMapInconsistent = 0x35: "the map of validated pages contradicts the processor",
    PageMapMemory = 0x36: "there is no memory for the map of validated pages",

    // What the host describes.
    MemoryMapMalformed = 0x40: "the memory map is malformed",
    MemoryMapOverlap = 0x41: "ranges of the memory map overlap",
    MemoryMapUncovered = 0x42: "the firmware's range is not in RAM by the memory map",
    MemoryMapTooFragmented = 0x43: "the memory map has too many ranges",
    VcpuCountMalformed = 0x44: "the number of processors is 0 or too large",

    // What the image holds.
    ImageHeaderMalformed = 0x50: "the image header is malformed",
    HandOffMalformed = 0x51: "the hand-off from stage 2 to the kernel is malformed",
    KernelPayloadMalformed = 0x52: "the kernel payload is malformed",
    FirmwarePayloadMalformed = 0x53: "the guest firmware payload is malformed",
    FirmwareMetadataMissing = 0x54: "the guest firmware has no SEV metadata",
    FirmwareMetadataMalformed = 0x55: "the guest firmware's SEV metadata is malformed",
    FirmwareMissing = 0x56: "the host gives no guest firmware",
    FirmwareSizeMismatch = 0x57: "the host's guest firmware has another size than the image's",
    FirmwareHashMismatch = 0x58: "the host's guest firmware has another hash than the image's",

    // The guest.
    GuestStopped = 0x60: "the guest's last processor stopped",
    GuestVmsaInvalid = 0x61: "the guest's VMSA can't be run",
}

impl RampartReason {
    /// The number in set 8.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The termination of this reason.
    pub const fn termination(self) -> Termination {
        Termination::new(Termination::SET_RAMPART, self.code())
    }
}

impl core::fmt::Display for RampartReason {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(self.description())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_protocols_carry_set_and_code() {
        assert_eq!(Termination::SNP_UNSUPPORTED.msr().0, 0x2_0100);
        assert_eq!(Termination::SNP_UNSUPPORTED.exit_info1(), 0x20);
        let refused = RampartReason::GhcbRegistrationRefused.termination();
        assert_eq!(refused.msr().0, 0x21_8100);
        assert_eq!(refused.exit_info1(), 0x218);
    }

    #[test]
    fn the_list_ascends_and_every_line_is_its_own() {
        for pair in RampartReason::ALL.windows(2) {
            assert!(pair[0].code() < pair[1].code());
        }
        for (index, reason) in RampartReason::ALL.iter().enumerate() {
            assert_eq!(RampartReason::from_code(reason.code()), Some(*reason));
            assert_eq!(describe(reason.termination()), reason.description());
            let rest = &RampartReason::ALL[index + 1..];
            assert!(rest.iter().all(|r| r.description() != reason.description()));
        }
        assert_eq!(RampartReason::from_code(0), None);
    }

    #[test]
    fn other_sets_are_described_too() {
        assert!(describe(Termination::new(1, 2)).starts_with("Linux: PVALIDATE"));
        assert_eq!(describe(Termination::new(3, 0)), "unknown reason set");
        assert_eq!(
            describe(Termination::new(8, 0xff)),
            "unknown code of Rampart's set"
        );
    }

    proptest! {
        #[test]
        fn exit_info1_comes_back(set in 0u8..16, code: u8) {
            let termination = Termination::new(set, code);
            prop_assert_eq!(Termination::from_exit_info1(termination.exit_info1()), termination);
        }
    }
}
