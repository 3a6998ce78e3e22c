//! The stack of services that need more than a CPU's own has: one for all CPUs, above a guard page.

use core::arch::global_asm;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, Ordering};

use super::stacks::service_top;

global_asm!(
    r#"
    .text
    .global call_on_stack
call_on_stack:
    push rbp
    mov rbp, rsp
    mov rsp, rdx
    call rsi
    mov rsp, rbp
    pop rbp
    ret
"#
);

unsafe extern "C" {
    /// Calls `function(argument)` on the stack that ends at `top`, a multiple of 16.
    fn call_on_stack(argument: *mut c_void, function: extern "C" fn(*mut c_void), top: u64);
}

/// The right to use the stack. One value exists, and using it takes it whole, so two CPUs are never
/// on it.
#[derive(Debug)]
pub(crate) struct ServiceStack(());

static TAKEN: AtomicBool = AtomicBool::new(false);

impl ServiceStack {
    /// The right, for the first who asks.
    pub(crate) fn take() -> Option<Self> {
        (!TAKEN.swap(true, Ordering::Relaxed)).then_some(Self(()))
    }

    /// Does the work on the stack. Exceptions come on the interrupt stacks of the CPU as always.
    pub(crate) fn run(&mut self, mut work: &mut dyn FnMut()) {
        // SAFETY: the stack is mapped above its guard page for good, and `&mut self` of the only
        // value says that nobody is on it. `enter` has the signature that is called, gets a pointer
        // to a local that outlives the call, and returns: a panic ends the machine.
        unsafe { call_on_stack((&raw mut work).cast(), enter, service_top()) }
    }
}

/// Calls the `&mut dyn FnMut()` that `work` points at.
extern "C" fn enter(work: *mut c_void) {
    // SAFETY: `run` passes a pointer to its own local of that type and does not touch it meanwhile.
    let work = unsafe { &mut *work.cast::<&mut dyn FnMut()>() };
    work();
}
