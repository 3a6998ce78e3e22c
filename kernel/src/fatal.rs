//! The end of the virtual machine: a line in the log where that is possible, then the termination
//! request, for ever.

use core::sync::atomic::{AtomicBool, Ordering};

use monitor::fatal::Fatal;
use protocols::ghcb::RampartReason;

use crate::arch::{percpu, vmgexit};
use crate::console::log;
use crate::ghcb::Transport;

/// Set when the end has begun, so that a fault on the way ends at once.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Ends the machine.
pub(crate) fn end(fatal: Fatal) -> ! {
    if may_speak() {
        log!("terminating: {fatal}");
    }
    // The GHCB page is for a mask of unsupported features alone, which stage2 has dealt with.
    monitor::fatal::end(&mut Transport, None, fatal)
}

/// Ends the machine without a word: the GHCB page is in use.
pub(crate) fn end_silently(reason: RampartReason) -> ! {
    vmgexit::terminate(reason.termination().msr().0)
}

/// Whether a last line can be printed: the GHCB page is there and free, and this is the first end.
pub(crate) fn may_speak() -> bool {
    let free = percpu::this()
        .ghcb
        .get()
        .is_some_and(|page| page.try_lock().is_some());
    !ENDING.swap(true, Ordering::Relaxed) && free
}

/// Every panic is a bug of the firmware: input never causes one.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    if may_speak() {
        match info.location() {
            Some(at) => log!("panic at {}:{}: {}", at.file(), at.line(), info.message()),
            None => log!("panic: {}", info.message()),
        }
    }
    end_silently(RampartReason::Panic)
}
