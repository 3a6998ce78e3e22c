//! How many instructions VMPL0 spends on a call of its guest.
//!
//! Only for the calls that the option `count_instructions` names. From the entry of
//! VMPL0 that the call asked for to the next entry of a lower level, VMPL0 is
//! single-stepped: every instruction ends in a #DB exit, but for those that leave
//! by themselves (PVALIDATE, RMPADJUST, WRMSR, VMGEXIT). A repeated string
//! instruction counts once, however many steps it takes. All other runs are as if
//! this file did not exist.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::mem::offset_of;

use protocols::addr::{PAGE_4K, PageSize};
use protocols::ghcb::ExitCode;
use protocols::snp::Vmsa;
use protocols::svsm::{
    CoreCall, ProtocolId, PvalidateEntry, PvalidateHeader, Request, VtpmCall, VtpmRequest,
};

use crate::machine::Machine;
use crate::mem::phys;
use crate::processor::exit::{EXIT_DB, EXIT_UD};
use crate::processor::intercepts;
use crate::processor::vmcb::{Vmcb, control, save};

/// No instruction pointer: no two steps can end there.
const NOWHERE: u64 = u64::MAX;

/// The pages that a PVALIDATE list names from its `next` on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Pages {
    /// To validate: of 4 KiB, of 2 MiB.
    validate: [u16; 2],
    /// To rescind.
    rescind: [u16; 2],
}

/// What was asked and how it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    protocol: u32,
    call: u32,
    pages: Pages,
    /// The TPM command of a call of the vTPM protocol, otherwise 0.
    tpm_command: u32,
    /// RAX afterwards: the result, or still the request if there was none.
    result: u64,
}

#[derive(Clone, Copy, Debug)]
struct Spent {
    count: u64,
    min: u64,
    max: u64,
}

/// A call that VMPL0 serves now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnderWay {
    call: Call,
    /// System address of the caller's VMSA, where the result will be.
    caller: u64,
    instructions: u64,
    /// Where the last step ended.
    rip: u64,
    /// VMPL0's own DR6: steps leave their mark there.
    dr6: u64,
}

/// The counts of a run.
#[derive(Clone, Debug)]
pub(crate) struct Instructions {
    /// {protocol, call} of those to count.
    wanted: Vec<(u32, u32)>,
    /// By vCPU.
    under_way: BTreeMap<usize, UnderWay>,
    calls: BTreeMap<Call, Spent>,
}

/// The running level is about to give way to `level`: what it asks for, if that is
/// VMPL0 and instructions are counted.
pub(crate) fn asked(machine: &mut Machine, level: u8) -> Option<UnderWay> {
    let wanted = &machine.stats.instructions.as_ref()?.wanted;
    let caller = machine.vcpu.current().entered?;
    if level != 0 || machine.vcpu.level == 0 {
        return None;
    }
    let rax: u64 = machine.vcpu.vmcb.get(save::RAX);
    let request = Request::from_rax(rax);
    if !wanted.contains(&(request.protocol.0, request.call)) {
        return None;
    }
    let is_list =
        request.protocol == ProtocolId::CORE && CoreCall(request.call) == CoreCall::PVALIDATE;
    let is_command =
        request.protocol == ProtocolId::VTPM && VtpmCall(request.call) == VtpmCall::CMD;
    let tpm_command = is_command
        .then(|| tpm_command(machine))
        .flatten()
        .unwrap_or_default();
    if MAKES_KEYS.contains(&tpm_command) {
        return None;
    }
    let call = Call {
        protocol: request.protocol.0,
        call: request.call,
        pages: is_list
            .then(|| pages_of_list(machine))
            .flatten()
            .unwrap_or_default(),
        tpm_command,
        result: 0,
    };
    Some(UnderWay {
        call,
        caller,
        instructions: 0,
        rip: NOWHERE,
        dr6: 0,
    })
}

/// The pages of the list that RCX points to. None: there is no proper list.
fn pages_of_list(machine: &Machine) -> Option<Pages> {
    let list = machine.vcpu.gprs.rcx;
    let at = machine.memory.spa(list)?;
    let entries: u16 = phys::read(at + offset_of!(PvalidateHeader, entries) as u64);
    let next: u16 = phys::read(at + offset_of!(PvalidateHeader, next) as u64);
    let header = PvalidateHeader::new(entries);
    if list % PAGE_4K + header.list_bytes() > PAGE_4K || !list.is_multiple_of(8) {
        return None;
    }
    let mut pages = Pages::default();
    for index in next..entries {
        let entry = PvalidateEntry(phys::read(at + PvalidateHeader::entry_offset(index)));
        let counts = if entry.validate() {
            &mut pages.validate
        } else {
            &mut pages.rescind
        };
        match entry.size()? {
            PageSize::Size4K => counts[0] += 1,
            PageSize::Size2M => counts[1] += 1,
        }
    }
    Some(pages)
}

/// TPM2_CreatePrimary, Create and CreateLoaded: too many instructions for single steps, and another
/// number of them for each key.
const MAKES_KEYS: [u32; 3] = [0x131, 0x153, 0x191];

/// The code of the TPM command in the buffer that RCX points to. None: there is none.
fn tpm_command(machine: &Machine) -> Option<u32> {
    /// Where the code is in a command.
    const CODE: usize = 6;
    let buffer = machine.vcpu.gprs.rcx;
    let at = machine.memory.spa(buffer)?;
    if !buffer.is_multiple_of(PAGE_4K) {
        return None;
    }
    let at = at + (size_of::<VtpmRequest>() + CODE) as u64;
    let code = [0, 1, 2, 3].map(|byte| phys::read::<u8>(at + byte));
    Some(u32::from_be_bytes(code))
}

/// VMPL0 was entered for this call.
pub(crate) fn begin(machine: &mut Machine, call: Option<UnderWay>) {
    let (Some(instructions), Some(mut call)) = (&mut machine.stats.instructions, call) else {
        return;
    };
    call.dr6 = machine.vcpu.vmcb.get(save::DR6);
    instructions.under_way.insert(machine.running, call);
    intercepts::set_stepping(&mut machine.vcpu.vmcb, true);
}

/// The running level is left, and its registers are about to be stored.
pub(crate) fn end(machine: &mut Machine) {
    let Some(instructions) = &mut machine.stats.instructions else {
        return;
    };
    let Some(mut done) = instructions.under_way.remove(&machine.running) else {
        return;
    };
    stop(&mut machine.vcpu.vmcb, &done);
    done.call.result = phys::read(done.caller + offset_of!(Vmsa, rax) as u64);
    let spent = instructions.calls.entry(done.call).or_insert(Spent {
        count: 0,
        min: u64::MAX,
        max: 0,
    });
    spent.count += 1;
    spent.min = spent.min.min(done.instructions);
    spent.max = spent.max.max(done.instructions);
}

fn stop(vmcb: &mut Vmcb, call: &UnderWay) {
    intercepts::set_stepping(vmcb, false);
    vmcb.set(save::DR6, call.dr6);
}

/// Counts an exit of VMPL0. `true` if it was a step and nothing else.
pub(crate) fn stepped(machine: &mut Machine, code: u64) -> bool {
    let Some(instructions) = &mut machine.stats.instructions else {
        return false;
    };
    let Some(call) = instructions.under_way.get_mut(&machine.running) else {
        return false;
    };
    let vmcb = &mut machine.vcpu.vmcb;
    match ExitCode(code) {
        _ if code == EXIT_DB => {
            let rip = vmcb.rip();
            call.instructions += u64::from(rip != call.rip);
            call.rip = rip;
            vmcb.set(control::EVENT_INJ, 0u64);
            // The instruction may have been POPF.
            intercepts::set_stepping(vmcb, true);
            return true;
        }
        // The machine executes it, and moves past it.
        ExitCode::VMMCALL | ExitCode::MSR => {
            call.instructions += 1;
            call.rip = NOWHERE;
        }
        _ if code == EXIT_UD => {
            call.instructions += 1;
            call.rip = NOWHERE;
        }
        // Executed again, or not the level's own doing.
        ExitCode::NPF | ExitCode::NMI => {}
        // Exceptions end stepping; a count with a gap would be a lie.
        _ => {
            stop(vmcb, call);
            instructions.under_way.remove(&machine.running);
        }
    }
    false
}

impl Instructions {
    /// Counts for these calls; nothing to do for none.
    pub(super) fn new(wanted: &[(u32, u32)]) -> Option<Self> {
        (!wanted.is_empty()).then(|| Self {
            wanted: wanted.to_vec(),
            under_way: BTreeMap::new(),
            calls: BTreeMap::new(),
        })
    }

    /// A JSON list with an object for each kind of call.
    pub(super) fn write_json(&self, out: &mut impl Write) -> fmt::Result {
        write!(out, "[")?;
        for (position, (call, spent)) in self.calls.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            let Call {
                protocol,
                call,
                pages: Pages { validate, rescind },
                tpm_command,
                result,
            } = call;
            let Spent { count, min, max } = spent;
            write!(
                out,
                "{comma}\n  {{\"protocol\": {protocol}, \"call\": {call}, \"tpm_command\": {tpm_command}, \"result\": {result}, \
                 \"validate\": {{\"4k\": {}, \"2m\": {}}}, \"rescind\": {{\"4k\": {}, \"2m\": {}}}, \
                 \"count\": {count}, \"instructions_min\": {min}, \"instructions_max\": {max}}}",
                validate[0], validate[1], rescind[0], rescind[1]
            )?;
        }
        write!(out, "\n ]")
    }
}
