//! A host that changes shared pages while they are being read or written.
//!
//! On silicon another processor of the host does that at any time. Here the page
//! is taken out of the nested tables, so that every access to it faults; the
//! access is let through alone, by a single step, and the page taken away again.
//! So the host knows what was accessed, in which order, and can change it in between.

use alloc::boxed::Box;
use alloc::vec::Vec;

use snp_scenario::Due;

use crate::machine::Machine;
use crate::mem::phys;
use crate::processor::intercepts;
use crate::processor::npt::C_MASK;
use crate::processor::vmcb::{control, save};
use crate::report::invariants::Invariants;

const PAGE: u64 = 0x1000;
const FIELD: u64 = 8;
const INFO_WRITE: u64 = 1 << 1;

/// What scribbling does to a byte.
const SCRIBBLE: u8 = 0x01;

/// The pages that are watched.
#[derive(Default)]
pub(crate) struct Watch {
    pages: Vec<Watched>,
    /// DR6 while the guest is stepped through: a step leaves its mark there.
    stepping: Option<u64>,
    /// Bytes to be changed after the step: system addresses.
    scribbles: Vec<u64>,
}

/// Until when a page is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// The next exit.
    Exit,
    /// The next guest request that the page is for.
    Message,
}

struct Watched {
    gpa: u64,
    spa: u64,
    until: Until,
    traps: Vec<Trap>,
}

struct Trap {
    due: Due,
    kind: Kind,
}

pub(super) enum Kind {
    /// A field changes once it has been read; last is the highest offset inside it
    /// that was read.
    Flip {
        offset: u64,
        value: u64,
        last: Option<u64>,
        done: bool,
    },
    /// No byte may be read twice: offsets at which a read began.
    Count { read: Box<[bool]> },
    /// What is written changes at once, and nothing may be read.
    Scribble { written: bool },
}

impl Kind {
    /// The 8 bytes change once they are read.
    pub(super) fn flip(offset: u16, value: u64) -> Self {
        Self::Flip {
            offset: offset.into(),
            value,
            last: None,
            done: false,
        }
    }

    /// Each byte may be read once.
    pub(super) fn count() -> Self {
        Self::Count {
            read: alloc::vec![false; PAGE as usize].into_boxed_slice(),
        }
    }

    /// Whether the guest has done what the lie is about.
    fn is_told(&self) -> bool {
        match self {
            Self::Flip { last, .. } => last.is_some(),
            Self::Count { read } => read.iter().any(|&read| read),
            Self::Scribble { written } => *written,
        }
    }
}

/// Watches the shared page at `gpa`, which the host has at `spa`.
pub(super) fn add(machine: &mut Machine, gpa: u64, spa: u64, until: Until, due: Due, kind: Kind) {
    let pages = &mut machine.scenario.watch.pages;
    let trap = Trap { due, kind };
    let known = pages
        .iter_mut()
        .find(|page| page.gpa == gpa && page.until == until);
    match known {
        Some(page) => page.traps.push(trap),
        None => pages.push(Watched {
            gpa,
            spa,
            until,
            traps: alloc::vec![trap],
        }),
    }
    take_away(machine);
}

/// Makes every access to the pages fault again.
fn take_away(machine: &mut Machine) {
    let pages = machine.scenario.watch.pages.iter();
    machine.memory.watch(pages.map(|page| page.gpa).collect());
}

/// The guest makes its next request: what it was answered is no longer of use to it.
pub(super) fn request_made(machine: &mut Machine) {
    end(machine, |page| page.until == Until::Exit);
}

/// The guest makes a guest request with the request page `gpa`.
pub(super) fn message_made(machine: &mut Machine, gpa: u64) {
    end(machine, |page| {
        page.until == Until::Message && page.gpa == gpa
    });
}

fn end(machine: &mut Machine, is_over: impl Fn(&Watched) -> bool) {
    let watch = &mut machine.scenario.watch;
    let ended: Vec<_> = watch.pages.extract_if(.., |page| is_over(page)).collect();
    if ended.is_empty() {
        return;
    }
    let stepping = watch.stepping.take();
    watch.scribbles.clear();
    end_step(machine, stepping);
    take_away(machine);
    for trap in ended.iter().flat_map(|page| &page.traps) {
        if trap.kind.is_told() {
            machine.scenario.told(trap.due);
        }
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
    let watch = &mut scenario.watch;
    let address: u64 = vcpu.vmcb.get(control::EXIT_INFO2);
    let info: u64 = vcpu.vmcb.get(control::EXIT_INFO1);
    let mut watched = false;
    for page in &mut watch.pages {
        if address & C_MASK != 0 || address & !(PAGE - 1) != page.gpa {
            continue;
        }
        watched = true;
        let access = Fault {
            level: vcpu.level,
            spa: page.spa,
            at: address % PAGE,
            write: info & INFO_WRITE != 0,
        };
        for trap in &mut page.traps {
            watch.scribbles.extend(access.meets(trap, invariants));
        }
    }
    if watched && watch.stepping.is_none() {
        watch.stepping = Some(vcpu.vmcb.get(save::DR6));
        intercepts::set_stepping(&mut vcpu.vmcb, true);
    }
}

/// An access to a watched page.
struct Fault {
    level: u8,
    spa: u64,
    at: u64,
    write: bool,
}

impl Fault {
    /// What comes of it. Some: the byte to be changed once the access is done.
    fn meets(&self, trap: &mut Trap, invariants: &mut Invariants) -> Option<u64> {
        let &Fault {
            level,
            spa,
            at,
            write,
        } = self;
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
                            phys::write(spa + *offset, *value);
                        }
                        *done = true;
                    }
                    _ if inside && !write => *last = Some(at),
                    _ => {}
                }
                None
            }
            Kind::Count { read } => {
                let slot = read.get_mut(at as usize).filter(|_| !write);
                if slot.is_some_and(|slot| core::mem::replace(slot, true)) {
                    invariants.violated(format_args!(
                        "VMPL{level} read byte {at:#x} of one answer twice"
                    ));
                }
                None
            }
            Kind::Scribble { written } if write => {
                *written = true;
                Some(spa + at)
            }
            Kind::Scribble { .. } => {
                invariants.violated(format_args!(
                    "VMPL{level} read byte {at:#x} of its request from shared memory"
                ));
                None
            }
        }
    }
}

/// The stepped instruction is done.
pub(crate) fn stepped(machine: &mut Machine) {
    let watch = &mut machine.scenario.watch;
    let stepping = watch.stepping.take();
    for spa in core::mem::take(&mut watch.scribbles) {
        phys::write(spa, phys::read::<u8>(spa) ^ SCRIBBLE);
    }
    end_step(machine, stepping);
    if !machine.scenario.watch.pages.is_empty() {
        take_away(machine);
    }
}

fn end_step(machine: &mut Machine, dr6: Option<u64>) {
    if let Some(dr6) = dr6 {
        intercepts::set_stepping(&mut machine.vcpu.vmcb, false);
        machine.vcpu.vmcb.set(save::DR6, dr6);
    }
}
