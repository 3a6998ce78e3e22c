//! The buffer of the vTPM protocol's CMD call (AMD publication 58019,
//! SVSM_VTPM_CMD): one page, the request in it, the response in its place.

use core::mem::{offset_of, size_of};

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A platform command, as in the TCG's reference simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlatformCommand(
    /// The number.
    pub u32,
);

impl PlatformCommand {
    /// Execute a TPM command.
    pub const SEND_COMMAND: Self = Self(8);

    /// The command's bit in the answer to QUERY.
    pub const fn bit(self) -> u64 {
        1 << self.0
    }
}

/// Bytes of the buffer.
pub const VTPM_BUFFER_SIZE: usize = 4096;
/// Most bytes of a TPM command.
pub const VTPM_MAX_COMMAND: usize = VTPM_BUFFER_SIZE - size_of::<VtpmRequest>();
/// Most bytes of a TPM response.
pub const VTPM_MAX_RESPONSE: usize = VTPM_BUFFER_SIZE - size_of::<U32>();

/// The head of the request; the TPM command follows. The response is its size
/// in four bytes and the TPM response.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct VtpmRequest {
    /// A [`PlatformCommand`].
    pub command: U32,
    /// The locality that the command comes from.
    pub locality: u8,
    /// Bytes of the TPM command.
    pub size: U32,
}

const _: () = {
    assert!(size_of::<VtpmRequest>() == 9);
    assert!(offset_of!(VtpmRequest, command) == 0);
    assert!(offset_of!(VtpmRequest, locality) == 4);
    assert!(offset_of!(VtpmRequest, size) == 5);
    assert!(VTPM_MAX_COMMAND == 4087);
    assert!(VTPM_MAX_RESPONSE == 4092);
};
