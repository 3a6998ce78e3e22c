//! The channel to the secure processor: encrypted messages under VMPCK0, which the host carries and
//! cannot read (SEV-SNP firmware ABI, guest messages; GHCB specification, SNP guest request).
//!
//! A sequence number stands for one plaintext, for ever (threat 50). So a message that was sent and
//! not answered stays what it is: it is sent again, the same bytes, until it is answered, and what
//! somebody else wants to send waits behind it. A host that is busy, or that has no room for its
//! certificates, is asked again. At anything else the key is wiped: an error of the host or of the
//! secure processor, and an answer that is not the one to this message (threat 51). There is no
//! second key, so the channel is then closed until the next launch, and says so.
//!
//! Messages are encrypted in private memory and copied out, copied in once and decrypted there
//! (threat 52).

mod cipher;
mod error;
mod requests;

use alloc::boxed::Box;

use protocols::ghcb::Ghcb;
use protocols::snp::{
    FirmwareStatus, GUEST_MESSAGE_PAGE, GuestMessageHeader, GuestMessageInfo, MessageType,
    VMPCK_SIZE, Vmpl,
};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};
use zeroize::Zeroize;

use crate::ghcb_client::{GuestRequestAnswer, guest_request};
use crate::platform::{Host, MessagePages};
use crate::vcpu::OutOfMemory;
use cipher::Key;
pub use error::{ChannelError, Doubt};

/// A page with a message, header first.
pub type Page = [u8; GUEST_MESSAGE_PAGE];

/// How often a message is sent again in one call because the host is busy. It stays to be sent when
/// that was not enough.
pub const RESENDS: u32 = 1 << 16;

/// Bytes of the longest plaintext that is sent.
const MAX_PLAIN: usize = 0x60;

/// Bytes before the data of an answer. One that is a refusal may end there.
const ANSWER_HEAD: usize = 0x20;

/// The channel. One value for the virtual machine, behind a lock.
pub struct Channel {
    /// `None` once there was a doubt.
    key: Option<Key>,
    vmpl: Vmpl,
    /// Number of the message under way, or of the next.
    sequence: u64,
    /// The message under way, sealed in `request`.
    pending: Option<Message>,
    request: Box<Page>,
    response: Box<Page>,
    ghcb: Box<Ghcb>,
    pages: Box<dyn MessagePages>,
}

/// A plaintext and what is said about it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Message {
    kind: MessageType,
    version: u8,
    plain: [u8; MAX_PLAIN],
    size: u16,
    /// Bytes of its answer.
    answer: u16,
}

impl Channel {
    /// The channel of `vmpl`, under its key, with no message sent yet since the launch. The key's
    /// other copies are the caller's to wipe.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new(
        key: &[u8; VMPCK_SIZE],
        vmpl: Vmpl,
        pages: Box<dyn MessagePages>,
    ) -> Result<Self, OutOfMemory> {
        let page = || <Page>::new_box_zeroed().map_err(|_| OutOfMemory);
        Ok(Self {
            key: Some(Key::new(key)?),
            vmpl,
            sequence: 1,
            pending: None,
            request: page()?,
            response: page()?,
            ghcb: Ghcb::new_box_zeroed().map_err(|_| OutOfMemory)?,
            pages,
        })
    }

    /// Whether there is a key.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.key.is_some()
    }

    /// Sends `request` and waits for its answer. With `certificates` the host is asked for them as
    /// well; whether it has put some into its data pages is returned. What it has put there is its
    /// own word.
    ///
    /// # Errors
    /// [`ChannelError`]; `answer` is then as it was.
    fn ask<H: Host + ?Sized, T: FromBytes + IntoBytes>(
        &mut self,
        host: &mut H,
        (kind, version): (MessageType, u8),
        request: &(impl IntoBytes + Immutable),
        certificates: bool,
        answer: &mut T,
    ) -> Result<bool, ChannelError> {
        let answer = answer.as_mut_bytes();
        let message = Message::new(kind, version, request.as_bytes(), answer.len())
            .ok_or(ChannelError::INTERNAL)?;
        if let Some(other) = self.pending.filter(|pending| *pending != message) {
            // Nobody waits for its answer any more, but its number has to be used up.
            self.deliver(host, other, false)?;
            self.response.zeroize();
        }
        if self.pending.is_none() {
            self.seal(message)?;
        }
        let handed_out = self.deliver(host, message, certificates)?;
        let payload = self.response.get(size_of::<GuestMessageHeader>()..);
        for (to, from) in answer.iter_mut().zip(payload.into_iter().flatten()) {
            *to = *from;
        }
        self.response.zeroize();
        Ok(handed_out)
    }

    /// Encrypts a message under the number that is next, which it has from now on.
    fn seal(&mut self, message: Message) -> Result<(), ChannelError> {
        let key = self.key.as_ref().ok_or(ChannelError::Closed)?;
        let info = GuestMessageInfo::new(message.kind, message.version, message.size, self.vmpl);
        let sealed = key.seal(self.sequence, info, message.plain(), &mut self.request);
        sealed.ok_or(ChannelError::INTERNAL)?;
        self.pending = Some(message);
        Ok(())
    }

    /// Has the message under way answered, and leaves the answer decrypted in `response`, filled up
    /// with zeros.
    fn deliver<H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        message: Message,
        mut certificates: bool,
    ) -> Result<bool, ChannelError> {
        if self.key.is_none() {
            return Err(ChannelError::Closed);
        }
        for _ in 0..=RESENDS {
            self.pages.write_request(&self.request);
            let pages = self.pages.gpas();
            match guest_request(host, &mut self.ghcb, pages, certificates)? {
                GuestRequestAnswer::Delivered => {
                    return match self.take(message) {
                        Ok(()) => Ok(certificates),
                        Err(doubt) => Err(self.close(doubt)),
                    };
                }
                GuestRequestAnswer::Busy => {}
                // The message has gone nowhere, and goes out without the host's certificates.
                GuestRequestAnswer::NoRoom if certificates => certificates = false,
                GuestRequestAnswer::NoRoom => return Err(self.close(Doubt::OutOfPlace)),
                GuestRequestAnswer::Failed(code) => return Err(self.close(Doubt::Failed(code))),
                GuestRequestAnswer::Malformed => return Err(self.close(Doubt::Malformed)),
            }
        }
        Err(ChannelError::Busy)
    }

    /// Takes the answer to `message`, if it is that.
    fn take(&mut self, message: Message) -> Result<(), Doubt> {
        self.pages.read_response(&mut self.response);
        let (header, body) = GuestMessageHeader::mut_from_prefix(&mut *self.response)
            .map_err(|_| Doubt::WrongSize)?;
        let expected = self.sequence.checked_add(1).ok_or(Doubt::Exhausted)?;
        let next = self.sequence.checked_add(2).ok_or(Doubt::Exhausted)?;
        if header.sequence != expected {
            return Err(Doubt::WrongSequence);
        }
        let wanted = GuestMessageInfo::new(
            message.kind.answer(),
            message.version,
            message.answer,
            self.vmpl,
        );
        let found = header.info;
        if found.algorithm != wanted.algorithm
            || found.header_version != wanted.header_version
            || found.header_size != wanted.header_size
        {
            return Err(Doubt::WrongFormat);
        }
        if found.message_type != wanted.message_type {
            return Err(Doubt::WrongType);
        }
        if found.message_version != wanted.message_version {
            return Err(Doubt::WrongVersion);
        }
        if found.vmpck != wanted.vmpck {
            return Err(Doubt::WrongKey);
        }
        let size = usize::from(found.message_size);
        if size != usize::from(wanted.message_size) && size != ANSWER_HEAD {
            return Err(Doubt::WrongSize);
        }
        let (payload, rest) = body.split_at_mut_checked(size).ok_or(Doubt::WrongSize)?;
        let key = self.key.as_ref().ok_or(Doubt::NotAuthentic)?;
        key.open(header, payload).ok_or(Doubt::NotAuthentic)?;
        let is_refusal = !payload.starts_with(FirmwareStatus::SUCCESS.as_bytes());
        if size != usize::from(wanted.message_size) && !is_refusal {
            return Err(Doubt::WrongSize);
        }
        rest.fill(0);
        self.sequence = next;
        self.pending = None;
        Ok(())
    }

    /// Wipes the key, and everything that was said under it.
    fn close(&mut self, doubt: Doubt) -> ChannelError {
        self.key = None;
        self.pending = None;
        self.request.zeroize();
        self.response.zeroize();
        ChannelError::Doubt(doubt)
    }
}

impl Message {
    fn new(kind: MessageType, version: u8, from: &[u8], answer: usize) -> Option<Self> {
        let mut plain = [0; MAX_PLAIN];
        plain.get_mut(..from.len())?.copy_from_slice(from);
        Some(Self {
            kind,
            version,
            plain,
            size: u16::try_from(from.len()).ok()?,
            answer: u16::try_from(answer).ok()?,
        })
    }

    fn plain(&self) -> &[u8] {
        self.plain.get(..usize::from(self.size)).unwrap_or_default()
    }
}

impl core::fmt::Debug for Channel {
    /// Leaves out everything that is nobody's business.
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Channel")
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
