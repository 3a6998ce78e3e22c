//! QEMU's fw_cfg device, as far as its DMA interface goes (QEMU, docs/specs/fw_cfg.rst). All of it
//! is the host's word, and the numbers are big-endian.

use core::mem::{offset_of, size_of};

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The port whose write starts a transfer: the low half of the request's address, big-endian. The
/// high half, at the port 4 below, is zero unless it was written.
pub const DMA_LOW_PORT: u16 = 0x518;

/// Selector of the file directory.
pub const FILE_DIRECTORY: u16 = 0x19;

/// The name of the file with the guest firmware, for an image that has its hash only.
pub const FIRMWARE_FILE: &[u8] = b"opt/rampart/firmware";

/// What a transfer does: the low bits of [`DmaAccess::control`], with a selector in the upper half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaControl(
    /// The 32 bits.
    pub u32,
);

impl DmaControl {
    /// The transfer has failed. The device's answer.
    pub const ERROR: u32 = 1;
    /// Copies from the file to memory. Behind the file's end there are zeros.
    pub const READ: Self = Self(1 << 1);
    const SELECT: u32 = 1 << 3;

    /// Goes to the start of this file first.
    #[must_use]
    pub const fn select(self, selector: u16) -> Self {
        Self(self.0 | Self::SELECT | (selector as u32) << 16)
    }
}

/// A transfer (FWCfgDmaAccess). The device writes `control` when it is done: zero, or
/// [`DmaControl::ERROR`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct DmaAccess {
    /// A [`DmaControl`].
    pub control: U32,
    /// Bytes.
    pub length: U32,
    /// GPA of the memory.
    pub address: U64,
}

impl DmaAccess {
    /// A transfer of `length` bytes to `address`.
    #[must_use]
    pub const fn new(control: DmaControl, length: u32, address: u64) -> Self {
        Self {
            control: U32::new(control.0),
            length: U32::new(length),
            address: U64::new(address),
        }
    }
}

/// An entry of the file directory (FWCfgFile). Their number stands before the first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct FileEntry {
    /// Bytes of the file.
    pub size: U32,
    /// What to select for it.
    pub selector: U16,
    /// Zero.
    pub reserved: U16,
    /// Its name, ended by a zero.
    pub name: [u8; 56],
}

impl FileEntry {
    /// Whether the file has this name.
    #[must_use]
    pub fn is_named(&self, name: &[u8]) -> bool {
        self.name.split(|byte| *byte == 0).next() == Some(name)
    }
}

/// The number of entries in the directory, at its start.
pub type FileCount = U32;

const _: () = {
    assert!(size_of::<DmaAccess>() == 16);
    assert!(offset_of!(DmaAccess, control) == 0);
    assert!(offset_of!(DmaAccess, length) == 4);
    assert!(offset_of!(DmaAccess, address) == 8);
    assert!(size_of::<FileEntry>() == 64);
    assert!(offset_of!(FileEntry, size) == 0);
    assert!(offset_of!(FileEntry, selector) == 4);
    assert!(offset_of!(FileEntry, reserved) == 6);
    assert!(offset_of!(FileEntry, name) == 8);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_as_the_device_wants_it() {
        let access = DmaAccess::new(DmaControl::READ.select(0x19), 0x1234, 0x1820_1000);
        assert_eq!(
            access.as_bytes(),
            [
                0, 0x19, 0, 0x0a, 0, 0, 0x12, 0x34, 0, 0, 0, 0, 0x18, 0x20, 0x10, 0
            ]
        );
    }

    #[test]
    fn a_name_ends_at_its_zero_or_with_its_field() {
        let named = |text: &[u8]| {
            let mut name = [0; 56];
            name[..text.len()].copy_from_slice(text);
            FileEntry {
                size: U32::new(1),
                selector: U16::new(0x20),
                reserved: U16::new(0),
                name,
            }
        };
        assert!(named(FIRMWARE_FILE).is_named(FIRMWARE_FILE));
        assert!(named(b"opt/rampart/firmware\0.old").is_named(FIRMWARE_FILE));
        assert!(!named(b"opt/rampart/firmware2").is_named(FIRMWARE_FILE));
        assert!(!named(b"opt/rampart/firmwar").is_named(FIRMWARE_FILE));
        assert!(!named(b"").is_named(FIRMWARE_FILE));
        assert!(named(&[b'a'; 56]).is_named(&[b'a'; 56]));
    }
}
