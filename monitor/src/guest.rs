//! Everything that VMPL0 knows of its guest.

use crate::memory::GuestMemoryMap;
use crate::page_map::PageMap;
use crate::pages::PagePolicy;
use crate::vcpu::Registry;

/// The state that calls of the guest read and change. One value for the virtual
/// machine, behind the lock of [`Shared`](crate::shared::Shared).
#[derive(Debug)]
pub struct Guest<S> {
    /// Which addresses are guest memory.
    pub memory: GuestMemoryMap,
    /// Which of them are validated.
    pub pages: PageMap<S>,
    /// Live VMSAs and calling areas.
    pub vcpus: Registry,
    /// The guest's level, and how pages are treated.
    pub policy: PagePolicy,
    /// SEV_FEATURES of the startup vCPU, which every other VMSA must have.
    pub sev_features: u64,
}
