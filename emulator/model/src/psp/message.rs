//! The encryption of guest messages: AES-256-GCM, the nonce being the sequence
//! number, with the header from its offset 0x30 on as associated data. Both ends use
//! it: the tests play the guest with it.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Tag};
use protocols::snp::{GUEST_MESSAGE_PAGE, GUEST_MESSAGE_TAG, GuestMessageHeader, GuestMessageInfo};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::Vmpck;

/// The page that a message is in.
pub type Page = [u8; GUEST_MESSAGE_PAGE];

/// A page without a message that this key opens, or a payload that no page takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMessage;

/// The header of a message, not authenticated.
pub fn header(page: &Page) -> GuestMessageHeader {
    GuestMessageHeader::read_from_prefix(page)
        .map_or_else(|_| GuestMessageHeader::new_zeroed(), |(header, _)| header)
}

/// The payload's bytes in a page.
fn payload(page: &mut Page, size: u16) -> Option<&mut [u8]> {
    page.get_mut(size_of::<GuestMessageHeader>()..)?
        .get_mut(..usize::from(size))
}

/// Writes a message into a page and encrypts it. The rest of the page is zero.
///
/// # Errors
/// [`BadMessage`] for a payload of another size than `info` says, or too large.
pub fn seal(
    key: &Vmpck,
    sequence: u64,
    info: GuestMessageInfo,
    plain: &[u8],
    page: &mut Page,
) -> Result<(), BadMessage> {
    page.fill(0);
    let body = payload(page, info.message_size).ok_or(BadMessage)?;
    if body.len() != plain.len() {
        return Err(BadMessage);
    }
    body.copy_from_slice(plain);
    let nonce = GuestMessageHeader::nonce(sequence).into();
    let made = Aes256Gcm::new(&(*key).into())
        .encrypt_inout_detached(&nonce, info.as_bytes(), body.into())
        .map_err(|_| BadMessage)?;
    let mut header = GuestMessageHeader {
        tag: [0; 32],
        sequence,
        reserved_0x28: 0,
        info,
    };
    for (to, from) in header.tag.iter_mut().zip(made) {
        *to = from;
    }
    header.write_to_prefix(page).map_err(|_| BadMessage)
}

/// Decrypts the message in a page where it is.
///
/// # Errors
/// [`BadMessage`]: the header names more bytes than a page has, or header and
/// payload are not what the holder of the key wrote.
pub fn open<'a>(key: &Vmpck, page: &'a mut Page) -> Result<&'a [u8], BadMessage> {
    let header = header(page);
    let body = payload(page, header.info.message_size).ok_or(BadMessage)?;
    let (tag, _) = header
        .tag
        .split_first_chunk::<GUEST_MESSAGE_TAG>()
        .ok_or(BadMessage)?;
    Aes256Gcm::new(&(*key).into())
        .decrypt_inout_detached(
            &GuestMessageHeader::nonce(header.sequence).into(),
            header.info.as_bytes(),
            (&mut *body).into(),
            &Tag::from(*tag),
        )
        .map_err(|_| BadMessage)?;
    Ok(body)
}
