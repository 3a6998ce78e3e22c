//! What may become of a request to the secure processor.

use protocols::snp::FirmwareStatus;

use crate::fatal::Fatal;

/// Why there is no answer to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// The host was busy all the time. The message stays the next to be sent.
    Busy,
    /// There was a doubt, just now: the key is wiped. To be told, once.
    Doubt(Doubt),
    /// The key was wiped before.
    Closed,
    /// The secure processor has answered, and says no.
    Refused(FirmwareStatus),
    /// The secure processor's answer is authentic and makes no sense.
    Senseless,
    /// The virtual machine ends.
    Fatal(Fatal),
}

impl ChannelError {
    pub(super) const INTERNAL: Self = Self::Fatal(Fatal::INTERNAL);
}

impl From<Fatal> for ChannelError {
    fn from(fatal: Fatal) -> Self {
        Self::Fatal(fatal)
    }
}

impl core::fmt::Display for ChannelError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Busy => formatter.write_str("the host is busy"),
            Self::Doubt(doubt) => write!(formatter, "{doubt}: VMPCK0 is wiped"),
            Self::Closed => formatter.write_str("VMPCK0 was wiped"),
            Self::Refused(status) => {
                write!(formatter, "the secure processor refuses: {:#x}", status.0)
            }
            Self::Senseless => formatter.write_str("the secure processor's answer makes no sense"),
            Self::Fatal(fatal) => write!(formatter, "{fatal}"),
        }
    }
}

/// What was wrong when the key was wiped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// SW_EXITINFO2: the host's error in 63:32, the secure processor's in 31:0.
    Failed(u64),
    /// The host takes the request for malformed.
    Malformed,
    /// The host says what fits another request only.
    OutOfPlace,
    /// The answer's sequence number is not the request's and one.
    WrongSequence,
    /// Another algorithm, header version or header size.
    WrongFormat,
    /// The answer is one to another type of request.
    WrongType,
    /// The answer's format has another version than the request's.
    WrongVersion,
    /// The answer is under another VMPCK.
    WrongKey,
    /// The answer's size is none that this answer can have.
    WrongSize,
    /// The tag is wrong.
    NotAuthentic,
    /// There are no more sequence numbers.
    Exhausted,
}

impl core::fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if let Self::Failed(code) = self {
            return write!(formatter, "the request has failed ({code:#x})");
        }
        formatter.write_str(match self {
            Self::Failed(_) | Self::Malformed => "the host takes the request for malformed",
            Self::OutOfPlace => "the host's answer is out of place",
            Self::WrongSequence => "the answer has another sequence number",
            Self::WrongFormat => "the answer has another format",
            Self::WrongType => "the answer is of another type",
            Self::WrongVersion => "the answer has another version",
            Self::WrongKey => "the answer is under another key",
            Self::WrongSize => "the answer has another size",
            Self::NotAuthentic => "the answer is not authentic",
            Self::Exhausted => "the sequence numbers are used up",
        })
    }
}
