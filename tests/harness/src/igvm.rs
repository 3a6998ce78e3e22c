//! IGVM files as bytes to be spoilt. It knows no more of the format than the
//! tests need, and shares no code with the builder or the machine.

use std::path::Path;

/// Offsets in the fixed header (IGVM specification, `IGVM_FIXED_HEADER`).
const VARIABLE_OFFSET: usize = 8;
const VARIABLE_SIZE: usize = 12;
const CHECKSUM: usize = 20;
const FIXED_HEADER_SIZE: usize = 24;

/// `IGVM_VHT_PAGE_DATA`; its payload begins with the 64-bit GPA.
const PAGE_DATA: u32 = 0x302;

/// An image's bytes.
#[derive(Clone, Debug)]
pub struct Igvm(Vec<u8>);

impl Igvm {
    /// The image of Rampart with OVMF.
    ///
    /// # Panics
    /// If it has not been built.
    pub fn rampart() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/images/rampart.igvm");
        Self(
            std::fs::read(&path)
                .unwrap_or_else(|error| panic!("{}: {error}; make image", path.display())),
        )
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Offset of the first byte after the variable headers.
    pub fn headers_end(&self) -> usize {
        self.number(VARIABLE_OFFSET) + self.number(VARIABLE_SIZE)
    }

    /// Changes a header without mending the checksum.
    pub fn flip_bit_in_headers(&mut self) {
        let last = self.headers_end() - 1;
        self.0[last] ^= 1;
    }

    /// Gives the second page the address of the first.
    ///
    /// # Panics
    /// If the file has less than two pages.
    pub fn put_second_page_on_first(&mut self) {
        let pages = self.page_data();
        let (first, second) = (pages[0], pages[1]);
        self.0.copy_within(first..first + 8, second);
    }

    /// Computes the header's checksum anew.
    pub fn fix_checksum(&mut self) {
        self.0[CHECKSUM..CHECKSUM + 4].fill(0);
        let headers = self.number(VARIABLE_OFFSET)..self.headers_end();
        let sum = crc32(self.0[..FIXED_HEADER_SIZE].iter().chain(&self.0[headers]));
        self.0[CHECKSUM..CHECKSUM + 4].copy_from_slice(&sum.to_le_bytes());
    }

    /// Offsets of the payloads of the page-data headers.
    fn page_data(&self) -> Vec<usize> {
        let mut found = Vec::new();
        let mut at = self.number(VARIABLE_OFFSET);
        while at < self.headers_end() {
            if self.number(at) == PAGE_DATA as usize {
                found.push(at + 8);
            }
            at += 8 + self.number(at + 4).next_multiple_of(8);
        }
        found
    }

    /// The 32-bit number at an offset.
    fn number(&self, offset: usize) -> usize {
        let bytes = self.0[offset..offset + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes) as usize
    }
}

/// CRC-32 as in IEEE 802.3.
fn crc32<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_of_the_standard_check_text() {
        assert_eq!(crc32(b"123456789".iter()), 0xcbf4_3926);
    }

    #[test]
    fn headers_are_walked_and_changed() {
        // A fixed header, a header of another type with a payload of 4 bytes, two pages.
        let mut bytes = b"IGVM\x01\0\0\0\x18\0\0\0\x30\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend([1, 0, 0, 0, 4, 0, 0, 0, 9, 9, 9, 9, 0, 0, 0, 0]);
        for gpa in [0x1000_u64, 0x2000] {
            bytes.extend([2, 3, 0, 0, 8, 0, 0, 0]);
            bytes.extend(gpa.to_le_bytes());
        }
        let mut image = Igvm(bytes);
        assert_eq!(image.headers_end(), image.bytes().len());
        assert_eq!(image.page_data(), [48, 64]);
        image.put_second_page_on_first();
        assert_eq!(image.bytes()[64..], 0x1000_u64.to_le_bytes());
        let before = image.bytes().to_vec();
        image.fix_checksum();
        assert_ne!(image.bytes(), before);
    }
}
