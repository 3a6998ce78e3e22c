//! The state of a TPM, split by what loses it: [`hierarchy`] and its
//! neighbours are persistent; [`reset::StateReset`] is lost at a TPM reset,
//! [`reset::StateClear`] at a restart too, and [`volatile::Volatile`] whenever
//! power is lost.

pub mod hierarchy;
pub mod nv;
pub mod object;
pub mod pcr;
pub mod reset;
pub mod tracked;
pub mod volatile;
#[macro_use]
mod macros;
pub(crate) mod commit;
pub(crate) mod snapshot;

pub use commit::StateError;
pub use hierarchy::{Audit, Clock, Hierarchies, Lockout, OrderlyShutdown};
pub use nv::NvIndex;
pub use object::{Object, ObjectFlags, Sequence, SequenceKind, Transient};
pub use pcr::{PcrBanks, PcrConfig};
pub use reset::{StateClear, StateReset};
pub use tracked::{Tracked, TrackedMap};
pub use volatile::Volatile;

/// All state of one TPM.
pub struct State {
    /// Seeds, proofs, auth values and policies of the hierarchies.
    pub hierarchies: Tracked<Hierarchies>,
    /// Dictionary-attack parameters and counters.
    pub lockout: Tracked<Lockout>,
    /// The clock's stored value and the reset counters.
    pub clock: Tracked<Clock>,
    /// Which PCR banks are allocated, and policies of PCRs.
    pub pcr_config: Tracked<PcrConfig>,
    /// Which commands are audited.
    pub audit: Tracked<Audit>,
    /// What the last Shutdown saved.
    pub shutdown: Tracked<OrderlyShutdown>,
    /// NV indices by handle.
    pub nv: TrackedMap<NvIndex>,
    /// Persistent objects by handle.
    pub persistent: TrackedMap<Object>,
    /// Survives restart and resume.
    pub reset: StateReset,
    /// Survives resume.
    pub clear: StateClear,
    /// Survives nothing.
    pub volatile: Volatile,
}
