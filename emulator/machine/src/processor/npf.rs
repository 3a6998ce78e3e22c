//! Nested page faults: what the processor's RMP checks say about an access,
//! and what a host like KVM does about it.

use protocols::addr::PageSize;
use snp_model::access::AccessKind;
use snp_model::fault::{AccessFault, NestedFault, VC_NOT_VALIDATED};

use super::npt::C_MASK;
use super::vcpu::Vcpu;
use super::vmcb::{Vmcb, control};
use crate::host::memory::Memory;
use crate::report::stats::Stats;

/// #VC error code for an access to something that is not memory.
const VC_NPF: u64 = 0x400;

const INFO_WRITE: u64 = 1 << 1;
const INFO_FETCH: u64 = 1 << 4;
const INFO_WALK: u64 = 1 << 33;

/// What follows from a nested page fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// Mapped: the guest tries again.
    Retry,
    /// #VC with this error code.
    Vc(u64),
    /// No host could let the guest go on.
    Stuck(Fault),
}

/// A fault that stops the guest, in the words of the explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A private access where no memory is.
    NoMemory { gpa: u64 },
    /// The level lacks the right for the access.
    Right { gpa: u64, kind: AccessKind },
    /// The host could not change the page as the access asks.
    State { gpa: u64 },
}

/// The guest address of the last nested page fault, without the C-bit.
pub(crate) fn faulting_gpa(vmcb: &Vmcb) -> u64 {
    vmcb.get::<u64>(control::EXIT_INFO2) & !C_MASK
}

/// Resolves the nested page fault of the last exit.
pub(crate) fn resolve(vcpu: &mut Vcpu, memory: &mut Memory, stats: &mut Stats) -> Resolution {
    let info: u64 = vcpu.vmcb.get(control::EXIT_INFO1);
    let address: u64 = vcpu.vmcb.get(control::EXIT_INFO2);
    let gpa = faulting_gpa(&vcpu.vmcb);
    let kind = match info {
        _ if info & INFO_WALK != 0 => AccessKind::PageWalk,
        _ if info & INFO_FETCH != 0 && vcpu.vmcb.cpl() == 3 => AccessKind::ExecuteUser,
        _ if info & INFO_FETCH != 0 => AccessKind::ExecuteSupervisor,
        _ if info & INFO_WRITE != 0 => AccessKind::Write,
        _ => AccessKind::Read,
    };
    let c_bit = address & C_MASK != 0;
    let private = c_bit || kind.is_always_private() || !vcpu.paging();
    if !memory.is_memory(gpa) {
        return if private {
            Resolution::Stuck(Fault::NoMemory { gpa })
        } else {
            Resolution::Vc(VC_NPF)
        };
    }
    // Without the C-bit the address selects the shared half, unless paging is off.
    let alias = private && !c_bit && vcpu.paging();
    match memory.map(gpa, private, alias, vcpu.level) {
        Ok(rights) if rights.contains(kind.required()) => Resolution::Retry,
        Ok(_) => Resolution::Stuck(Fault::Right { gpa, kind }),
        Err(AccessFault::NotValidated) => Resolution::Vc(VC_NOT_VALIDATED),
        Err(AccessFault::Nested(bits)) if bits.contains(NestedFault::VMPL) => {
            Resolution::Stuck(Fault::Right { gpa, kind })
        }
        // The page is in the other state. KVM leaves it to the VMM, which
        // converts it as the access asks.
        Err(AccessFault::Nested(_)) => {
            stats.implicit_conversion();
            let page = gpa & !(PageSize::Size4K.bytes() - 1);
            match memory.set_state(page, PageSize::Size4K, private) {
                Ok(()) => Resolution::Retry,
                Err(_) => Resolution::Stuck(Fault::State { gpa }),
            }
        }
    }
}
