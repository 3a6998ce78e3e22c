//! One vCPU's steps.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use protocols::svsm::{CoreCall, Request, SvsmResult};

use super::{Order, exact, gifts, mortal, open, owned};
use crate::checks::unusable;
use crate::console::println;
use crate::end::{self, Reason};
use crate::noise::Noise;
use crate::svsm::{self, Reply, Transport};

/// How often a vCPU that another may take the VMSA away from repeats a call that was not taken.
const TRIES: usize = 100_000;

/// Who steps.
pub(super) struct Worker {
    pub(super) vcpu: usize,
    /// Which of the vCPU's two VMSAs.
    pub(super) life: usize,
    /// Others may take its place, or delete it.
    pub(super) mortal: bool,
    pub(super) noise: Noise,
    /// Addresses that no call may take.
    pub(super) unusable: [u64; 8],
    /// The page of the open ones that is its calling area.
    pub(super) claim: Option<u64>,
    steps: u64,
    /// The step that it is at.
    step: u64,
}

impl Worker {
    /// A vCPU that lives to the end.
    pub(super) fn immortal(vcpu: usize, order: Order) -> Self {
        Self {
            vcpu,
            life: 0,
            mortal: false,
            noise: Noise::of(order.seed, vcpu as u64),
            unusable: unusable::pages().map(|(_, gpa)| gpa),
            claim: None,
            steps: order.steps,
            step: 0,
        }
    }

    /// A VMSA that others delete. `birth` tells its lives apart.
    pub(super) fn mortal(vcpu: usize, life: usize, birth: u64, order: Order) -> Self {
        let mut worker = Self::immortal(vcpu, order);
        worker.life = life;
        worker.mortal = true;
        worker.noise = Noise::of(order.seed, vcpu as u64 + (birth << 8));
        worker.steps = worker.noise.below(order.steps.min(400) + 1);
        worker
    }

    /// All of its steps.
    pub(super) fn work(&mut self) {
        while self.step < self.steps && !(self.mortal && mortal::is_over()) {
            self.step += 1;
            match self.noise.below(100) {
                0..20 => exact::step(self),
                20..50 => open::pvalidate(self),
                _ if self.mortal => mortal::live(self),
                50..78 => owned::step(self),
                78..87 => open::remap_ca(self),
                87..90 => open::create_vcpu(self),
                90..94 => gifts::step(self),
                _ => mortal::step(self),
            }
        }
    }

    /// Makes a call by either way until it is done.
    pub(super) fn call(&mut self, request: Request, arguments: [u64; 4]) -> Reply {
        let transport = match self.noise.one_in(4) {
            true => Transport::Page,
            false => Transport::Msr,
        };
        for _ in 0..TRIES {
            let reply = svsm::call_by(transport, request, arguments);
            // Who has lost its vCPU to another VMSA may still be run, and is not heard.
            if reply.pending == 0 {
                TALLY.count(reply.result);
                return reply;
            }
            if !self.mortal || reply.pending != 1 {
                self.fail("call_pending after the call", reply.pending.into());
            }
        }
        self.fail("a call that is never taken", request.rax())
    }

    /// A core call with one argument.
    pub(super) fn core(&mut self, call: CoreCall, rcx: u64) -> Reply {
        self.call(Request::core(call), [rcx, 0, 0, 0])
    }

    /// Ends the guest unless the result is one of these.
    pub(super) fn expect(&self, what: &str, reply: Reply, allowed: &[SvsmResult]) {
        if !allowed.contains(&reply.result) {
            self.fail(what, reply.result.0);
        }
    }

    /// Ends the guest unless this holds.
    pub(super) fn holds(&self, what: &str, holds: bool) {
        if !holds {
            self.fail(what, 0);
        }
    }

    /// Ends the guest: nothing after this would mean anything.
    pub(super) fn fail(&self, what: &str, got: u64) -> ! {
        let Self {
            vcpu, life, step, ..
        } = self;
        println!("FAIL stress/{what}: got {got:#x} (vCPU {vcpu}, VMSA {life}, step {step})");
        end::terminate(Reason::ChecksFailed)
    }
}

/// What came of the calls of all vCPUs.
pub(super) struct Tally {
    calls: AtomicU64,
    successes: AtomicU64,
    /// FAIL_INUSE.
    in_use: AtomicU64,
    pub(super) created: AtomicU64,
    pub(super) deleted: AtomicU64,
    pub(super) remapped: AtomicU64,
}

/// The one there is.
pub(super) static TALLY: Tally = Tally {
    calls: AtomicU64::new(0),
    successes: AtomicU64::new(0),
    in_use: AtomicU64::new(0),
    created: AtomicU64::new(0),
    deleted: AtomicU64::new(0),
    remapped: AtomicU64::new(0),
};

impl Tally {
    /// What was counted so far.
    pub(super) fn all() -> &'static Self {
        &TALLY
    }

    fn count(&self, result: SvsmResult) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match result {
            SvsmResult::SUCCESS => self.successes.fetch_add(1, Ordering::Relaxed),
            SvsmResult::CORE_FAIL_INUSE => self.in_use.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        write!(
            f,
            "{} calls, {} of them successes; {} VMSAs made, {} deleted, {} found in use; {} calling areas moved",
            get(&self.calls),
            get(&self.successes),
            get(&self.created),
            get(&self.deleted),
            get(&self.in_use),
            get(&self.remapped),
        )
    }
}
