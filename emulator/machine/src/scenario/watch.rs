//! A host that changes the answer while it is being read.
//!
//! On silicon another processor of the host does that at any time. Here the page
//! is taken out of the nested tables, so that every access to it faults; the
//! access is let through alone, by a single step, and the page taken away again.
//! So the host knows what was read, in which order, and can change it in between.

use alloc::boxed::Box;
use alloc::vec::Vec;

use snp_scenario::{Due, GhcbLie};

use crate::host::ghcb::GhcbView;
use crate::machine::Machine;
use crate::mem::phys;
use crate::processor::intercepts;
use crate::processor::npt::C_MASK;
use crate::processor::vmcb::{control, save};

const PAGE: u64 = 0x1000;
const FIELD: u64 = 8;
const INFO_WRITE: u64 = 1 << 1;

/// A watched page, from an answer to the next request.
pub(crate) struct Watch {
    gpa: u64,
    spa: u64,
    traps: Vec<Trap>,
    /// DR6 while the guest is stepped through: a step leaves its mark there.
    stepping: Option<u64>,
}

struct Trap {
    due: Due,
    kind: Kind,
}

enum Kind {
    /// `flip`: last is the highest offset inside the field that was read.
    Flip {
        offset: u64,
        value: u64,
        last: Option<u64>,
        done: bool,
    },
    /// `watch`: offsets at which a read began.
    Count { read: Box<[bool]> },
}

/// Watches the answer that is in `page` now.
pub(super) fn add(machine: &mut Machine, page: &GhcbView, due: Due, lie: GhcbLie) {
    let kind = match lie {
        GhcbLie::Flip { offset, value } => Kind::Flip {
            offset: offset.into(),
            value,
            last: None,
            done: false,
        },
        _ => Kind::Count {
            read: alloc::vec![false; PAGE as usize].into_boxed_slice(),
        },
    };
    let watch = machine.scenario.watch.get_or_insert_with(|| Watch {
        gpa: page.gpa(),
        spa: page.system_address(0),
        traps: Vec::new(),
        stepping: None,
    });
    watch.traps.push(Trap { due, kind });
    machine.memory.watch(Some(watch.gpa));
}

/// The guest makes its next request: the answer is no longer of use to it.
pub(super) fn request_made(machine: &mut Machine) {
    if let Some(watch) = machine.scenario.watch.take() {
        end_step(machine, watch.stepping);
        machine.memory.watch(None);
        for trap in watch.traps {
            settle(machine, &trap);
        }
    }
}

/// A trap's answer has been read to its end.
fn settle(machine: &mut Machine, trap: &Trap) {
    let read = match &trap.kind {
        Kind::Flip { last, .. } => last.is_some(),
        Kind::Count { read } => read.iter().any(|&read| read),
    };
    if read {
        machine.scenario.told(trap.due);
    }
}

/// A nested page fault, before it is resolved.
pub(crate) fn faulted(machine: &mut Machine) {
    let Machine {
        vcpu,
        scenario,
        invariants,
        ..
    } = machine;
    let Some(watch) = &mut scenario.watch else {
        return;
    };
    let address: u64 = vcpu.vmcb.get(control::EXIT_INFO2);
    let info: u64 = vcpu.vmcb.get(control::EXIT_INFO1);
    if address & C_MASK != 0 || address & !(PAGE - 1) != watch.gpa {
        return;
    }
    let at = address % PAGE;
    let write = info & INFO_WRITE != 0;
    for trap in &mut watch.traps {
        match &mut trap.kind {
            Kind::Flip {
                offset,
                value,
                last,
                done,
            } => {
                let inside = *offset <= at && at < *offset + FIELD;
                match *last {
                    // Read to its end, and now something else or once more.
                    Some(before) if !*done && (!inside || at <= before) => {
                        if !write {
                            phys::write(watch.spa + *offset, *value);
                        }
                        *done = true;
                    }
                    _ if inside && !write => *last = Some(at),
                    _ => {}
                }
            }
            Kind::Count { read } => {
                let slot = read.get_mut(at as usize).filter(|_| !write);
                if slot.is_some_and(|slot| core::mem::replace(slot, true)) {
                    invariants.violated(format_args!(
                        "VMPL{} read byte {at:#x} of one answer in its GHCB twice",
                        vcpu.level
                    ));
                }
            }
        }
    }
    if watch.stepping.is_none() {
        watch.stepping = Some(vcpu.vmcb.get(save::DR6));
        intercepts::set_stepping(&mut vcpu.vmcb, true);
    }
}

/// The stepped instruction is done.
pub(crate) fn stepped(machine: &mut Machine) {
    let stepping = match &mut machine.scenario.watch {
        Some(watch) => watch.stepping.take(),
        None => None,
    };
    end_step(machine, stepping);
    if let Some(watch) = &machine.scenario.watch {
        machine.memory.watch(Some(watch.gpa));
    }
}

fn end_step(machine: &mut Machine, dr6: Option<u64>) {
    if let Some(dr6) = dr6 {
        intercepts::set_stepping(&mut machine.vcpu.vmcb, false);
        machine.vcpu.vmcb.set(save::DR6, dr6);
    }
}
