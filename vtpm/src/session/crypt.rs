//! Encryption of the first parameter (Part 1, 19).

use crate::crypto::kdf::{kdfa, xor_obfuscate};
use crate::crypto::sym::{Mode, crypt};
use crate::rc::{Rc, Result};
use crate::session::Session;
use crate::wire::SymDef;
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// Encrypts or decrypts `data`. The key is made of the session's key and
/// `auth`, the auth value of the entity that the session authorizes (empty if
/// none).
pub fn parameter(
    session: &Session,
    auth: &[u8],
    encrypt: bool,
    nonce_newer: &[u8],
    nonce_older: &[u8],
    data: &mut [u8],
) -> Result<()> {
    let mut key = Zeroizing::new(Vec::with_capacity(session.key.len() + auth.len()));
    key.extend_from_slice(&session.key);
    key.extend_from_slice(auth);
    match session.symmetric {
        SymDef::Null => Err(Rc::SYMMETRIC),
        SymDef::Xor(hash) => {
            xor_obfuscate(hash, &key, nonce_newer, nonce_older, data);
            Ok(())
        }
        SymDef::Aes(aes) => {
            let bits = u32::from(aes.key_bits) + 128;
            let material = kdfa(session.hash, &key, b"CFB", nonce_newer, nonce_older, bits);
            let (aes_key, iv) = material
                .split_at_checked(aes.key_bytes())
                .ok_or(Rc::FAILURE)?;
            let mut iv: [u8; 16] = iv.try_into().map_err(|_| Rc::FAILURE)?;
            crypt(Mode::Cfb, encrypt, aes_key, &mut iv, data).map_err(|_| Rc::FAILURE)
        }
    }
}
