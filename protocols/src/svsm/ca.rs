//! The calling area, one 4 KiB page for each virtual processor (AMD publication
//! 58019, calling area).

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Offset of the byte that the guest sets to 1 before a call and exchanges with
/// 0 after it.
pub const CA_CALL_PENDING: usize = 0;
/// Offset of the byte that says that the SVSM has memory to give back.
pub const CA_MEM_AVAILABLE: usize = 1;
/// Offset of the byte by which alternate injection saves an EOI.
pub const CA_NO_EOI_REQUIRED: usize = 2;
/// Offset of the buffer.
pub const CA_BUFFER: usize = 8;
/// Length of the buffer in bytes.
pub const CA_BUFFER_SIZE: usize = 4088;

/// The layout of the page. It is guest memory: code uses the offsets or a copy,
/// never a reference into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CallingArea {
    /// 1 while a call waits for service.
    pub call_pending: u8,
    /// 1 if the SVSM has memory to give back.
    pub mem_available: u8,
    /// 1 if the interrupt at hand needs no EOI.
    pub no_eoi_required: u8,
    /// Zero.
    pub reserved: [u8; 5],
    /// Parameters of a call, if the guest puts them here.
    pub buffer: [u8; CA_BUFFER_SIZE],
}

const _: () = {
    assert!(size_of::<CallingArea>() == 4096);
    assert!(offset_of!(CallingArea, call_pending) == CA_CALL_PENDING);
    assert!(offset_of!(CallingArea, mem_available) == CA_MEM_AVAILABLE);
    assert!(offset_of!(CallingArea, no_eoi_required) == CA_NO_EOI_REQUIRED);
    assert!(offset_of!(CallingArea, reserved) == 3);
    assert!(offset_of!(CallingArea, buffer) == CA_BUFFER);
};
