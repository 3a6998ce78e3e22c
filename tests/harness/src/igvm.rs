//! IGVM files as bytes to be spoilt. It knows no more of the format than the
//! tests need, and shares no code with the builder or the machine.

use std::path::Path;

/// Offsets in the fixed header (IGVM specification, `IGVM_FIXED_HEADER`).
const VARIABLE_OFFSET: usize = 8;
const VARIABLE_SIZE: usize = 12;
const TOTAL_SIZE: usize = 16;
const CHECKSUM: usize = 20;
const FIXED_HEADER_SIZE: usize = 24;

/// `IGVM_VHT_PAGE_DATA`; its payload begins with the 64-bit GPA.
const PAGE_DATA: usize = 0x302;

/// Headers whose payload has the offset of file data at [`FILE_OFFSET`]: page data,
/// `IGVM_VHT_PARAMETER_AREA` and `IGVM_VHT_VP_CONTEXT`.
const WITH_FILE_DATA: [usize; 3] = [PAGE_DATA, 0x301, 0x304];
const FILE_OFFSET: usize = 12;

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

    /// Adds a variable header behind the others. The file data moves, and what names
    /// its places follows.
    pub fn append_header(&mut self, kind: u32, payload: &[u8]) {
        let mut header = kind.to_le_bytes().to_vec();
        header.extend((payload.len() as u32).to_le_bytes());
        header.extend(payload);
        header.resize(header.len().next_multiple_of(8), 0);
        for at in self.payloads(&WITH_FILE_DATA) {
            if self.number(at + FILE_OFFSET) != 0 {
                self.add(at + FILE_OFFSET, header.len());
            }
        }
        let end = self.headers_end();
        self.0.splice(end..end, header.iter().copied());
        self.add(VARIABLE_SIZE, header.len());
        self.add(TOTAL_SIZE, header.len());
        self.fix_checksum();
    }

    /// Offsets of the payloads of the page-data headers.
    fn page_data(&self) -> Vec<usize> {
        self.payloads(&[PAGE_DATA])
    }

    /// Offsets of the payloads of headers of these types.
    fn payloads(&self, kinds: &[usize]) -> Vec<usize> {
        let mut found = Vec::new();
        let mut at = self.number(VARIABLE_OFFSET);
        while at < self.headers_end() {
            if kinds.contains(&self.number(at)) {
                found.push(at + 8);
            }
            at += 8 + self.number(at + 4).next_multiple_of(8);
        }
        found
    }

    /// Adds to the 32-bit number at an offset.
    fn add(&mut self, offset: usize, more: usize) {
        let sum = (self.number(offset) + more) as u32;
        self.0[offset..offset + 4].copy_from_slice(&sum.to_le_bytes());
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

    #[test]
    fn a_header_is_added_and_the_data_moves() {
        // A fixed header, a page with data behind the headers, and the data.
        let mut bytes = b"IGVM\x01\0\0\0\x18\0\0\0\x18\0\0\0\x32\0\0\0\0\0\0\0".to_vec();
        bytes.extend([2, 3, 0, 0, 16, 0, 0, 0]);
        bytes.extend([0; 12]);
        bytes.extend([0x30, 0, 0, 0]);
        bytes.extend(b"ab");
        let mut image = Igvm(bytes);
        image.append_header(0x30b, &[7; 5]);
        assert_eq!(image.headers_end(), 0x40);
        assert_eq!(image.number(TOTAL_SIZE), image.bytes().len());
        let at = image.number(image.page_data()[0] + FILE_OFFSET);
        assert_eq!(&image.bytes()[at..], b"ab");
        let added = [0xb, 3, 0, 0, 5, 0, 0, 0, 7, 7, 7, 7, 7, 0, 0, 0];
        assert_eq!(image.bytes()[0x30..0x40], added);
    }
}
