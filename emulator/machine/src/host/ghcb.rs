//! The guest's GHCB page, as the host reads and writes it: field by field,
//! each access to shared memory.

use protocols::ghcb::{
    GhcbField, MalformedReason, Response, SHARED_BUFFER_OFFSET, SHARED_BUFFER_SIZE,
};

use crate::mem::phys;

/// Offset of the valid bitmap: one bit for each 8 bytes of the save area.
const VALID_BITMAP: u64 = 0x3f0;
const VALID_BITMAP_LEN: u64 = 16;
const USAGE: u64 = 0xffc;

/// A #GP as the host asks for it: vector 13, exception, error code 0 valid.
const EVENT_GP: u64 = 1 << 31 | 1 << 11 | 3 << 8 | 13;

/// One exit's view of the GHCB.
pub(crate) struct GhcbView {
    gpa: u64,
    spa: u64,
}

impl GhcbView {
    /// The page at `gpa`, which the host reaches at `spa`.
    pub(crate) fn new(gpa: u64, spa: u64) -> Self {
        Self { gpa, spa }
    }

    /// The page's guest address.
    pub(crate) fn gpa(&self) -> u64 {
        self.gpa
    }

    /// The system address of a byte of the page.
    pub(crate) fn system_address(&self, offset: u64) -> u64 {
        self.spa + offset
    }

    /// A field, if the guest marked it valid.
    pub(crate) fn get(&self, field: GhcbField) -> Option<u64> {
        let (byte, mask) = valid_bit(field);
        let valid: u8 = phys::read(self.spa + VALID_BITMAP + byte);
        if valid & mask == 0 {
            return None;
        }
        Some(match field {
            GhcbField::CPL => phys::read::<u8>(self.spa + u64::from(field.0)).into(),
            _ => phys::read(self.spa + u64::from(field.0)),
        })
    }

    /// Answers with a field.
    pub(crate) fn set(&self, field: GhcbField, value: u64) {
        phys::write(self.spa + u64::from(field.0), value);
        let (byte, mask) = valid_bit(field);
        let valid: u8 = phys::read(self.spa + VALID_BITMAP + byte);
        phys::write(self.spa + VALID_BITMAP + byte, valid | mask);
    }

    /// Usage of the page; 0 is the one there is.
    pub(crate) fn usage(&self) -> u32 {
        phys::read(self.spa + USAGE)
    }

    /// Starts an answer: nothing valid but what follows.
    pub(crate) fn begin_answer(&self) {
        phys::fill(self.spa + VALID_BITMAP, VALID_BITMAP_LEN, 0);
        self.respond(Response::NO_ACTION, 0);
    }

    /// SW_EXITINFO1 and SW_EXITINFO2.
    pub(crate) fn respond(&self, response: Response, info2: u64) {
        self.set(GhcbField::EXIT_INFO1, u64::from(response.0));
        self.set(GhcbField::EXIT_INFO2, info2);
    }

    /// The guest is to raise #GP(0).
    pub(crate) fn raise_gp(&self) {
        self.respond(Response::EXCEPTION, EVENT_GP);
    }

    /// The request is malformed.
    pub(crate) fn malformed(&self, reason: MalformedReason) {
        self.respond(Response::MALFORMED_INPUT, reason.0);
    }

    /// System address of `len` bytes of the scratch area in the page's shared
    /// buffer. Scratch areas elsewhere are for `Memory::read_shared`.
    pub(crate) fn scratch_in_page(&self, scratch: u64, len: u64) -> Option<u64> {
        let start = self.gpa + SHARED_BUFFER_OFFSET as u64;
        let end = start + SHARED_BUFFER_SIZE as u64;
        let inside = scratch >= start && scratch.checked_add(len)? <= end;
        inside.then(|| self.spa + (scratch - self.gpa))
    }
}

fn valid_bit(field: GhcbField) -> (u64, u8) {
    let index = u64::from(field.0) / 8;
    (index / 8, 1 << (index % 8))
}
