//! AP creation and the run-VMPL request: which VMSA a level of a vCPU runs,
//! and the switch between levels.

use core::mem::offset_of;

use protocols::ghcb::{ExitCode, GhcbField, MalformedReason};
use protocols::snp::Vmsa;
use snp_model::types::Spa;
use snp_model::vmsa as model;
use snp_scenario::Event;

use super::ghcb::GhcbView;
use super::linux;
use super::memory::Memory;
use crate::machine::Machine;
use crate::mem::phys;
use crate::processor::vcpu::Waiting;
use crate::processor::vmsa;
use crate::report::console::println;
use crate::report::instructions;
use crate::scenario;

const AP_CREATE_ON_INIT: u16 = 0;
const AP_CREATE: u16 = 1;
const AP_DESTROY: u16 = 2;

/// Why a level cannot run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CannotRun {
    /// There is no such level.
    NoLevel,
    /// No VMSA was ever given for it.
    NoVmsa,
    /// The page is no VMSA of this guest, or not one that may be entered.
    Refused,
}

/// The VMSA page of the secure processor's launch is measured at an address
/// where no memory is; its system page is kept with the level.
fn vmsa_page(memory: &Memory, gpa: u64, launch: Option<(u64, u64)>) -> Option<u64> {
    match launch {
        Some((at, spa)) if at == gpa => Some(spa),
        _ => memory.spa(gpa),
    }
}

/// Loads a level's VMSA and makes it the one that runs.
pub(crate) fn enter(machine: &mut Machine, level: u8) -> Result<(), CannotRun> {
    let state = machine
        .vcpu
        .levels
        .get(usize::from(level))
        .ok_or(CannotRun::NoLevel)?;
    let gpa = state.vmsa.ok_or(CannotRun::NoVmsa)?;
    let spa = vmsa_page(&machine.memory, gpa, machine.launch_vmsa).ok_or(CannotRun::NoVmsa)?;
    let efer: u64 = phys::read(spa + offset_of!(Vmsa, efer) as u64);
    let asid = machine.memory.asid();
    model::enter(machine.memory.rmp(), asid, Spa(spa), efer).map_err(|_| CannotRun::Refused)?;
    let vmpl: u8 = phys::read(spa + offset_of!(Vmsa, vmpl) as u64);
    let loaded = if vmpl == level {
        vmsa::load(&mut machine.vcpu, spa)
    } else {
        Err(vmsa::InvalidVmsa::State)
    };
    if loaded.is_err() {
        model::leave(machine.memory.rmp(), Spa(spa));
        return Err(CannotRun::Refused);
    }
    machine.vcpu.level = level;
    machine.vcpu.waiting = None;
    machine.vcpu.current().entered = Some(spa);
    machine.vcpu.current().sev_features = phys::read(spa + offset_of!(Vmsa, sev_features) as u64);
    if level != 0 {
        machine
            .invariants
            .lower_level_enters(&mut machine.memory, machine.running, level);
    }
    scenario::deeds_at(machine, Event::Enter { vmpl: level });
    Ok(())
}

/// What one vCPU asks of another, done by that one before its next entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Run this level from this VMSA.
    Start { level: u8, vmsa: u64 },
    /// Run this level no more.
    Stop { level: u8 },
}

/// Does what another vCPU asked of the one that is being served.
pub(crate) fn take(machine: &mut Machine, request: Request) {
    match request {
        Request::Start { level, vmsa } => {
            linux::start_over(machine, level);
            leave(machine, ExitCode::INTR);
            if let Some(state) = machine.vcpu.levels.get_mut(usize::from(level)) {
                // The GHCB MSR is the vCPU's and stays: OVMF relies on it when it
                // starts a processor again.
                state.vmsa = Some(vmsa);
            }
            if let Err(reason) = enter(machine, level) {
                println!("VMPL{level} cannot be started from the VMSA at {vmsa:#x}: {reason:?}");
                machine.vcpu.waiting = Some(Waiting::Stopped);
            }
        }
        Request::Stop { level } => {
            if machine.vcpu.level == level && machine.vcpu.current().entered.is_some() {
                leave(machine, ExitCode::INTR);
                machine.vcpu.waiting = Some(Waiting::Stopped);
            }
            if let Some(state) = machine.vcpu.levels.get_mut(usize::from(level)) {
                state.vmsa = None;
            }
        }
    }
}

/// Stores the level of a vCPU that runs nothing now: its VMSA is not in use.
pub(crate) fn rest(machine: &mut Machine) {
    leave(machine, ExitCode::HLT);
}

/// Stores the running level with the exit that ends its run.
fn leave(machine: &mut Machine, code: ExitCode) {
    let Some(spa) = machine.vcpu.current().entered.take() else {
        return;
    };
    instructions::end(machine);
    vmsa::store(&mut machine.vcpu, spa, code.0);
    model::leave(machine.memory.rmp(), Spa(spa));
}

/// Switches to `level`. The caller's request is answered when its level is
/// asked for again; on failure it goes on at once.
pub(crate) fn run(machine: &mut Machine, level: u8) -> Result<(), CannotRun> {
    let from = machine.vcpu.level;
    let call = instructions::asked(machine, level);
    leave(machine, ExitCode::VMGEXIT);
    match enter(machine, level) {
        Ok(()) => {
            instructions::begin(machine, call);
            Ok(())
        }
        Err(reason) => {
            // The caller's own VMSA ran until now, so it can be entered again.
            if enter(machine, from).is_err() {
                return Err(CannotRun::Refused);
            }
            Err(reason)
        }
    }
}

/// What the AP creation exit asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Creation {
    pub(crate) apic_id: u32,
    pub(crate) vmpl: u64,
    pub(crate) operation: u16,
    pub(crate) vmsa: u64,
}

impl Creation {
    /// The request in the page. None: a field is missing.
    pub(crate) fn read(ghcb: &GhcbView) -> Option<Self> {
        let info1 = ghcb.get(GhcbField::EXIT_INFO1)?;
        Some(Self {
            apic_id: (info1 >> 32) as u32,
            vmpl: (info1 >> 16) & 0xf,
            operation: info1 as u16,
            vmsa: ghcb.get(GhcbField::EXIT_INFO2)?,
        })
    }

    /// Whether a VMSA is to be run.
    pub(crate) fn is_create(&self) -> bool {
        matches!(self.operation, AP_CREATE | AP_CREATE_ON_INIT)
    }
}

/// Serves the AP creation exit.
pub(crate) fn create(machine: &mut Machine, ghcb: &GhcbView) {
    let asked = Creation::read(ghcb);
    ghcb.begin_answer();
    match asked {
        None => ghcb.malformed(MalformedReason::MISSING_INPUT),
        Some(asked) => {
            if carry_out(machine, asked).is_none() {
                ghcb.malformed(MalformedReason::INVALID_INPUT);
            }
        }
    }
}

/// Does what AP creation asks. None: there is no such vCPU, level, page or operation.
pub(crate) fn carry_out(machine: &mut Machine, asked: Creation) -> Option<()> {
    let Creation { apic_id, vmsa, .. } = asked;
    let target = machine.host.apic_ids.iter().position(|&id| id == apic_id)?;
    let level = u8::try_from(asked.vmpl).ok().filter(|&level| level < 4)?;
    let own = target == machine.running;
    match asked.operation {
        // Its own level's VMSA is replaced when the level is entered next.
        AP_CREATE | AP_CREATE_ON_INIT if own && vmsa % 0x1000 == 0 => {
            machine.vcpu.levels[usize::from(level)].vmsa = Some(vmsa);
        }
        AP_CREATE if vmsa % 0x1000 == 0 => {
            machine.request(target, Request::Start { level, vmsa });
        }
        AP_DESTROY if own => machine.vcpu.levels[usize::from(level)].vmsa = None,
        // A host takes an IPI's time for it. This one's processors may be threads that wait for
        // their turn, so the exit ends only when the VMSA is no longer in use: OVMF takes no
        // second try when it cannot have it back.
        AP_DESTROY => {
            machine.request(target, Request::Stop { level });
            machine.vcpu.stopping = Some(target);
        }
        _ => return None,
    }
    Some(())
}
