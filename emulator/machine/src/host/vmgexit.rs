//! VMGEXIT: which protocol, which event.

use protocols::ghcb::{ExitCode, GhcbField, MalformedReason, Response, Usage};

use super::ghcb::GhcbView;
use super::ioio::PowerRequest;
use super::{guest_request, ioio, levels, mmio, msr, msr_protocol, page_state};
use crate::machine::{self, Machine};
use crate::processor::vcpu::Waiting;
use crate::report::invariants::steps;
use crate::scenario;

/// RAX of a hypercall that this host does not have.
const NO_HYPERCALL: u64 = (-1000i64) as u64;

/// What the machine does after an exit was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Resume,
    End(Ended),
}

/// How a guest's run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It asked for its termination.
    Terminated {
        set: u8,
        code: u8,
        mask: Option<u64>,
    },
    /// It asked for a reset.
    Reset,
    /// A request of the MSR protocol that does not exist.
    UnknownMsrRequest(u64),
    /// Every vCPU waits for another one.
    NobodyRuns,
    /// The GHCB's address is not shared memory.
    GhcbNotShared(u64),
    /// What must never be was seen, and the machine does not go on with it.
    InvariantViolated,
    /// A fault that no host could mend.
    Stuck(crate::processor::exit::Stuck),
}

/// Serves the VMGEXIT of the running level; its RIP is past the instruction.
pub(crate) fn serve(machine: &mut Machine) -> Next {
    let next = if machine.scenario.is_empty() {
        honest(machine)
    } else {
        scenario::exit::serve(machine)
    };
    steps::after_vmgexit(machine);
    next
}

/// The service of an honest host.
pub(crate) fn honest(machine: &mut Machine) -> Next {
    let value = machine.vcpu.current().ghcb_msr;
    if value & 0xfff != 0 {
        return msr_protocol::serve(machine, value);
    }
    let Some(spa) = machine.memory.shared(value, 0x1000) else {
        return Next::End(Ended::GhcbNotShared(value));
    };
    let ghcb = GhcbView::new(value, spa);
    let Some(code) = ghcb.get(GhcbField::EXIT_CODE) else {
        ghcb.begin_answer();
        ghcb.malformed(MalformedReason::MISSING_INPUT);
        return Next::Resume;
    };
    machine.stats.vmgexit(machine.vcpu.level, false, code);
    if machine.vcpu.current().registered_ghcb != Some(value) {
        ghcb.begin_answer();
        ghcb.malformed(MalformedReason::NOT_REGISTERED);
        return Next::Resume;
    }
    if Usage(ghcb.usage()) != Usage::STANDARD {
        ghcb.begin_answer();
        ghcb.malformed(MalformedReason::INVALID_USAGE);
        return Next::Resume;
    }
    event(machine, &ghcb, ExitCode(code))
}

fn event(machine: &mut Machine, ghcb: &GhcbView, code: ExitCode) -> Next {
    let Machine {
        host,
        memory,
        stats,
        ..
    } = machine;
    match code {
        ExitCode::IOIO => match ioio::serve(host, memory, ghcb) {
            Some(PowerRequest::Reset) => return Next::End(Ended::Reset),
            Some(PowerRequest::Sleep(value)) => machine::sleep(machine, value),
            None => {}
        },
        ExitCode::MSR => msr::serve(ghcb),
        ExitCode::CPUID => cpuid(machine, ghcb),
        ExitCode::MMIO_READ => mmio::serve(memory, ghcb, false),
        ExitCode::MMIO_WRITE => mmio::serve(memory, ghcb, true),
        ExitCode::PAGE_STATE_CHANGE => page_state::serve(memory, stats, ghcb),
        ExitCode::GUEST_REQUEST | ExitCode::EXTENDED_GUEST_REQUEST => {
            guest_request::serve(machine, ghcb, code);
        }
        ExitCode::AP_CREATION => levels::create(machine, ghcb),
        ExitCode::GET_APIC_IDS => apic_ids(machine, ghcb),
        ExitCode::RUN_VMPL => return run_vmpl(machine, ghcb),
        ExitCode::HV_FEATURES => {
            ghcb.begin_answer();
            ghcb.set(GhcbField::EXIT_INFO2, host.features.bits());
        }
        ExitCode::TERMINATE => {
            let info = ghcb.get(GhcbField::EXIT_INFO1).unwrap_or_default();
            return Next::End(Ended::Terminated {
                set: (info & 0xf) as u8,
                code: (info >> 4) as u8,
                mask: ghcb.get(GhcbField::EXIT_INFO2),
            });
        }
        // Caches and idle hints: nothing to do here.
        ExitCode::INVD | ExitCode::WBINVD | ExitCode::MONITOR | ExitCode::MWAIT => {
            ghcb.begin_answer();
        }
        ExitCode::NMI_COMPLETE => ghcb.begin_answer(),
        ExitCode::AP_RESET_HOLD => {
            ghcb.begin_answer();
            ghcb.set(GhcbField::EXIT_INFO2, 1);
            machine.vcpu.waiting = Some(Waiting::ResetHold);
        }
        ExitCode::VMMCALL => {
            ghcb.begin_answer();
            ghcb.set(GhcbField::RAX, NO_HYPERCALL);
        }
        _ => {
            ghcb.begin_answer();
            ghcb.malformed(MalformedReason::INVALID_EVENT);
        }
    }
    Next::Resume
}

fn cpuid(machine: &Machine, ghcb: &GhcbView) {
    let (leaf, subleaf) = (ghcb.get(GhcbField::RAX), ghcb.get(GhcbField::RCX));
    ghcb.begin_answer();
    let (Some(leaf), Some(subleaf)) = (leaf, subleaf) else {
        ghcb.malformed(MalformedReason::MISSING_INPUT);
        return;
    };
    let found = machine.cpuid(leaf as u32, subleaf as u32);
    ghcb.set(GhcbField::RAX, found.eax.into());
    ghcb.set(GhcbField::RBX, found.ebx.into());
    ghcb.set(GhcbField::RCX, found.ecx.into());
    ghcb.set(GhcbField::RDX, found.edx.into());
}

/// The list of APIC IDs: first how many pages it needs, then the list.
fn apic_ids(machine: &Machine, ghcb: &GhcbView) {
    let pages = ghcb.get(GhcbField::RAX);
    let gpa = ghcb.get(GhcbField::EXIT_INFO1);
    ghcb.begin_answer();
    if pages.unwrap_or_default() == 0 {
        ghcb.set(GhcbField::RAX, 1);
        return;
    }
    let ids = &machine.host.apic_ids;
    let Some(page) = gpa.and_then(|gpa| machine.memory.shared(gpa, 0x1000)) else {
        ghcb.malformed(MalformedReason::INVALID_INPUT);
        return;
    };
    crate::mem::phys::write(page, ids.len() as u32);
    for (slot, id) in (1u64..).zip(ids) {
        crate::mem::phys::write(page + slot * 4, *id);
    }
    ghcb.set(GhcbField::RAX, 1);
}

fn run_vmpl(machine: &mut Machine, ghcb: &GhcbView) -> Next {
    let vmpl = ghcb.get(GhcbField::EXIT_INFO1);
    ghcb.begin_answer();
    let level = vmpl.and_then(|vmpl| u8::try_from(vmpl).ok());
    let ran = level.is_some_and(|level| levels::run(machine, level).is_ok());
    if !ran {
        ghcb.respond(Response::MALFORMED_INPUT, MalformedReason::INVALID_INPUT.0);
    }
    Next::Resume
}
