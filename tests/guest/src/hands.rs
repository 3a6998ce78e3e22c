//! Other vCPUs that make calls when they are told to, so that the checks can say what happens at
//! once.
//!
//! A hand that waits runs without an exit: its VMSA is in use all the time.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use protocols::svsm::{Request, SvsmResult};

use crate::arch::percpu::MAX_VCPUS;
use crate::check::{Outcome, holds};
use crate::svsm;
use crate::{host, vcpus};

/// How long an answer may take.
const SPINS: u64 = 1 << 34;

/// What a hand is at.
mod at {
    /// It has not started, or rests.
    pub(super) const NOTHING: u32 = 0;
    pub(super) const WAITING: u32 = 1;
    pub(super) const CALL: u32 = 2;
    pub(super) const REST: u32 = 3;
}

struct Hand {
    at: AtomicU32,
    request: AtomicU64,
    arguments: [AtomicU64; 4],
    result: AtomicU64,
}

static HANDS: [Hand; MAX_VCPUS] = [const {
    Hand {
        at: AtomicU32::new(at::NOTHING),
        request: AtomicU64::new(0),
        arguments: [const { AtomicU64::new(0) }; 4],
        result: AtomicU64::new(0),
    }
}; MAX_VCPUS];

/// The entry of a hand.
pub(crate) extern "C" fn hand(argument: u64) -> ! {
    let vcpu = argument as usize;
    let hand = &HANDS[vcpu];
    if vcpus::begin(vcpu, 0) {
        hand.at.store(at::WAITING, Ordering::SeqCst);
    }
    loop {
        match hand.at.load(Ordering::SeqCst) {
            at::CALL => {
                let request = Request::from_rax(hand.request.load(Ordering::SeqCst));
                let arguments =
                    [0, 1, 2, 3].map(|n: usize| hand.arguments[n].load(Ordering::SeqCst));
                let reply = svsm::call(request, arguments);
                hand.result.store(reply.result.0, Ordering::SeqCst);
                hand.at.store(at::WAITING, Ordering::SeqCst);
            }
            at::REST => {
                hand.at.store(at::NOTHING, Ordering::SeqCst);
                host::rest();
            }
            _ => spin_loop(),
        }
    }
}

fn wait(vcpu: usize, until: u32) -> bool {
    (0..SPINS).any(|_| {
        spin_loop();
        HANDS[vcpu].at.load(Ordering::SeqCst) == until
    })
}

/// Waits until the hand has come up.
pub(crate) fn is_up(vcpu: usize) -> Outcome {
    holds("the vCPU comes up", wait(vcpu, at::WAITING))
}

/// Tells a hand to make a call, and does not wait.
pub(crate) fn tell(vcpu: usize, request: Request, arguments: [u64; 4]) {
    let hand = &HANDS[vcpu];
    hand.request.store(request.rax(), Ordering::SeqCst);
    for (place, value) in hand.arguments.iter().zip(arguments) {
        place.store(value, Ordering::SeqCst);
    }
    hand.at.store(at::CALL, Ordering::SeqCst);
}

/// Whether the hand is still at the call that it was told to make.
pub(crate) fn is_busy(vcpu: usize) -> bool {
    HANDS[vcpu].at.load(Ordering::SeqCst) == at::CALL
}

/// What came of the call that the hand was told to make.
pub(crate) fn answer(vcpu: usize) -> SvsmResult {
    match wait(vcpu, at::WAITING) {
        true => SvsmResult(HANDS[vcpu].result.load(Ordering::SeqCst)),
        false => SvsmResult(u64::MAX),
    }
}

/// A call by a hand.
pub(crate) fn call(vcpu: usize, request: Request, arguments: [u64; 4]) -> SvsmResult {
    tell(vcpu, request, arguments);
    answer(vcpu)
}

/// The hand leaves its vCPU to the host: its VMSA is no longer in use a moment later.
pub(crate) fn rest(vcpu: usize) -> Outcome {
    HANDS[vcpu].at.store(at::REST, Ordering::SeqCst);
    holds("the vCPU rests", wait(vcpu, at::NOTHING))
}

/// The hand is gone.
pub(crate) fn forget(vcpu: usize) {
    HANDS[vcpu].at.store(at::NOTHING, Ordering::SeqCst);
}
