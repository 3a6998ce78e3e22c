//! AES-256-GCM of guest messages: the nonce is the sequence number, the header from its offset 0x30
//! on is the associated data.

use alloc::boxed::Box;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Tag};
use protocols::snp::{GUEST_MESSAGE_TAG, GuestMessageHeader, GuestMessageInfo, VMPCK_SIZE};
use zerocopy::{FromZeros, IntoBytes};
use zeroize::Zeroize;

use super::Page;
use crate::vcpu::OutOfMemory;

/// A VM platform communication key. Wiped when it goes, and so is what is expanded from it. It never
/// moves, so that it leaves no copies on the way.
pub(super) struct Key(Box<[u64; VMPCK_SIZE / 8]>);

impl Key {
    pub(super) fn new(key: &[u8; VMPCK_SIZE]) -> Result<Self, OutOfMemory> {
        let mut place = <[u64; VMPCK_SIZE / 8]>::new_box_zeroed().map_err(|_| OutOfMemory)?;
        place.as_mut_bytes().copy_from_slice(key);
        Ok(Self(place))
    }

    /// Expanded for each message: the round keys are nowhere in between.
    fn cipher(&self) -> Option<Aes256Gcm> {
        Aes256Gcm::new_from_slice(self.0.as_bytes()).ok()
    }

    /// Writes the whole page: header, encrypted payload, zeros. `None` when the payload has another
    /// size than `info` says, or does not fit.
    pub(super) fn seal(
        &self,
        sequence: u64,
        info: GuestMessageInfo,
        plain: &[u8],
        page: &mut Page,
    ) -> Option<()> {
        let mut header = GuestMessageHeader {
            tag: [0; 32],
            sequence,
            reserved_0x28: 0,
            info,
        };
        page.fill(0);
        let body = page
            .get_mut(size_of_val(&header)..)?
            .get_mut(..plain.len())
            .filter(|body| body.len() == usize::from(info.message_size))?;
        body.copy_from_slice(plain);
        let nonce = GuestMessageHeader::nonce(sequence).into();
        let made = self
            .cipher()?
            .encrypt_inout_detached(&nonce, info.as_bytes(), body.into());
        for (to, from) in header.tag.iter_mut().zip(made.ok()?) {
            *to = from;
        }
        header.write_to_prefix(page).ok()
    }

    /// Decrypts `payload` in place, if header and payload are what the holder of the key wrote. If
    /// not, `payload` is of no use.
    pub(super) fn open(&self, header: &GuestMessageHeader, payload: &mut [u8]) -> Option<()> {
        let (tag, _) = header.tag.split_first_chunk::<GUEST_MESSAGE_TAG>()?;
        let nonce = GuestMessageHeader::nonce(header.sequence).into();
        self.cipher()?
            .decrypt_inout_detached(
                &nonce,
                header.info.as_bytes(),
                payload.into(),
                &Tag::from(*tag),
            )
            .ok()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
