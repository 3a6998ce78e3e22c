//! The lies that there are.

use crate::message::{CertificateLie, MessageLie};

/// A register of a CPUID answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// EAX.
    Eax,
    /// EBX.
    Ebx,
    /// ECX.
    Ecx,
    /// EDX.
    Edx,
}

/// How a page-state change is answered wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PscLie {
    /// `pretend`: "all done", and nothing is.
    Pretend,
    /// `partial N`: stops after N entries, without an error.
    Partial(u16),
    /// `backwards`: shows less progress than the request came with; nothing is done.
    Backwards,
    /// `overshoot`: shows more progress than the list is long; nothing is done.
    Overshoot,
    /// `error CODE`: this SW_EXITINFO2 or MSR error; nothing is done.
    Error(u64),
    /// `opposite`: shared for private and private for shared, and "done".
    Opposite,
}

/// How an answer in the GHCB page is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GhcbLie {
    /// `silent`: the request is not served and the page stays as the guest wrote it.
    Silent,
    /// `invalid`: served, but no field is marked valid.
    Invalid,
    /// `exception VECTOR [ERROR]`: not served; the guest is to raise an exception.
    Exception {
        /// The vector.
        vector: u8,
        /// The error code, if it has one.
        error: Option<u32>,
    },
    /// `set FIELD VALUE`: served, then a field is changed and marked valid.
    Set {
        /// Offset in the page.
        offset: u16,
        /// The new value, 8 bytes.
        value: u64,
    },
    /// `flip FIELD VALUE`: served; once the guest has read the field, it changes.
    Flip {
        /// Offset in the page.
        offset: u16,
        /// The value of any later read, 8 bytes.
        value: u64,
    },
    /// `watch`: served; a byte of the answer that is read twice is a violation.
    Watch,
}

/// How a shared page changes that an exit has filled; its GPA comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedLie {
    /// `set PAGE OFFSET VALUE`: served, then 8 bytes are changed.
    Set {
        /// The page.
        page: u64,
        /// Offset in it.
        offset: u16,
        /// The new value, 8 bytes.
        value: u64,
    },
    /// `rewrite PAGE OFFSET VALUE`: served; once the guest has read the 8 bytes, they change.
    Rewrite {
        /// The page.
        page: u64,
        /// Offset in it.
        offset: u16,
        /// The value of any later read, 8 bytes.
        value: u64,
    },
    /// `watch PAGE`: served; a byte that is read twice before the next exit is a violation.
    Watch(u64),
}

/// How a run-VMPL request is answered wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunVmplLie {
    /// `spurious`: "it ran", and it did not.
    Spurious,
    /// `refuse`: an error.
    Refuse,
    /// `level N`: another level runs than was asked for.
    Level(u8),
}

/// The most APIC IDs that a lie names.
pub const MAX_APIC_IDS: usize = 8;

/// How AP creation is answered wrongly: always with success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApCreationLie {
    /// `never`: nothing is started.
    Never,
    /// `on ID`: another vCPU gets the VMSA, the one with this APIC ID.
    On(u32),
    /// `twice ID`: the vCPU that was asked for gets it, and this one as well.
    Twice(u32),
    /// `at LEVEL`: it is run as the VMSA of another level.
    At(u8),
}

/// One way of the host to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// `sev-features set MASK`: more features in the launched VMSA.
    SevFeatures(u64),
    /// `cpuid LEAF SUBLEAF REGISTER VALUE`: another value in the CPUID page.
    Cpuid {
        /// Leaf.
        leaf: u32,
        /// Subleaf.
        subleaf: u32,
        /// Register.
        register: Register,
        /// Its value.
        value: u32,
    },
    /// `cpuid-count N`: the CPUID page's count, true or not.
    CpuidCount(u32),
    /// `memory-map clear`: an empty memory map.
    MemoryMapClear,
    /// `memory-map add START LENGTH TYPE`: one more entry.
    MemoryMapAdd {
        /// Number of the first 4 KiB page.
        first_page: u64,
        /// Number of 4 KiB pages.
        pages: u64,
        /// IGVM's memory type.
        kind: u16,
    },
    /// `vp-count N`: another number of processors.
    VpCount(u32),
    /// `policy set MASK` and `policy clear MASK`: a guest policy other than the image's.
    Policy {
        /// Bits to set.
        set: u64,
        /// Bits to clear.
        clear: u64,
    },
    /// `hv-features set MASK` and `hv-features clear MASK`.
    HvFeatures {
        /// Bits to offer.
        set: u64,
        /// Bits to withhold.
        clear: u64,
    },
    /// `ghcb-versions MIN MAX`: the range of protocol versions.
    GhcbVersions {
        /// Lowest.
        min: u16,
        /// Highest.
        max: u16,
    },
    /// `c-bit N`: the C-bit in the answer to SEV_INFO.
    CBit(u8),
    /// `force-4k` and `force-4k off`: the host assigns pages of 4 KiB only, or of
    /// any size again.
    Force4k(bool),
    /// `remap GPA`: a fresh system page behind a guest page.
    Remap(u64),
    /// `swap GPA`: the other page of a remapped one again.
    Swap(u64),
    /// `move FROM TO`: the system page behind FROM, contents and all, goes behind TO.
    Move {
        /// The guest page that loses its system page.
        from: u64,
        /// The guest page that gets it.
        to: u64,
    },
    /// `unassign GPA`: RMPUPDATE takes the page away.
    Unassign(u64),
    /// `smash GPA`: PSMASH of the 2 MiB page.
    Smash(u64),
    /// `inject VECTOR [ERROR]`: an event for VMPL0.
    Inject {
        /// The vector.
        vector: u8,
        /// The error code, if it has one.
        error: Option<u32>,
    },
    /// `forge-vc CODE`: #VC with this exit code in VMPL0.
    ForgeVc(u64),
    /// `ghcb poke FIELD VALUE`: a write to VMPL0's GHCB page, whatever goes on there.
    GhcbPoke {
        /// Offset in the page.
        offset: u16,
        /// The value, 8 bytes.
        value: u64,
    },
    /// `shared poke PAGE OFFSET VALUE`: a write to a shared page, whatever goes on there.
    SharedPoke {
        /// The page.
        page: u64,
        /// Offset in it.
        offset: u16,
        /// The value, 8 bytes.
        value: u64,
    },
    /// `message release`: a held message goes to the secure processor now.
    MessageRelease,
    /// `message …`.
    Message(MessageLie),
    /// `certificates …`.
    Certificates(CertificateLie),
    /// `psc …`.
    Psc(PscLie),
    /// `msr answer VALUE`: the GHCB MSR's value, whatever was asked.
    MsrAnswer(u64),
    /// `ghcb …`.
    Ghcb(GhcbLie),
    /// `shared …`.
    Shared(SharedLie),
    /// `run-vmpl …`.
    RunVmpl(RunVmplLie),
    /// `apic-ids COUNT ID…`: this list of APIC IDs. Zeros follow those that are named.
    ApicIds {
        /// How long the list says that it is.
        count: u32,
        /// The IDs.
        ids: [u32; MAX_APIC_IDS],
    },
    /// `ap-creation …`.
    ApCreation(ApCreationLie),
    /// `resume-after-termination N`: the level is entered again N times.
    ResumeAfterTermination(u32),
}

/// When a kind of lie can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Part of the launch: no point.
    Launch,
    /// Something that the host does: at any point, or right before the first
    /// instruction.
    Deed,
    /// A wrong answer: at a VMGEXIT, or at all of them.
    Answer,
    /// At a termination request, whichever point.
    End,
}

impl Lie {
    /// When it can be told.
    pub const fn class(self) -> Class {
        match self {
            Lie::SevFeatures(_)
            | Lie::Cpuid { .. }
            | Lie::CpuidCount(_)
            | Lie::MemoryMapClear
            | Lie::MemoryMapAdd { .. }
            | Lie::VpCount(_)
            | Lie::Policy { .. } => Class::Launch,
            Lie::HvFeatures { .. }
            | Lie::GhcbVersions { .. }
            | Lie::CBit(_)
            | Lie::Force4k(_)
            | Lie::Remap(_)
            | Lie::Swap(_)
            | Lie::Move { .. }
            | Lie::Unassign(_)
            | Lie::Smash(_)
            | Lie::Inject { .. }
            | Lie::ForgeVc(_)
            | Lie::GhcbPoke { .. }
            | Lie::SharedPoke { .. }
            | Lie::MessageRelease => Class::Deed,
            Lie::Message(_)
            | Lie::Certificates(_)
            | Lie::Psc(_)
            | Lie::MsrAnswer(_)
            | Lie::Ghcb(_)
            | Lie::Shared(_)
            | Lie::RunVmpl(_)
            | Lie::ApicIds { .. }
            | Lie::ApCreation(_) => Class::Answer,
            Lie::ResumeAfterTermination(_) => Class::End,
        }
    }
}
