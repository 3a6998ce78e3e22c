//! The TCP protocol of the TPM 2.0 reference simulator: numbers and frames.
//!
//! Source: the reference implementation's `TpmTcpProtocol.h`, as the mssim TCTI
//! of tpm2-tss and the socket interface of IBM's TSS speak it. All numbers are
//! u32, big-endian. A port ends every answer with a u32 that is 0 for success.

use std::io::{self, Read};

/// What a client may ask of either port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request(pub u32);

impl Request {
    /// Platform: power on; nothing happens if it is on.
    pub const POWER_ON: Self = Self(1);
    /// Platform: power off.
    pub const POWER_OFF: Self = Self(2);
    /// Platform: physical presence asserted.
    pub const PHYSICAL_PRESENCE_ON: Self = Self(3);
    /// Platform: physical presence no longer asserted.
    pub const PHYSICAL_PRESENCE_OFF: Self = Self(4);
    /// `_TPM_Hash_Start`.
    pub const HASH_START: Self = Self(5);
    /// `_TPM_Hash_Data`: u32 length, bytes.
    pub const HASH_DATA: Self = Self(6);
    /// `_TPM_Hash_End`.
    pub const HASH_END: Self = Self(7);
    /// Command: u8 locality, u32 length, bytes; answered with u32 length, bytes.
    pub const SEND_COMMAND: Self = Self(8);
    /// Platform: the running command and those that follow are cancelled.
    pub const CANCEL_ON: Self = Self(9);
    /// Platform: commands run again.
    pub const CANCEL_OFF: Self = Self(10);
    /// Platform: NV memory can be written.
    pub const NV_ON: Self = Self(11);
    /// Platform: NV memory cannot be written.
    pub const NV_OFF: Self = Self(12);
    /// Platform: keys may be cached; accepted and without effect.
    pub const KEY_CACHE_ON: Self = Self(13);
    /// Platform: keys may not be cached; accepted and without effect.
    pub const KEY_CACHE_OFF: Self = Self(14);
    /// Both: u32 version of the client; answered with u32 version, u32 abilities.
    pub const REMOTE_HANDSHAKE: Self = Self(15);
    /// Platform: the reset line.
    pub const RESET: Self = Self(17);
    /// Platform: the same as [`Self::RESET`] for this TPM.
    pub const RESTART: Self = Self(18);
    /// Both: the client goes; there is no answer.
    pub const SESSION_END: Self = Self(20);
    /// Both: the server ends; there is no answer.
    pub const STOP: Self = Self(21);
}

/// The version of the protocol that a handshake answers with.
pub const VERSION: u32 = 1;

/// A handshake's abilities: platform signals available, physical presence supported.
pub const ABILITIES: u32 = 0x2 | 0x4;

/// The answer's last word when all went well.
pub const SUCCESS: u32 = 0;

/// The answer to a platform signal that does not exist.
pub const FAILURE: u32 = 1;

/// The longest block that a client may send, in bytes; a TPM takes far less, and
/// answers the rest with a response code.
pub const MAX_BLOCK: u32 = 1 << 20;

/// Reads a u32.
///
/// # Errors
/// The stream's own, and `UnexpectedEof` if it ends.
pub fn read_u32(stream: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

/// Reads a u8.
///
/// # Errors
/// The stream's own, and `UnexpectedEof` if it ends.
pub fn read_u8(stream: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0; 1];
    stream.read_exact(&mut byte)?;
    let [byte] = byte;
    Ok(byte)
}

/// Reads a u32 length and so many bytes. Memory grows with what arrives, not
/// with what the length promises.
///
/// # Errors
/// The stream's own, `UnexpectedEof` if it ends, `InvalidData` for a length over
/// [`MAX_BLOCK`].
pub fn read_block(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = read_u32(stream)?;
    if length > MAX_BLOCK {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a block of {length} bytes; {MAX_BLOCK} are the most"),
        ));
    }
    let mut block = Vec::new();
    stream.take(u64::from(length)).read_to_end(&mut block)?;
    if block.len() as u64 != u64::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(block)
}

/// Reads the next request; `None` if the client went between two of them.
///
/// # Errors
/// The stream's own, and `UnexpectedEof` if it ends inside the number.
pub fn next_request(stream: &mut impl Read) -> io::Result<Option<Request>> {
    let mut bytes = [0; 4];
    let mut have = 0;
    while have < bytes.len() {
        let Some(rest) = bytes.get_mut(have..) else {
            break;
        };
        match stream.read(rest) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(Request(u32::from_be_bytes(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_lies_allocates_nothing_and_fails() {
        let mut short: &[u8] = &[0, 0, 0x10, 0, 1, 2, 3];
        assert_eq!(
            read_block(&mut short).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        let mut long: &[u8] = &[0xff; 8];
        assert_eq!(
            read_block(&mut long).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn the_end_between_requests_is_no_error() {
        let mut nothing: &[u8] = &[];
        assert_eq!(next_request(&mut nothing).unwrap(), None);
        let mut cut: &[u8] = &[0, 0];
        assert!(next_request(&mut cut).is_err());
        let mut whole: &[u8] = &[0, 0, 0, 8];
        assert_eq!(
            next_request(&mut whole).unwrap(),
            Some(Request::SEND_COMMAND)
        );
    }
}
