//! The GHCB page (AMD publication 56421, GHCB layout).

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::{ExitCode, GhcbField, Response, Usage};

/// Offset of the shared buffer in the page.
pub const SHARED_BUFFER_OFFSET: usize = 0x800;
/// Length of the shared buffer in bytes.
pub const SHARED_BUFFER_SIZE: usize = 2032;
/// The lowest protocol version that has SEV-SNP.
pub const PROTOCOL_VERSION: u16 = 2;

/// The GHCB, one 4 KiB page. As it lies in memory that the host writes at any
/// time, code has a copy of it, never a reference to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[allow(missing_docs)]
pub struct Ghcb {
    /// Offset 0x000.
    pub reserved_0x0: [u8; 203],
    /// Offset 0x0cb.
    pub cpl: u8,
    /// Offset 0x0cc.
    pub reserved_0xcc: [u8; 116],
    /// Offset 0x140.
    pub xss: u64,
    /// Offset 0x148.
    pub reserved_0x148: [u8; 24],
    /// Offset 0x160.
    pub dr7: u64,
    /// Offset 0x168.
    pub reserved_0x168: [u8; 16],
    /// Offset 0x178.
    pub rip: u64,
    /// Offset 0x180.
    pub reserved_0x180: [u8; 88],
    /// Offset 0x1d8.
    pub rsp: u64,
    /// Offset 0x1e0.
    pub reserved_0x1e0: [u8; 24],
    /// Offset 0x1f8.
    pub rax: u64,
    /// Offset 0x200.
    pub reserved_0x200: [u8; 264],
    /// Offset 0x308.
    pub rcx: u64,
    /// Offset 0x310.
    pub rdx: u64,
    /// Offset 0x318.
    pub rbx: u64,
    /// Offset 0x320.
    pub reserved_0x320: [u8; 8],
    /// Offset 0x328.
    pub rbp: u64,
    /// Offset 0x330.
    pub rsi: u64,
    /// Offset 0x338.
    pub rdi: u64,
    /// Offset 0x340.
    pub r8: u64,
    /// Offset 0x348.
    pub r9: u64,
    /// Offset 0x350.
    pub r10: u64,
    /// Offset 0x358.
    pub r11: u64,
    /// Offset 0x360.
    pub r12: u64,
    /// Offset 0x368.
    pub r13: u64,
    /// Offset 0x370.
    pub r14: u64,
    /// Offset 0x378.
    pub r15: u64,
    /// Offset 0x380.
    pub reserved_0x380: [u8; 16],
    /// Offset 0x390.
    pub sw_exit_code: u64,
    /// Offset 0x398.
    pub sw_exit_info1: u64,
    /// Offset 0x3a0.
    pub sw_exit_info2: u64,
    /// Offset 0x3a8.
    pub sw_scratch: u64,
    /// Offset 0x3b0.
    pub reserved_0x3b0: [u8; 56],
    /// Offset 0x3e8.
    pub xcr0: u64,
    /// Offset 0x3f0. Bit n stands for the quadword at 8 * n.
    pub valid_bitmap: [u8; 16],
    /// Offset 0x400.
    pub x87_state_gpa: u64,
    /// Offset 0x408.
    pub reserved_0x408: [u8; 1016],
    /// Offset 0x800.
    pub shared_buffer: [u8; 2032],
    /// Offset 0xff0.
    pub reserved_0xff0: [u8; 10],
    /// Offset 0xffa. Some guests leave it 0.
    pub protocol_version: u16,
    /// Offset 0xffc, see [`Usage`].
    pub usage: u32,
}

const _: () = {
    assert!(size_of::<Ghcb>() == 4096);
    assert!(offset_of!(Ghcb, cpl) == 0xcb);
    assert!(offset_of!(Ghcb, xss) == 0x140);
    assert!(offset_of!(Ghcb, dr7) == 0x160);
    assert!(offset_of!(Ghcb, rip) == 0x178);
    assert!(offset_of!(Ghcb, rsp) == 0x1d8);
    assert!(offset_of!(Ghcb, rax) == 0x1f8);
    assert!(offset_of!(Ghcb, rcx) == 0x308);
    assert!(offset_of!(Ghcb, rdx) == 0x310);
    assert!(offset_of!(Ghcb, rbx) == 0x318);
    assert!(offset_of!(Ghcb, rbp) == 0x328);
    assert!(offset_of!(Ghcb, rsi) == 0x330);
    assert!(offset_of!(Ghcb, rdi) == 0x338);
    assert!(offset_of!(Ghcb, r8) == 0x340);
    assert!(offset_of!(Ghcb, r9) == 0x348);
    assert!(offset_of!(Ghcb, r10) == 0x350);
    assert!(offset_of!(Ghcb, r11) == 0x358);
    assert!(offset_of!(Ghcb, r12) == 0x360);
    assert!(offset_of!(Ghcb, r13) == 0x368);
    assert!(offset_of!(Ghcb, r14) == 0x370);
    assert!(offset_of!(Ghcb, r15) == 0x378);
    assert!(offset_of!(Ghcb, sw_exit_code) == 0x390);
    assert!(offset_of!(Ghcb, sw_exit_info1) == 0x398);
    assert!(offset_of!(Ghcb, sw_exit_info2) == 0x3a0);
    assert!(offset_of!(Ghcb, sw_scratch) == 0x3a8);
    assert!(offset_of!(Ghcb, xcr0) == 0x3e8);
    assert!(offset_of!(Ghcb, valid_bitmap) == 0x3f0);
    assert!(offset_of!(Ghcb, x87_state_gpa) == 0x400);
    assert!(offset_of!(Ghcb, shared_buffer) == 0x800);
    assert!(offset_of!(Ghcb, protocol_version) == 0xffa);
    assert!(offset_of!(Ghcb, usage) == 0xffc);
    assert!(offset_of!(Ghcb, shared_buffer) == SHARED_BUFFER_OFFSET);
};

impl Ghcb {
    /// A page of zeroes: nothing valid, [`Usage::STANDARD`].
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }

    /// Make everything zero, the shared buffer too.
    pub fn clear(&mut self) {
        self.zero();
    }

    /// A request: all zero but the protocol version and, marked valid, code and
    /// both infos, which every request has to have.
    pub fn begin(&mut self, code: ExitCode, info1: u64, info2: u64) {
        self.clear();
        self.protocol_version = PROTOCOL_VERSION;
        self.set(GhcbField::EXIT_CODE, code.0);
        self.set(GhcbField::EXIT_INFO1, info1);
        self.set(GhcbField::EXIT_INFO2, info2);
    }

    /// Whether the field is marked valid. False for what is not a field.
    pub fn is_valid(&self, field: GhcbField) -> bool {
        let (byte, mask) = field.bit();
        self.slot(field).is_some() && self.valid_bitmap.get(byte).is_some_and(|b| b & mask != 0)
    }

    /// Mark the field valid. Without effect for what is not a field.
    pub fn set_valid(&mut self, field: GhcbField) {
        let (byte, mask) = field.bit();
        if self.slot(field).is_some()
            && let Some(bits) = self.valid_bitmap.get_mut(byte)
        {
            *bits |= mask;
        }
    }

    /// Mark every field not valid, as the host does before it answers.
    pub fn clear_valid(&mut self) {
        self.valid_bitmap = [0; 16];
    }

    /// The field, if it is marked valid.
    pub fn get(&self, field: GhcbField) -> Option<u64> {
        if self.is_valid(field) {
            self.slot(field)
        } else {
            None
        }
    }

    /// Write the field and mark it valid. The CPL takes the low byte. Without
    /// effect for what is not a field.
    pub fn set(&mut self, field: GhcbField, value: u64) {
        match field {
            GhcbField::CPL => self.cpl = value as u8,
            GhcbField::XSS => self.xss = value,
            GhcbField::DR7 => self.dr7 = value,
            GhcbField::RIP => self.rip = value,
            GhcbField::RSP => self.rsp = value,
            GhcbField::RAX => self.rax = value,
            GhcbField::RCX => self.rcx = value,
            GhcbField::RDX => self.rdx = value,
            GhcbField::RBX => self.rbx = value,
            GhcbField::RBP => self.rbp = value,
            GhcbField::RSI => self.rsi = value,
            GhcbField::RDI => self.rdi = value,
            GhcbField::R8 => self.r8 = value,
            GhcbField::R9 => self.r9 = value,
            GhcbField::R10 => self.r10 = value,
            GhcbField::R11 => self.r11 = value,
            GhcbField::R12 => self.r12 = value,
            GhcbField::R13 => self.r13 = value,
            GhcbField::R14 => self.r14 = value,
            GhcbField::R15 => self.r15 = value,
            GhcbField::EXIT_CODE => self.sw_exit_code = value,
            GhcbField::EXIT_INFO1 => self.sw_exit_info1 = value,
            GhcbField::EXIT_INFO2 => self.sw_exit_info2 = value,
            GhcbField::SCRATCH => self.sw_scratch = value,
            GhcbField::XCR0 => self.xcr0 = value,
            _ => return,
        }
        self.set_valid(field);
    }

    /// The exit code, if it is marked valid.
    pub fn exit_code(&self) -> Option<ExitCode> {
        self.get(GhcbField::EXIT_CODE).map(ExitCode)
    }

    /// The host's answer: the low half of SW_EXITINFO1, marked valid or not, as
    /// hosts differ in that.
    pub fn response(&self) -> Response {
        Response(self.sw_exit_info1 as u32)
    }

    /// Set the answer, as the host does.
    pub fn respond(&mut self, response: Response, info2: u64) {
        self.set(GhcbField::EXIT_INFO1, u64::from(response.0));
        self.set(GhcbField::EXIT_INFO2, info2);
    }

    /// The page's usage.
    pub fn usage(&self) -> Usage {
        Usage(self.usage)
    }

    fn slot(&self, field: GhcbField) -> Option<u64> {
        Some(match field {
            GhcbField::CPL => u64::from(self.cpl),
            GhcbField::XSS => self.xss,
            GhcbField::DR7 => self.dr7,
            GhcbField::RIP => self.rip,
            GhcbField::RSP => self.rsp,
            GhcbField::RAX => self.rax,
            GhcbField::RCX => self.rcx,
            GhcbField::RDX => self.rdx,
            GhcbField::RBX => self.rbx,
            GhcbField::RBP => self.rbp,
            GhcbField::RSI => self.rsi,
            GhcbField::RDI => self.rdi,
            GhcbField::R8 => self.r8,
            GhcbField::R9 => self.r9,
            GhcbField::R10 => self.r10,
            GhcbField::R11 => self.r11,
            GhcbField::R12 => self.r12,
            GhcbField::R13 => self.r13,
            GhcbField::R14 => self.r14,
            GhcbField::R15 => self.r15,
            GhcbField::EXIT_CODE => self.sw_exit_code,
            GhcbField::EXIT_INFO1 => self.sw_exit_info1,
            GhcbField::EXIT_INFO2 => self.sw_exit_info2,
            GhcbField::SCRATCH => self.sw_scratch,
            GhcbField::XCR0 => self.xcr0,
            _ => return None,
        })
    }
}

impl Default for Ghcb {
    fn default() -> Self {
        Self::zeroed()
    }
}

#[cfg(test)]
mod tests {
    use super::super::MalformedReason;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bitmap_counts_quadwords() {
        let mut ghcb = Ghcb::zeroed();
        ghcb.set(GhcbField::RAX, 1);
        // 0x1f8 / 8 = 63: the last bit of byte 7.
        assert_eq!(ghcb.valid_bitmap[7], 0x80);
        ghcb.set(GhcbField::XCR0, 1);
        // 0x3e8 / 8 = 125: the bitmap ends before the x87 state's address.
        assert_eq!(ghcb.valid_bitmap[15], 0x20);
    }

    #[test]
    fn a_field_is_read_only_when_it_is_valid() {
        let mut ghcb = Ghcb::zeroed();
        ghcb.rcx = 5;
        assert_eq!(ghcb.get(GhcbField::RCX), None);
        ghcb.set_valid(GhcbField::RCX);
        assert_eq!(ghcb.get(GhcbField::RCX), Some(5));
        ghcb.clear_valid();
        assert_eq!(ghcb.get(GhcbField::RCX), None);
    }

    #[test]
    fn what_is_not_a_field_is_never_valid() {
        let mut ghcb = Ghcb::zeroed();
        for offset in [0, 0xcc, 0x1f9, 0x3f0, 0x400, 0x408, 0x800, u16::MAX] {
            ghcb.set(GhcbField(offset), 7);
            ghcb.set_valid(GhcbField(offset));
        }
        assert_eq!(ghcb, Ghcb::zeroed());
        ghcb.valid_bitmap = [0xff; 16];
        assert!(!ghcb.is_valid(GhcbField(0x1f9)));
    }

    #[test]
    fn a_request_has_version_and_three_valid_fields() {
        let mut ghcb = Ghcb::zeroed();
        ghcb.shared_buffer[0] = 1;
        ghcb.begin(ExitCode::MSR, 1, 2);
        assert_eq!(ghcb.protocol_version, 2);
        assert_eq!(ghcb.exit_code(), Some(ExitCode::MSR));
        assert_eq!(ghcb.get(GhcbField::EXIT_INFO2), Some(2));
        assert_eq!(ghcb.shared_buffer[0], 0);
        let bits: u32 = ghcb.valid_bitmap.iter().map(|b| b.count_ones()).sum();
        assert_eq!(bits, 3);
        ghcb.respond(Response::MALFORMED_INPUT, MalformedReason::MISSING_INPUT.0);
        assert_eq!(ghcb.response(), Response::MALFORMED_INPUT);
    }

    proptest! {
        #[test]
        fn every_field_is_at_its_offset(index in 0..GhcbField::ALL.len(), value: u64) {
            let field = GhcbField::ALL[index];
            let mut ghcb = Ghcb::zeroed();
            ghcb.set(field, value);
            let expected = if field == GhcbField::CPL { value & 0xff } else { value };
            prop_assert_eq!(ghcb.get(field), Some(expected));
            let bytes = ghcb.as_bytes();
            let at = usize::from(field.0);
            let width = if field == GhcbField::CPL { 1 } else { 8 };
            prop_assert_eq!(&bytes[at..at + width], &value.to_le_bytes()[..width]);
            for other in GhcbField::ALL {
                prop_assert_eq!(ghcb.is_valid(other), other == field);
            }
        }
    }
}
