//! Responses, taken apart field by field.

use crate::constants::SESSIONS;

/// A response of a TPM.
#[derive(Clone, PartialEq, Eq)]
pub struct Response(pub Vec<u8>);

impl std::fmt::Debug for Response {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:#05x} ", self.code())?;
        for byte in self.0.iter().skip(10) {
            write!(out, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl Response {
    /// The response code.
    #[must_use]
    pub fn code(&self) -> u32 {
        Reader(self.0.get(6..).unwrap_or(&[])).u32()
    }

    /// What comes after the header, or after the handle and the parameters' size
    /// where there are sessions.
    ///
    /// # Panics
    /// If the command failed, or the response is too short.
    #[must_use]
    pub fn body(&self, handles: usize) -> Reader<'_> {
        assert_eq!(self.code(), 0, "the command failed: {self:?}");
        let size = if self.0[..2] == SESSIONS.to_be_bytes() {
            4
        } else {
            0
        };
        Reader(&self.0[10 + handles * 4 + size..])
    }

    /// The handle that a command made.
    ///
    /// # Panics
    /// If the command failed.
    #[must_use]
    pub fn handle(&self) -> u32 {
        assert_eq!(self.code(), 0, "the command failed: {self:?}");
        Reader(&self.0[10..]).u32()
    }
}

/// Takes fields from the front.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// So many bytes.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn raw(&mut self, length: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(length);
        self.0 = rest;
        front
    }
    /// A u8.
    pub fn u8(&mut self) -> u8 {
        self.raw(1)[0]
    }
    /// A u16.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.raw(2).try_into().expect("two bytes"))
    }
    /// A u32.
    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.raw(4).try_into().expect("four bytes"))
    }
    /// A u64.
    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.raw(8).try_into().expect("eight bytes"))
    }
    /// The bytes of a TPM2B.
    pub fn sized(&mut self) -> &'a [u8] {
        let length = self.u16();
        self.raw(usize::from(length))
    }
}
