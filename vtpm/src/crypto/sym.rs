//! AES in the modes of TPM2_EncryptDecrypt; CFB is also what protects
//! parameters, private areas and contexts.

use super::CryptoError;
use super::kdf::xor;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256, Block};
use zeroize::Zeroize;

/// AES's block, and so the size of an IV, in bytes.
pub const BLOCK_SIZE: usize = 16;

/// A mode of operation (SP 800-38A).
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Counter; the whole block counts, big-endian.
    Ctr,
    /// Output feedback.
    Ofb,
    /// Cipher block chaining, whole blocks only.
    Cbc,
    /// Cipher feedback of whole blocks (CFB-128).
    Cfb,
    /// Electronic code book, whole blocks only, without an IV.
    Ecb,
}

impl Mode {
    /// All of them, in the order of their identifiers.
    pub const ALL: [Self; 5] = [Self::Ctr, Self::Ofb, Self::Cbc, Self::Cfb, Self::Ecb];

    /// The `TPM_ALG_ID` (TPM 2.0 Part 2, 6.3).
    pub const fn id(self) -> u16 {
        match self {
            Self::Ctr => 0x0040,
            Self::Ofb => 0x0041,
            Self::Cbc => 0x0042,
            Self::Cfb => 0x0043,
            Self::Ecb => 0x0044,
        }
    }

    /// The mode of a `TPM_ALG_ID`, if it is an implemented mode.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.id() == id)
    }
}

/// An AES key of any of the three sizes; its schedule is wiped when it goes.
enum Aes {
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
}

impl Aes {
    fn new(key: &[u8]) -> Result<Self, CryptoError> {
        let bad = |_| CryptoError::Parameter;
        Ok(match key.len() {
            16 => Self::Aes128(Aes128::new_from_slice(key).map_err(bad)?),
            24 => Self::Aes192(Aes192::new_from_slice(key).map_err(bad)?),
            32 => Self::Aes256(Aes256::new_from_slice(key).map_err(bad)?),
            _ => return Err(CryptoError::Parameter),
        })
    }

    fn encrypt(&self, block: &mut [u8; BLOCK_SIZE]) {
        let mut copy = Block::from(*block);
        match self {
            Self::Aes128(aes) => aes.encrypt_block(&mut copy),
            Self::Aes192(aes) => aes.encrypt_block(&mut copy),
            Self::Aes256(aes) => aes.encrypt_block(&mut copy),
        }
        *block = copy.into();
    }

    fn decrypt(&self, block: &mut [u8; BLOCK_SIZE]) {
        let mut copy = Block::from(*block);
        match self {
            Self::Aes128(aes) => aes.decrypt_block(&mut copy),
            Self::Aes192(aes) => aes.decrypt_block(&mut copy),
            Self::Aes256(aes) => aes.decrypt_block(&mut copy),
        }
        *block = copy.into();
    }
}

/// Encrypts or decrypts `data` in place with a key of 16, 24 or 32 bytes.
///
/// `iv` becomes the IV with which a next call goes on, as TPM2_EncryptDecrypt's
/// `ivOut`: the next counter, the last key stream block, or the last ciphertext
/// block. After a last part of a block CFB pads that with zeros, and the
/// counter and the key stream count it as a whole block.
///
/// # Errors
/// `Parameter` if the key's length is none of AES's, or if CBC or ECB get
/// something else than whole blocks; `data` and `iv` are then unchanged.
pub fn crypt(
    mode: Mode,
    encrypt: bool,
    key: &[u8],
    iv: &mut [u8; BLOCK_SIZE],
    data: &mut [u8],
) -> Result<(), CryptoError> {
    let aes = Aes::new(key)?;
    if matches!(mode, Mode::Cbc | Mode::Ecb) && !data.len().is_multiple_of(BLOCK_SIZE) {
        return Err(CryptoError::Parameter);
    }
    for chunk in data.chunks_mut(BLOCK_SIZE) {
        match mode {
            Mode::Ctr => {
                let mut stream = *iv;
                aes.encrypt(&mut stream);
                xor(chunk, &stream);
                stream.zeroize();
                *iv = u128::from_be_bytes(*iv).wrapping_add(1).to_be_bytes();
            }
            Mode::Ofb => {
                aes.encrypt(iv);
                xor(chunk, iv);
            }
            Mode::Cfb => {
                let mut stream = *iv;
                aes.encrypt(&mut stream);
                if !encrypt {
                    *iv = padded(chunk);
                }
                xor(chunk, &stream);
                stream.zeroize();
                if encrypt {
                    *iv = padded(chunk);
                }
            }
            Mode::Cbc => {
                let mut block = padded(chunk);
                if encrypt {
                    xor(&mut block, iv);
                    aes.encrypt(&mut block);
                    *iv = block;
                } else {
                    let ciphertext = block;
                    aes.decrypt(&mut block);
                    xor(&mut block, iv);
                    *iv = ciphertext;
                }
                chunk.copy_from_slice(&block);
                block.zeroize();
            }
            Mode::Ecb => {
                let mut block = padded(chunk);
                if encrypt {
                    aes.encrypt(&mut block);
                } else {
                    aes.decrypt(&mut block);
                }
                chunk.copy_from_slice(&block);
                block.zeroize();
            }
        }
    }
    Ok(())
}

/// At most a block, with zeros behind it.
fn padded(chunk: &[u8]) -> [u8; BLOCK_SIZE] {
    let mut block = [0; BLOCK_SIZE];
    for (out, byte) in block.iter_mut().zip(chunk) {
        *out = *byte;
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::hex;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const PLAIN: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                         30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    const KEY_128: &str = "2b7e151628aed2a6abf7158809cf4f3c";
    const KEY_192: &str = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b";
    const KEY_256: &str = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
    const IV: &str = "000102030405060708090a0b0c0d0e0f";
    const COUNTER: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

    /// SP 800-38A, appendix F: the first two blocks of each mode.
    #[test]
    fn known_ciphertexts() {
        for (mode, key, iv, expected) in [
            (
                Mode::Ecb,
                KEY_128,
                IV,
                "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf",
            ),
            (
                Mode::Cbc,
                KEY_128,
                IV,
                "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
            ),
            (
                Mode::Cfb,
                KEY_128,
                IV,
                "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b",
            ),
            (
                Mode::Ofb,
                KEY_128,
                IV,
                "3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825",
            ),
            (
                Mode::Ctr,
                KEY_128,
                COUNTER,
                "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff",
            ),
            (
                Mode::Cfb,
                KEY_192,
                IV,
                "cdc80d6fddf18cab34c25909c99a417467ce7f7f81173621961a2b70171d3d7a",
            ),
            (
                Mode::Ecb,
                KEY_256,
                IV,
                "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870",
            ),
            (
                Mode::Cbc,
                KEY_256,
                IV,
                "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
            ),
            (
                Mode::Cfb,
                KEY_256,
                IV,
                "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b",
            ),
            (
                Mode::Ofb,
                KEY_256,
                IV,
                "dc7e84bfda79164b7ecd8486985d38604febdc6740d20b3ac88f6ad82a4fb08d",
            ),
            (
                Mode::Ctr,
                KEY_256,
                COUNTER,
                "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5",
            ),
        ] {
            let mut data = hex(PLAIN)[..32].to_vec();
            let mut iv_out: [u8; 16] = hex(iv).try_into().unwrap();
            crypt(mode, true, &hex(key), &mut iv_out, &mut data).unwrap();
            assert_eq!(data, hex(expected), "{mode:?} {}", key.len() * 4);
            let mut iv_out: [u8; 16] = hex(iv).try_into().unwrap();
            crypt(mode, false, &hex(key), &mut iv_out, &mut data).unwrap();
            assert_eq!(data, hex(PLAIN)[..32], "{mode:?} back");
        }
    }

    #[test]
    fn identifiers() {
        for mode in Mode::ALL {
            assert_eq!(Mode::from_id(mode.id()), Some(mode));
        }
        assert_eq!(Mode::from_id(0x003f), None);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut iv = [7; 16];
        let mut data = [9; 17];
        for len in [0, 1, 15, 17, 31, 33, 64] {
            let refused = crypt(Mode::Cfb, true, &[0; 64][..len], &mut iv, &mut data);
            assert_eq!(refused, Err(CryptoError::Parameter));
        }
        for mode in [Mode::Cbc, Mode::Ecb] {
            let refused = crypt(mode, true, &[0; 16], &mut iv, &mut data);
            assert_eq!(refused, Err(CryptoError::Parameter));
        }
        assert_eq!((iv, data), ([7; 16], [9; 17]));
    }

    /// The counter runs over the whole block.
    #[test]
    fn the_counter_wraps() {
        let mut iv = [0xff; 16];
        crypt(Mode::Ctr, true, &[0; 16], &mut iv, &mut [0; 17]).unwrap();
        assert_eq!(u128::from_be_bytes(iv), 1);
    }

    #[test]
    fn a_part_of_a_block_leaves_a_padded_iv() {
        let mut iv = [3; 16];
        let mut data = [0; 18];
        crypt(Mode::Cfb, true, &[0; 16], &mut iv, &mut data).unwrap();
        assert_eq!(iv[..2], data[16..]);
        assert_eq!(iv[2..], [0; 14]);
    }

    fn any_key() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 16),
            prop::collection::vec(any::<u8>(), 24),
            prop::collection::vec(any::<u8>(), 32),
        ]
    }

    proptest! {
        /// Two calls, the second with the first one's IV, are one; and what was
        /// encrypted is decrypted.
        #[test]
        fn chaining_and_inverse(
            mode in prop::sample::select(Mode::ALL.to_vec()),
            key in any_key(),
            iv: [u8; 16],
            blocks in 0usize..9,
            cut in 0usize..9,
            rest in 0usize..16,
            fill: [u8; 160],
        ) {
            let rest = if matches!(mode, Mode::Cbc | Mode::Ecb) { 0 } else { rest };
            let plain = fill[..blocks * 16 + rest].to_vec();
            let mut once = plain.clone();
            let mut iv_once = iv;
            crypt(mode, true, &key, &mut iv_once, &mut once).unwrap();
            for encrypt in [true, false] {
                let (mut data, expected) = if encrypt { (plain.clone(), &once) } else { (once.clone(), &plain) };
                let (a, b) = data.split_at_mut(cut.min(blocks) * 16);
                let mut iv_twice = iv;
                crypt(mode, encrypt, &key, &mut iv_twice, a).unwrap();
                crypt(mode, encrypt, &key, &mut iv_twice, b).unwrap();
                prop_assert_eq!(&data, expected);
                prop_assert_eq!(iv_twice, iv_once);
            }
        }
    }
}
