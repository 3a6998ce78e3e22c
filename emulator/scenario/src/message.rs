//! Lies about guest messages: what a host does to them on their way, and what a
//! broken secure processor answers.

use protocols::snp::{GUEST_MESSAGE_PAGE, GuestMessageHeader};

/// A field of an answer that is made with the true key, and wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgedField {
    /// `sequence`.
    Sequence,
    /// `algorithm`.
    Algorithm,
    /// `header-version`.
    HeaderVersion,
    /// `header-size`.
    HeaderSize,
    /// `type`.
    Type,
    /// `version`.
    Version,
    /// `size`: that of the payload, which is cut or gets zeros.
    Size,
    /// `vmpck`: the number in the header; the key stays.
    Vmpck,
    /// `payload OFFSET`: 4 bytes of the payload.
    Payload(u16),
}

impl ForgedField {
    /// The largest value that the field takes.
    pub const fn max(self) -> u64 {
        match self {
            ForgedField::Sequence => u64::MAX,
            ForgedField::HeaderSize => u16::MAX as u64,
            ForgedField::Size => (GUEST_MESSAGE_PAGE - size_of::<GuestMessageHeader>()) as u64,
            ForgedField::Payload(_) => u32::MAX as u64,
            _ => u8::MAX as u64,
        }
    }
}

/// How a guest request is served wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageLie {
    /// `error VALUE`: not handed over; this is SW_EXITINFO2. `busy` is one of them.
    Error(u64),
    /// `drop`: not handed over; "done", and the response page stays as it was.
    Drop,
    /// `lose [VALUE]`: answered, and the answer thrown away; SW_EXITINFO2 is VALUE,
    /// "done" without one.
    Lose(u64),
    /// `hold`: kept for [`crate::Lie::MessageRelease`]; "busy".
    Hold,
    /// `edit OFFSET BIT`: one bit of the request changes on its way.
    Edit {
        /// Offset in the page.
        offset: u16,
        /// 0 to 7.
        bit: u8,
    },
    /// `resend LEVEL N`: the N-th request of a level goes out in the place of this one.
    Resend {
        /// Whose.
        vmpl: u8,
        /// From 1.
        number: u32,
    },
    /// `replay LEVEL N`: the N-th answer to a level is given in the place of this one;
    /// the request is not handed over.
    Replay {
        /// Whose.
        vmpl: u8,
        /// From 1.
        number: u32,
    },
    /// `flip OFFSET BIT`: one bit of the answer changes on its way.
    Flip {
        /// Offset in the page.
        offset: u16,
        /// 0 to 7.
        bit: u8,
    },
    /// `truncate N`: only the first N bytes of the answer's page are written.
    Truncate(u16),
    /// `forge FIELD VALUE`: the secure processor's own answer has this field wrong.
    Forge {
        /// Which.
        field: ForgedField,
        /// At most [`ForgedField::max`].
        value: u64,
    },
    /// `rewrite OFFSET VALUE`: the right answer; the 8 bytes change once they are read.
    Rewrite {
        /// Offset in the page.
        offset: u16,
        /// The value of any later read.
        value: u64,
    },
    /// `watch`: the right answer; reading a byte of it twice is a violation.
    Watch,
    /// `scribble`: from now on to the next request, each byte that the guest writes
    /// to the request page changes at once, and reading one is a violation.
    Scribble,
}

/// How the certificates of an extended guest request are lied about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateLie {
    /// `needs N`: not served; so many pages are needed.
    Needs(u64),
    /// `needs more`: not served; one page more is needed than was offered.
    NeedsMore,
    /// `keep`: the right answer, and no certificates: the pages stay as they were.
    Keep,
    /// `fill BYTE`: the right answer, and pages full of this.
    Fill(u8),
    /// `poke OFFSET VALUE`: the right answer, with these 8 bytes of the table changed.
    Poke {
        /// Offset in the pages.
        offset: u32,
        /// The value.
        value: u64,
    },
}
