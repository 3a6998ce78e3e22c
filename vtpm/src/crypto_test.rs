//! Known answers that SelfTest compares the primitives with.

use crate::crypto::hash::HashAlg;
use crate::crypto::hmac::hmac;
use crate::crypto::sym::{Mode, crypt};

/// First bytes of H("abc") (FIPS 180-4 examples).
const ABC: [(HashAlg, [u8; 4]); 4] = [
    (HashAlg::Sha1, [0xa9, 0x99, 0x3e, 0x36]),
    (HashAlg::Sha256, [0xba, 0x78, 0x16, 0xbf]),
    (HashAlg::Sha384, [0xcb, 0x00, 0x75, 0x3f]),
    (HashAlg::Sha512, [0xdd, 0xaf, 0x35, 0xa1]),
];

/// First bytes of HMAC-SHA-256 of RFC 4231, case 2.
const HMAC_CASE_2: [u8; 4] = [0x5b, 0xdc, 0xc1, 0x46];

/// FIPS 197, appendix B: AES-128 of one block.
const AES_KEY: [u8; 16] = [
    0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c,
];
const AES_PLAIN: [u8; 16] = [
    0x32, 0x43, 0xf6, 0xa8, 0x88, 0x5a, 0x30, 0x8d, 0x31, 0x31, 0x98, 0xa2, 0xe0, 0x37, 0x07, 0x34,
];
const AES_CIPHER: [u8; 4] = [0x39, 0x25, 0x84, 0x1d];

/// Whether all primitives give the known answers.
pub(crate) fn passes() -> bool {
    let hashes = ABC
        .iter()
        .all(|(alg, start)| alg.digest(&[b"abc"]).starts_with(start));
    let mac = hmac(HashAlg::Sha256, b"Jefe", &[b"what do ya want for nothing?"]);
    let mut block = AES_PLAIN;
    let aes = crypt(Mode::Ecb, true, &AES_KEY, &mut [0; 16], &mut block).is_ok();
    hashes && mac.starts_with(&HMAC_CASE_2) && aes && block.starts_with(&AES_CIPHER)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_primitives_pass() {
        assert!(super::passes());
    }
}
