//! A check: a name, and what it found. The runner prints a line for each and counts.

use core::sync::atomic::{AtomicU32, Ordering};

use protocols::svsm::SvsmResult;

use crate::console::println;
use crate::lives;
use crate::svsm::Reply;

/// What is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    /// Area and case.
    pub(crate) name: &'static str,
    /// Leaves the guest as it found it, but for pages that no other check uses.
    pub(crate) run: fn() -> Outcome,
}

/// Shortens the tables of checks.
pub(crate) const fn check(name: &'static str, run: fn() -> Outcome) -> Check {
    Check { name, run }
}

/// Passed, or the first thing that was not as it should be.
pub(crate) type Outcome = Result<(), Failure>;

/// Something that is not as it should be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    what: &'static str,
    got: u64,
    want: u64,
    /// No further check can be made.
    last: bool,
}

impl Failure {
    /// The same, after which no further check can be made.
    pub(crate) fn that_is_the_last(self) -> Self {
        Self { last: true, ..self }
    }
}

static PASSED: AtomicU32 = AtomicU32::new(0);
static FAILED: AtomicU32 = AtomicU32::new(0);

/// How many checks passed and failed so far.
pub(crate) fn counts() -> (u32, u32) {
    (PASSED.load(Ordering::SeqCst), FAILED.load(Ordering::SeqCst))
}

/// Runs checks in their order.
pub(crate) fn run(checks: &[Check]) {
    for check in checks {
        report(check.name, (check.run)());
    }
}

/// Prints and counts what a check found.
pub(crate) fn report(name: &str, outcome: Outcome) {
    match outcome {
        Ok(()) => {
            PASSED.fetch_add(1, Ordering::SeqCst);
            println!("ok {name}");
        }
        Err(failure) => {
            let Failure {
                what,
                got,
                want,
                last,
            } = failure;
            FAILED.fetch_add(1, Ordering::SeqCst);
            println!("FAIL {name}: got {got:#x} want {want:#x} ({what})");
            if last {
                lives::finish();
            }
        }
    }
}

/// Two numbers that have to be equal.
pub(crate) fn same(what: &'static str, got: impl Into<u64>, want: impl Into<u64>) -> Outcome {
    let (got, want) = (got.into(), want.into());
    if got == want {
        Ok(())
    } else {
        Err(Failure {
            what,
            got,
            want,
            last: false,
        })
    }
}

/// Something that has to hold.
pub(crate) fn holds(what: &'static str, holds: bool) -> Outcome {
    same(what, holds, true)
}

/// A call that has to be taken and to have this result.
pub(crate) fn result(what: &'static str, reply: Reply, want: SvsmResult) -> Outcome {
    same("call_pending after the call", reply.pending, 0u8)?;
    same(what, reply.result.0, want.0)
}

/// A call that has to be refused so. If it is not, nothing that follows would mean anything.
pub(crate) fn refused(what: &'static str, reply: Reply, want: SvsmResult) -> Outcome {
    match result(what, reply, want) {
        Err(failure) if reply.result.is_success() => Err(failure.that_is_the_last()),
        outcome => outcome,
    }
}

/// A call that has to succeed.
pub(crate) fn succeeds(what: &'static str, reply: Reply) -> Outcome {
    result(what, reply, SvsmResult::SUCCESS)
}
