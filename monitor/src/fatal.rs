//! The end of the virtual machine: why, and how the host is told.

use protocols::addr::Gpa;
use protocols::ghcb::{ExitCode, Ghcb, MsrRequest, RampartReason, Termination};

use crate::platform::{AccessFault, Host};
use crate::ranges::MapError;

/// The virtual machine cannot go on. Carries what a support engineer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a fatal condition must end the virtual machine"]
pub enum Fatal {
    /// One of Rampart's documented reasons (reason set 8), with a number for the
    /// log: an address, a code or a mask, whichever the reason is about.
    Rampart(RampartReason, u64),
    /// SEV_STATUS has features on that need support and have none here: reason
    /// set 0, code 2, with the mask of those bits in SW_EXITINFO2.
    UnsupportedFeatures(u64),
}

impl Fatal {
    /// A state that the code rules out.
    pub const INTERNAL: Self = Self::new(RampartReason::Internal);

    /// A reason that needs no number.
    pub const fn new(reason: RampartReason) -> Self {
        Fatal::Rampart(reason, 0)
    }

    /// A reason with the number that explains it.
    pub const fn with_detail(reason: RampartReason, detail: u64) -> Self {
        Fatal::Rampart(reason, detail)
    }

    /// A page that the map has as validated, or that was validated a moment ago,
    /// is not there.
    pub const fn page_lost(page: Gpa) -> Self {
        Self::with_detail(RampartReason::PageLost, page.get())
    }

    /// A page was in the wanted state before the firmware asked for it.
    pub const fn already_validated(page: Gpa) -> Self {
        Self::with_detail(RampartReason::PvalidateUnchanged, page.get())
    }

    /// Reason set and code, as the host gets them.
    pub const fn termination(self) -> Termination {
        match self {
            Fatal::Rampart(reason, _) => reason.termination(),
            Fatal::UnsupportedFeatures(_) => Termination::SNP_UNSUPPORTED,
        }
    }

    /// The number beside the reason.
    pub const fn detail(self) -> u64 {
        match self {
            Fatal::Rampart(_, detail) => detail,
            Fatal::UnsupportedFeatures(mask) => mask,
        }
    }
}

impl core::fmt::Display for Fatal {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{} ({:#x})", self.termination(), self.detail())
    }
}

impl From<AccessFault> for Fatal {
    fn from(fault: AccessFault) -> Self {
        Fatal::page_lost(fault.0)
    }
}

impl From<MapError> for Fatal {
    fn from(error: MapError) -> Self {
        Fatal::new(match error {
            MapError::OutOfBounds | MapError::NoMemory => RampartReason::MemoryMapMalformed,
            MapError::Overlap | MapError::CoversImage => RampartReason::MemoryMapOverlap,
            MapError::FirmwareOutside => RampartReason::MemoryMapUncovered,
            MapError::TooManyEntries | MapError::TooFragmented => {
                RampartReason::MemoryMapTooFragmented
            }
        })
    }
}

/// Asks the host once to end the virtual machine. Unsupported features are
/// reported by the GHCB page when there is one, because only that request has room
/// for their mask.
pub fn request_end<H: Host + ?Sized>(host: &mut H, ghcb: Option<&mut Ghcb>, fatal: Fatal) {
    if let (Fatal::UnsupportedFeatures(mask), Some(ghcb)) = (fatal, ghcb) {
        ghcb.begin(ExitCode::TERMINATE, fatal.termination().exit_info1(), mask);
        host.page_request(ghcb, 0);
    }
    // Reached when there is no GHCB, or when the host went on all the same.
    host.msr_request(MsrRequest::Terminate(fatal.termination()).encode().0);
}

/// Ends the virtual machine. A host that enters it again is asked again, for
/// ever (threat 25). Interrupts have to be off.
pub fn end<H: Host + ?Sized>(host: &mut H, mut ghcb: Option<&mut Ghcb>, fatal: Fatal) -> ! {
    loop {
        request_end(host, ghcb.as_deref_mut(), fatal);
    }
}

#[cfg(test)]
mod tests;
