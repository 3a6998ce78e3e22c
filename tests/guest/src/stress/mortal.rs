//! vCPUs whose VMSAs others make and delete, while they run and make calls of their own.
//!
//! Each of them has two VMSAs, so that one can be made beside the other, as Linux does. Who has the
//! vCPU's lock makes and deletes; who has not deletes as well, at the same time: one of them
//! succeeds. Nothing is deleted before it has run: the host would start what is no more.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use protocols::svsm::{CoreCall, SvsmResult};

use super::worker::{TALLY, Worker};
use super::{immortals, ordered};
use crate::arch::percpu::MAX_VCPUS;
use crate::check::{Outcome, holds};
use crate::playground::is_ordinary;
use crate::svsm::{self, UNKNOWN_CALL};
use crate::vcpus::{self, area_pages, vmsa_page};
use crate::{host, lives};

/// How often the end looks for what it waits for: minutes.
const TRIES: u64 = 1 << 34;
/// Longest time that a VMSA runs without an exit.
const SPINS: u64 = 20_000;

/// One of the VMSAs.
struct Life {
    /// It was made, and nobody has deleted it.
    alive: AtomicBool,
    /// It has made its first call.
    started: AtomicBool,
}

struct Mortal {
    locked: AtomicBool,
    lives: [Life; 2],
    births: AtomicU64,
}

static MORTALS: [Mortal; MAX_VCPUS] = [const {
    Mortal {
        locked: AtomicBool::new(false),
        lives: [const {
            Life {
                alive: AtomicBool::new(false),
                started: AtomicBool::new(false),
            }
        }; 2],
        births: AtomicU64::new(0),
    }
}; MAX_VCPUS];

/// No VMSA goes on with its calls.
static OVER: AtomicBool = AtomicBool::new(false);

/// Whether the mortals are to rest.
pub(super) fn is_over() -> bool {
    OVER.load(Ordering::SeqCst)
}

/// The entry of VMSAs that are to be refused.
pub(super) extern "C" fn never(argument: u64) -> ! {
    lives::never(argument)
}

/// Makes or deletes one of the VMSAs of one of the vCPUs.
pub(super) fn step(worker: &mut Worker) {
    let first = immortals();
    let count = vcpus::count() - first;
    if count == 0 {
        return;
    }
    let vcpu = first + worker.noise.below(count as u64) as usize;
    let which = worker.noise.below(2) as usize;
    let mortal = &MORTALS[vcpu];
    let life = &mortal.lives[which];
    if mortal.locked.swap(true, Ordering::SeqCst) {
        // Another vCPU may be deleting the same.
        if life.started.load(Ordering::SeqCst) {
            delete(worker, vcpu, which);
        }
        return;
    }
    if life.alive.load(Ordering::SeqCst) {
        if life.started.load(Ordering::SeqCst) && delete(worker, vcpu, which) {
            let [first, second] = area_pages(vcpu, which);
            for page in [vmsa_page(vcpu, which), first, second] {
                worker.holds("deleted VMSA/is ordinary memory", is_ordinary(page).is_ok());
            }
        }
    } else {
        create(worker, vcpu, which);
    }
    mortal.locked.store(false, Ordering::SeqCst);
}

fn create(worker: &mut Worker, vcpu: usize, which: usize) {
    let mortal = &MORTALS[vcpu];
    let (life, other) = (&mortal.lives[which], &mortal.lives[1 - which]);
    if other.alive.load(Ordering::SeqCst) && !other.started.load(Ordering::SeqCst) {
        // It would never start: this one would take its place.
        return;
    }
    life.started.store(false, Ordering::SeqCst);
    life.alive.store(true, Ordering::SeqCst);
    let birth = mortal.births.fetch_add(1, Ordering::SeqCst);
    let argument = birth << 32 | (which as u64) << 16 | vcpu as u64;
    let reply = vcpus::create(vcpu, which, born, argument);
    worker.expect("a VMSA is made", reply, &[SvsmResult::SUCCESS]);
    worker.holds("AP creation", vcpus::run(vcpu, which));
    TALLY.created.fetch_add(1, Ordering::Relaxed);
}

/// DELETE_VCPU; whether it was this call that did it.
fn delete(worker: &mut Worker, vcpu: usize, which: usize) -> bool {
    let page = vmsa_page(vcpu, which);
    let reply = worker.core(CoreCall::DELETE_VCPU, page.gpa().get());
    let allowed = [
        SvsmResult::SUCCESS,
        SvsmResult::CORE_FAIL_INUSE,
        SvsmResult::INVALID_PARAMETER,
    ];
    worker.expect("a VMSA is deleted", reply, &allowed);
    let life = &MORTALS[vcpu].lives[which];
    if reply.result.is_success() {
        life.started.store(false, Ordering::SeqCst);
        let was_alive = life.alive.swap(false, Ordering::SeqCst);
        worker.holds("a VMSA is deleted once", was_alive);
        TALLY.deleted.fetch_add(1, Ordering::Relaxed);
    }
    reply.result.is_success()
}

/// The first steps of such a VMSA.
extern "C" fn born(argument: u64) -> ! {
    let (vcpu, which) = ((argument & 0xffff) as usize, (argument >> 16 & 1) as usize);
    let registered = vcpus::begin(vcpu, which);
    let mut worker = Worker::mortal(vcpu, which, argument >> 32, ordered());
    if !registered {
        worker.fail("GHCB registration", 0);
    }
    let reply = worker.call(UNKNOWN_CALL, [0; 4]);
    worker.expect("the first call", reply, &[SvsmResult::UNSUPPORTED_CALL]);
    MORTALS[vcpu].lives[which]
        .started
        .store(true, Ordering::SeqCst);
    worker.work();
    host::rest()
}

/// What only such a VMSA does: it runs for a while, or moves its calling area.
pub(super) fn live(worker: &mut Worker) {
    if worker.noise.one_in(2) {
        let spins = worker.noise.below(SPINS);
        (0..spins).for_each(|_| core::hint::spin_loop());
        return;
    }
    let areas = area_pages(worker.vcpu, worker.life);
    let to = worker.noise.of_these(areas).gpa().get();
    let reply = worker.core(CoreCall::REMAP_CA, to);
    worker.expect("remap_ca to an own page", reply, &[SvsmResult::SUCCESS]);
    svsm::use_calling_area(to);
}

/// Deletes what is left of them.
pub(super) fn end() -> Outcome {
    OVER.store(true, Ordering::SeqCst);
    let mortals = MORTALS.iter().enumerate().take(vcpus::count());
    for (vcpu, mortal) in mortals.skip(immortals()) {
        for (which, life) in mortal.lives.iter().enumerate() {
            let gone = (0..TRIES).any(|_| is_gone(vcpu, which, life));
            holds("a VMSA that rests can be deleted", gone)?;
            is_ordinary(vmsa_page(vcpu, which))?;
        }
    }
    Ok(())
}

fn is_gone(vcpu: usize, which: usize, life: &Life) -> bool {
    core::hint::spin_loop();
    if !life.alive.load(Ordering::SeqCst) {
        return true;
    }
    if !life.started.load(Ordering::SeqCst) {
        return false;
    }
    let page = vmsa_page(vcpu, which).gpa().get();
    svsm::core(CoreCall::DELETE_VCPU, page).result.is_success()
}
