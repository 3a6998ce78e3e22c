//! What the TPM needs from the machine it runs on.

use alloc::vec::Vec;

/// A failure of the platform: entropy or storage did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformError;

/// A persistent record: its identifier and its bytes.
pub type Record = (u32, Vec<u8>);

/// One change to the persistent records; `None` removes the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The record's identifier.
    pub id: u32,
    /// Its new bytes.
    pub bytes: Option<Vec<u8>>,
}

/// The machine around the TPM.
pub trait Platform {
    /// Fills `out` with full entropy.
    fn entropy(&mut self, out: &mut [u8]) -> Result<(), PlatformError>;

    /// Milliseconds of a clock that never goes back while the TPM is powered.
    fn now_ms(&mut self) -> u64;

    /// All persistent records, in any order; none for a TPM that was never
    /// manufactured.
    fn nv_load(&mut self) -> Result<Vec<Record>, PlatformError>;

    /// Stores all the changes or none of them. When it returns, they survive
    /// a loss of power.
    fn nv_commit(&mut self, changes: &[Change]) -> Result<(), PlatformError>;

    /// Whether NV can be written now.
    fn nv_available(&mut self) -> bool {
        true
    }

    /// Whether someone asserts physical presence.
    fn physical_presence(&mut self) -> bool {
        false
    }
}
