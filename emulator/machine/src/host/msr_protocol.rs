//! The GHCB MSR protocol, the host's side.

use protocols::addr::{Gpa, GpaPage};
use protocols::ghcb::msr::{CpuidRegister, MsrRequest, MsrResponse, MsrValue};
use protocols::ghcb::psc::PscEntry;
use protocols::ghcb::termination::Termination;

use super::levels;
use super::page_state;
use super::vmgexit::{Ended, Next};
use crate::machine::Machine;
use crate::processor::vcpu::Waiting;

/// Serves a VMGEXIT whose GHCB MSR holds a request.
pub(crate) fn serve(machine: &mut Machine, value: u64) -> Next {
    machine
        .stats
        .vmgexit(machine.vcpu.level, true, value & 0xfff);
    let response = match MsrRequest::decode(MsrValue(value)) {
        MsrRequest::SevInfo => MsrResponse::SevInfo {
            max_version: machine.host.ghcb_versions.1,
            min_version: machine.host.ghcb_versions.0,
            c_bit: machine.host.c_bit,
        },
        MsrRequest::Cpuid { function, register } => {
            let found = machine.cpuid(function, 0);
            let value = match register {
                CpuidRegister::Eax => found.eax,
                CpuidRegister::Ebx => found.ebx,
                CpuidRegister::Ecx => found.ecx,
                CpuidRegister::Edx => found.edx,
            };
            MsrResponse::Cpuid { value, register }
        }
        MsrRequest::HvFeatures => MsrResponse::HvFeatures(machine.host.features),
        MsrRequest::PreferredGpa => MsrResponse::PreferredGpa { gfn: None },
        MsrRequest::RegisterGpa { gfn } => {
            let gpa = gfn << 12;
            let accepted = machine.memory.is_memory(gpa);
            if accepted {
                machine.vcpu.current().registered_ghcb = Some(gpa);
            }
            MsrResponse::RegisterGpa {
                gfn: accepted.then_some(gfn),
            }
        }
        MsrRequest::PageStateChange { gfn, operation } => {
            let entry = Gpa::from_pfn(gfn)
                .and_then(GpaPage::new_4k)
                .and_then(|page| PscEntry::new(page, operation));
            let changed = entry.is_some_and(|entry| {
                page_state::change(&mut machine.memory, &mut machine.stats, entry).is_ok()
            });
            MsrResponse::PageStateChange {
                error: u32::from(!changed),
            }
        }
        MsrRequest::RunVmpl { vmpl } => {
            // Answered when this level is asked for again.
            let done = MsrResponse::RunVmpl { error: 0 }.encode();
            machine.vcpu.current().ghcb_msr = done.0;
            return match levels::run(machine, vmpl) {
                Ok(()) => Next::Resume,
                Err(_) => {
                    let refused = MsrResponse::RunVmpl { error: 1 }.encode();
                    machine.vcpu.current().ghcb_msr = refused.0;
                    Next::Resume
                }
            };
        }
        MsrRequest::Terminate(Termination { set, code }) => {
            return Next::End(Ended::Terminated {
                set,
                code,
                mask: None,
            });
        }
        MsrRequest::ApResetHold => {
            machine.vcpu.waiting = Some(Waiting::ResetHold);
            MsrResponse::ApResetHold { woken: true }
        }
        MsrRequest::Other(value) => return Next::End(Ended::UnknownMsrRequest(value)),
    };
    machine.vcpu.current().ghcb_msr = response.encode().0;
    Next::Resume
}
