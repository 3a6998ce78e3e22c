//! Who knows all keys and reads every message along: what must never be seen of the
//! messages between VMPL0's firmware and the secure processor. No host can do that.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use protocols::snp::{FirmwareStatus, GuestMessageHeader, KeyResponse, MessageType, Vmpl};
use sha2::{Digest, Sha384};
use zerocopy::FromBytes;

use super::Vmpck;
use super::message::{self, Page};

/// Derived keys that are remembered: the first ones.
const MOST_DERIVED: usize = 16;

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A level has the key of a more privileged one.
    ForeignKey {
        /// Who sent the message.
        level: Vmpl,
        /// Whose key it is under.
        key: u8,
    },
    /// VMPL0 encrypted two messages with one sequence number, or one with a number
    /// that an answer has used.
    NumberTwice {
        /// Under the key of this level.
        key: u8,
        /// The number.
        sequence: u64,
    },
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignKey { level, key } => {
                write!(f, "{level} sent a message under VMPCK{key}")
            }
            Self::NumberTwice { key, sequence } => write!(
                f,
                "VMPL0 used sequence number {sequence} under VMPCK{key} a second time"
            ),
        }
    }
}

/// What was seen of guest messages so far.
pub struct Witness {
    keys: [Vmpck; Vmpl::COUNT],
    /// By key and sequence number, what was encrypted.
    seen: BTreeMap<(u8, u64), [u8; 48]>,
    derived: Vec<[u8; 32]>,
}

/// A message that its key opens.
struct Opened {
    header: GuestMessageHeader,
    digest: [u8; 48],
    payload: Vec<u8>,
}

impl Witness {
    /// One who knows these keys.
    pub fn new(keys: [Vmpck; Vmpl::COUNT]) -> Self {
        Self {
            keys,
            seen: BTreeMap::new(),
            derived: Vec::new(),
        }
    }

    /// A level makes a guest request with this page. A page that no key opens says
    /// nothing about who encrypted it: the host may have changed it.
    ///
    /// # Errors
    /// [`Seen`].
    pub fn sent(&mut self, level: Vmpl, page: &Page) -> Result<(), Seen> {
        let Some(Opened { header, digest, .. }) = self.open(page) else {
            return Ok(());
        };
        let (key, sequence) = (header.info.vmpck, header.sequence);
        if key < level.get() {
            return Err(Seen::ForeignKey { level, key });
        }
        if level != Vmpl::VMPL0 {
            return Ok(());
        }
        match *self.seen.entry((key, sequence)).or_insert(digest) == digest {
            true => Ok(()),
            false => Err(Seen::NumberTwice { key, sequence }),
        }
    }

    /// The secure processor has answered a guest request with this page.
    pub fn answered(&mut self, page: &Page) {
        let Some(opened) = self.open(page) else {
            return;
        };
        let info = opened.header.info;
        self.seen
            .insert((info.vmpck, opened.header.sequence), opened.digest);
        if info.vmpck == Vmpl::VMPL0.get()
            && info.message_type == MessageType::KEY_REQ.answer()
            && let Ok(response) = KeyResponse::read_from_bytes(&opened.payload)
            && response.status == FirmwareStatus::SUCCESS
            && self.derived.len() < MOST_DERIVED
            && !self.derived.contains(&response.key)
        {
            self.derived.push(response.key);
        }
    }

    /// Keys that VMPL0 had derived, the first few.
    pub fn derived(&self) -> &[[u8; 32]] {
        &self.derived
    }

    fn open(&self, page: &Page) -> Option<Opened> {
        let header = message::header(page);
        let key = self.keys.get(usize::from(header.info.vmpck))?;
        let end = size_of_val(&header) + usize::from(header.info.message_size);
        let digest = Sha384::digest(page.get(..end)?).into();
        let mut opened = Box::new(*page);
        let payload = message::open(key, &mut opened).ok()?.to_vec();
        Some(Opened {
            header,
            digest,
            payload,
        })
    }
}

impl fmt::Debug for Witness {
    /// Leaves the keys out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness")
            .field("messages", &self.seen.len())
            .finish_non_exhaustive()
    }
}
