//! The stress mode: all vCPUs make random calls for a bounded count, and each answer has to be one
//! that the protocol allows then.
//!
//! It is asked for by a file of QEMU's fw_cfg, `opt/rampart/test-guest`, with the text
//! `stress=SEED:CALLS`: a number to start from and how many steps each vCPU takes. Both are printed,
//! so that a failure can be tried again; what each vCPU does follows from the seed, and how they
//! meet does not.
//!
//! | part | whose | what is certain |
//! |---|---|---|
//! | [`exact`] | each vCPU's | calls whose answer no other vCPU can change |
//! | [`open`] | nobody's: pages that all validate and rescind, make calling areas of, and name as VMSAs | which answers can be |
//! | [`owned`] | areas of 2 MiB that one vCPU locks for some steps | every answer, and the content of every page |
//! | [`gifts`] | the firmware's for a while: DEPOSIT_MEM and WITHDRAW_MEM | each page comes back once, to anybody, as zero |
//! | [`mortal`] | the last quarter of the vCPUs: others make them, start them and delete them while they run | a VMSA is deleted once, and its page is ordinary memory then |
//!
//! The pages that anybody may rescind at any time are not touched: that would end any guest.

mod exact;
mod gifts;
mod mortal;
mod open;
mod owned;
mod worker;

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use protocols::addr::PAGE_2M;

use crate::check::{Outcome, report};
use crate::console::println;
use crate::{host, lives, vcpus};
use worker::{Tally, Worker};

/// The file that asks for it.
const FILE: &str = "opt/rampart/test-guest";

/// Areas of 2 MiB behind the vCPUs' own memory.
const OPEN_AREAS: u64 = 2;
const OWNED_AREAS: u64 = 8;
const OPEN: u64 = vcpus::REST;
const OWNED: u64 = OPEN + OPEN_AREAS * PAGE_2M;
const GIFTS: u64 = OWNED + OWNED_AREAS * PAGE_2M;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    seed: u64,
    /// Steps of each vCPU. Most steps are one call.
    steps: u64,
}

/// What the person who launched this guest has asked for, if anything.
#[inline(never)]
pub(crate) fn order() -> Option<Order> {
    let mut text = [0; 64];
    let length = host::read_file(FILE, &mut text)?;
    let text = core::str::from_utf8(&text[..length]).ok()?;
    let (seed, steps) = text.trim().strip_prefix("stress=")?.split_once(':')?;
    Some(Order {
        seed: seed.parse().ok()?,
        steps: steps.parse().ok()?,
    })
}

/// vCPUs that are done with their steps.
static DONE: AtomicUsize = AtomicUsize::new(0);
/// [`Order`], set before any other vCPU runs.
static SEED: AtomicU64 = AtomicU64::new(0);
static STEPS: AtomicU64 = AtomicU64::new(0);

/// What was asked for, as the other vCPUs find it.
fn ordered() -> Order {
    Order {
        seed: SEED.load(Ordering::SeqCst),
        steps: STEPS.load(Ordering::SeqCst),
    }
}

/// How many of the vCPUs live from the start to the end; the others are made and deleted.
fn immortals() -> usize {
    match vcpus::count() {
        1 => 1,
        count => count - (count / 4).max(1),
    }
}

/// Runs it, on the vCPU that the launch made.
pub(crate) fn run(order: Order) -> ! {
    let Order { seed, steps } = order;
    let (count, workers) = (vcpus::count(), immortals());
    println!("stress: seed {seed}, {steps} steps on each of {count} vCPUs");
    SEED.store(seed, Ordering::SeqCst);
    STEPS.store(steps, Ordering::SeqCst);
    let memory = vcpus::open()
        .and_then(|()| open::open())
        .and_then(|()| gifts::open());
    report("stress/memory", memory);
    for vcpu in 1..workers {
        let started = vcpus::start(vcpu, 0, other, vcpu as u64);
        report("stress/a vCPU is started", started);
    }
    Worker::immortal(0, order).work();
    while DONE.load(Ordering::SeqCst) < workers - 1 {
        core::hint::spin_loop();
    }
    report("stress/the others can be deleted", mortal::end());
    report("stress/what is left", what_is_left());
    println!("stress: {}", Tally::all());
    lives::finish()
}

/// The first steps of the other vCPUs.
extern "C" fn other(vcpu: u64) -> ! {
    let vcpu = vcpu as usize;
    let registered = vcpus::begin(vcpu, 0);
    let mut worker = Worker::immortal(vcpu, ordered());
    if !registered {
        worker.fail("GHCB registration", 0);
    }
    worker.work();
    DONE.fetch_add(1, Ordering::SeqCst);
    host::rest()
}

/// When only one vCPU runs, every answer is certain again.
fn what_is_left() -> Outcome {
    open::close()?;
    gifts::close()?;
    owned::close()
}
