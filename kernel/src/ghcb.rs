//! This CPU's way to the host, guarded against re-entry.

use core::sync::atomic::Ordering;

use monitor::platform::Host;
use protocols::addr::Gpa;
use protocols::ghcb::Ghcb;
use protocols::ghcb::termination::RampartReason;

use crate::arch::{percpu, vmgexit};
use crate::fatal;

/// The GHCB MSR and the GHCB page of the CPU that runs.
#[derive(Debug)]
pub(crate) struct Transport;

impl Host for Transport {
    fn msr_request(&mut self, request: u64) -> u64 {
        vmgexit::msr_exchange(request)
    }

    fn page_request(&mut self, ghcb: &mut Ghcb, buffer: usize) {
        // The guard of threat 20: the page is this CPU's alone, so a lock that is taken means that
        // an exception came in the middle of an exchange. The request under way can't be saved by
        // going on: the host may be reading it.
        match percpu::this().ghcb.get().and_then(|page| page.try_lock()) {
            Some(mut page) => page.exchange(ghcb, buffer),
            None => fatal::end_silently(RampartReason::GhcbReentered),
        }
    }

    fn ghcb_gpa(&self) -> Gpa {
        Gpa::new(percpu::this().ghcb_gpa.load(Ordering::Relaxed))
    }
}
