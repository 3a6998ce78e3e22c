//! Calls of the SVSM, as Linux and OVMF make them: call_pending, VMGEXIT by either protocol, and
//! call_pending exchanged again.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use protocols::boot::layout::{GUEST_CALLING_AREA, GUEST_SECRETS_PAGE};
use protocols::ghcb::{MsrRequest, MsrResponse};
use protocols::snp::{SecretsPage, Vmpl};
use protocols::svsm::{CA_CALL_PENDING, CoreCall, ProtocolId, Request, SvsmResult};

use crate::arch::cpu::{Registers, vmgexit};
use crate::arch::memory;
use crate::arch::percpu::{self, MAX_VCPUS};
use crate::end::{Reason, terminate};
use crate::host;

/// How often a call is made that is not done yet.
const TRIES: usize = 100_000;

/// The calling areas that the calls of each vCPU go through.
static CALLING_AREAS: [AtomicU64; MAX_VCPUS] =
    [const { AtomicU64::new(GUEST_CALLING_AREA) }; MAX_VCPUS];

/// The calling area that this vCPU uses.
pub(crate) fn calling_area() -> u64 {
    CALLING_AREAS[percpu::index()].load(Ordering::SeqCst)
}

/// Uses another calling area on this vCPU from now on, as the SVSM does.
pub(crate) fn use_calling_area(gpa: u64) {
    use_calling_area_of(percpu::index(), gpa);
}

/// The same for another vCPU, which makes no call meanwhile.
pub(crate) fn use_calling_area_of(vcpu: usize, gpa: u64) {
    CALLING_AREAS[vcpu].store(gpa, Ordering::SeqCst);
}

/// What the secrets page says of the SVSM.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Svsm {
    /// First byte of its range.
    pub(crate) base: u64,
    /// Length of its range; 0: there is no SVSM.
    pub(crate) size: u64,
    /// Level of the guest.
    pub(crate) guest_vmpl: u8,
}

/// Reads the secrets page.
pub(crate) fn described() -> Svsm {
    Svsm {
        base: memory::read(GUEST_SECRETS_PAGE + offset_of!(SecretsPage, svsm_base) as u64),
        size: memory::read(GUEST_SECRETS_PAGE + offset_of!(SecretsPage, svsm_size) as u64),
        guest_vmpl: memory::read(
            GUEST_SECRETS_PAGE + offset_of!(SecretsPage, svsm_guest_vmpl) as u64,
        ),
    }
}

/// The level that the guest runs at, as the secrets page says.
pub(crate) fn level() -> Vmpl {
    Vmpl::new(described().guest_vmpl).unwrap_or(Vmpl::VMPL3)
}

/// How VMPL0 is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// GHCB MSR request 0x16.
    Msr,
    /// GHCB page exit 0x80000018.
    Page,
}

/// What a call left behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    /// The result; RAX as it was if nothing was executed.
    pub(crate) result: SvsmResult,
    /// RCX, RDX, R8, R9.
    pub(crate) values: [u64; 4],
    /// call_pending: 0 if the call was taken.
    pub(crate) pending: u8,
}

/// Makes a call by the MSR protocol until it is done.
pub(crate) fn call(request: Request, arguments: [u64; 4]) -> Reply {
    call_by(Transport::Msr, request, arguments)
}

/// Makes a call until it is done.
pub(crate) fn call_by(transport: Transport, request: Request, arguments: [u64; 4]) -> Reply {
    let mut reply = exit(transport, 1, request.rax(), arguments);
    for _ in 1..TRIES {
        if !matches!(reply.result, SvsmResult::INCOMPLETE | SvsmResult::BUSY) {
            break;
        }
        reply = exit(transport, 1, request.rax(), arguments);
    }
    reply
}

/// Makes a core call by the MSR protocol until it is done. RCX is the argument.
pub(crate) fn core(call_number: CoreCall, rcx: u64) -> Reply {
    call(Request::core(call_number), [rcx, 0, 0, 0])
}

/// Runs VMPL0 once with this call_pending.
pub(crate) fn exit(transport: Transport, pending: u8, rax: u64, values: [u64; 4]) -> Reply {
    let at = calling_area() + CA_CALL_PENDING as u64;
    memory::exchange_byte(at, pending);
    let (result, values) = run_vmpl0(transport, rax, values);
    Reply {
        result,
        values,
        pending: memory::exchange_byte(at, 0),
    }
}

/// REMAP_CA away from a page that is no longer this vCPU's when the call returns: call_pending is
/// not looked at.
pub(crate) fn leave_calling_area(to: u64) -> SvsmResult {
    memory::exchange_byte(calling_area() + CA_CALL_PENDING as u64, 1);
    let request = Request::core(CoreCall::REMAP_CA);
    run_vmpl0(Transport::Msr, request.rax(), [to, 0, 0, 0]).0
}

fn run_vmpl0(transport: Transport, rax: u64, values: [u64; 4]) -> (SvsmResult, [u64; 4]) {
    let [rcx, rdx, r8, r9] = values;
    let mut registers = Registers {
        rax,
        rcx,
        rdx,
        r8,
        r9,
    };
    let ran = match transport {
        Transport::Msr => {
            let request = MsrRequest::RunVmpl {
                vmpl: Vmpl::VMPL0.get(),
            };
            let answer = vmgexit(request.encode(), &mut registers);
            MsrResponse::decode(answer) == MsrResponse::RunVmpl { error: 0 }
        }
        Transport::Page => host::run_vmpl0(&mut registers),
    };
    if !ran {
        terminate(Reason::Host);
    }
    let Registers {
        rax,
        rcx,
        rdx,
        r8,
        r9,
    } = registers;
    (SvsmResult(rax), [rcx, rdx, r8, r9])
}

/// A request for a call that no protocol has: never executed.
pub(crate) const UNKNOWN_CALL: Request = Request {
    protocol: ProtocolId::CORE,
    call: 0x77,
};
