//! A line as words, taken one by one.

use core::str::SplitWhitespace;

use protocols::boot::layout;

use crate::lie::Register;
use crate::parse::Wrong;

/// What is left of a line.
#[derive(Clone, Debug)]
pub(crate) struct Words<'a> {
    rest: SplitWhitespace<'a>,
}

/// Fields of the GHCB page that have names here: {name, offset}.
const FIELDS: [(&str, u16); 9] = [
    ("rax", 0x1f8),
    ("rcx", 0x308),
    ("rdx", 0x310),
    ("rbx", 0x318),
    ("exit-code", 0x390),
    ("exit-info1", 0x398),
    ("exit-info2", 0x3a0),
    ("scratch", 0x3a8),
    ("xcr0", 0x3e8),
];

/// Addresses that have names here: those of the image's layout.
const ADDRESSES: [(&str, u64); 14] = [
    ("FIRMWARE_BASE", layout::FIRMWARE_BASE),
    ("STAGE2_BASE", layout::STAGE2_BASE),
    ("PAGE_TABLES", layout::PAGE_TABLES),
    ("CPUID_PAGE", layout::CPUID_PAGE),
    ("SECRETS_PAGE", layout::SECRETS_PAGE),
    ("MEMORY_MAP_PAGE", layout::MEMORY_MAP_PAGE),
    ("IMAGE_HEADER_PAGE", layout::IMAGE_HEADER_PAGE),
    ("TRANSFER_PAGES", layout::TRANSFER_PAGES),
    ("BOOT_GHCB", layout::BOOT_GHCB),
    ("KERNEL_AREA_BASE", layout::KERNEL_AREA_BASE),
    ("PAGE_MAP_BASE", layout::PAGE_MAP_BASE),
    ("GUEST_SECRETS_PAGE", layout::GUEST_SECRETS_PAGE),
    ("GUEST_CALLING_AREA", layout::GUEST_CALLING_AREA),
    ("GUEST_PARAMETER_AREA", layout::GUEST_PARAMETER_AREA),
];

/// Offset of the last 8 bytes of a page.
const LAST_FIELD: u64 = 0xff8;

const PAGE: u64 = 0x1000;

impl<'a> Words<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        Self {
            rest: line.split_whitespace(),
        }
    }

    /// The next word.
    pub(crate) fn next(&mut self, what: &'static str) -> Result<&'a str, Wrong> {
        self.rest.next().ok_or(Wrong::Missing(what))
    }

    /// The next word, which stays.
    pub(crate) fn peek(&self) -> Option<&'a str> {
        self.rest.clone().next()
    }

    /// Nothing may be left.
    pub(crate) fn end(mut self) -> Result<(), Wrong> {
        match self.rest.next() {
            Some(word) => Err(Wrong::unexpected(word)),
            None => Ok(()),
        }
    }

    /// A number of at most `max`: decimal or with 0x, `_` between digits.
    pub(crate) fn number(&mut self, what: &'static str, max: u64) -> Result<u64, Wrong> {
        let value = self.wide_number(what)?;
        match u64::try_from(value) {
            Ok(value) if value <= max => Ok(value),
            _ => Err(Wrong::TooLarge(what)),
        }
    }

    /// A number that the type holds.
    pub(crate) fn typed<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, Wrong> {
        let value = self.number(what, u64::MAX)?;
        T::try_from(value).map_err(|_| Wrong::TooLarge(what))
    }

    /// A number that is there or not: the line ends then.
    pub(crate) fn optional<T: TryFrom<u64>>(
        &mut self,
        what: &'static str,
    ) -> Result<Option<T>, Wrong> {
        match self.peek() {
            Some(_) => self.typed(what).map(Some),
            None => Ok(None),
        }
    }

    fn wide_number(&mut self, what: &'static str) -> Result<u128, Wrong> {
        let word = self.next(what)?;
        parse_number(word).ok_or_else(|| Wrong::not_a_number(what, word))
    }

    /// A number, or the name of an address and what is added to it.
    fn address(&mut self, what: &'static str) -> Result<u128, Wrong> {
        let word = self.next(what)?;
        let not_a_number = || Wrong::not_a_number(what, word);
        let (name, offset) = match word.split_once('+') {
            Some((name, offset)) => (name, parse_number(offset).ok_or_else(not_a_number)?),
            None => (word, 0),
        };
        let base = match ADDRESSES.iter().find(|(known, _)| *known == name) {
            Some((_, base)) => u128::from(*base),
            None if offset == 0 => parse_number(word).ok_or_else(not_a_number)?,
            None => return Err(not_a_number()),
        };
        base.checked_add(offset).ok_or(Wrong::TooLarge(what))
    }

    /// A guest physical page address.
    pub(crate) fn page(&mut self, what: &'static str) -> Result<u64, Wrong> {
        let gpa = u64::try_from(self.address(what)?).map_err(|_| Wrong::TooLarge(what))?;
        if gpa.is_multiple_of(PAGE) {
            Ok(gpa)
        } else {
            Err(Wrong::NotAPage(what))
        }
    }

    /// A number of bytes or an address, as a number of pages: up to 2^64 pages.
    pub(crate) fn pages(&mut self, what: &'static str) -> Result<u64, Wrong> {
        let bytes = self.address(what)?;
        if bytes % u128::from(PAGE) != 0 {
            return Err(Wrong::NotAPage(what));
        }
        u64::try_from(bytes / u128::from(PAGE)).map_err(|_| Wrong::TooLarge(what))
    }

    /// A field of the GHCB page: by name, or by an offset that 8 divides.
    pub(crate) fn field(&mut self) -> Result<u16, Wrong> {
        const WHAT: &str = "a field";
        let word = self.peek().ok_or(Wrong::Missing(WHAT))?;
        if let Some((_, offset)) = FIELDS.iter().find(|(name, _)| *name == word) {
            self.rest.next();
            return Ok(*offset);
        }
        self.word_offset()
    }

    /// An offset of 8 bytes in a page, that 8 divides.
    pub(crate) fn word_offset(&mut self) -> Result<u16, Wrong> {
        let offset = self.number("a field", LAST_FIELD)?;
        match u16::try_from(offset) {
            Ok(small) if offset.is_multiple_of(8) => Ok(small),
            _ => Err(Wrong::NotAField),
        }
    }

    /// A register of a CPUID answer.
    pub(crate) fn register(&mut self) -> Result<Register, Wrong> {
        match self.next("a register")? {
            "eax" => Ok(Register::Eax),
            "ebx" => Ok(Register::Ebx),
            "ecx" => Ok(Register::Ecx),
            "edx" => Ok(Register::Edx),
            word => Err(Wrong::unexpected(word)),
        }
    }
}

/// Decimal, or hexadecimal with 0x; `_` anywhere behind the first digit.
pub(crate) fn parse_number(word: &str) -> Option<u128> {
    let (digits, radix) = match word.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (word, 10),
    };
    if digits.starts_with('_') || digits.ends_with('_') {
        return None;
    }
    let mut value = 0u128;
    let mut any = false;
    for c in digits.chars().filter(|&c| c != '_') {
        let digit = c.to_digit(radix)?;
        value = value
            .checked_mul(u128::from(radix))?
            .checked_add(u128::from(digit))?;
        any = true;
    }
    any.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(parse_number("10"), Some(10));
        assert_eq!(parse_number("0x10"), Some(16));
        assert_eq!(parse_number("0x8000_0010"), Some(0x8000_0010));
        let too_long = "0xfffffffffffffffffffffffffffffffff";
        for word in [
            "", "0x", "_1", "1_", "0x_1", "1g", "0xg", "-1", "+1", "1.0", too_long,
        ] {
            assert_eq!(parse_number(word), None, "{word:?}");
        }
    }

    #[test]
    fn fields_have_names_or_offsets() {
        assert_eq!(Words::new("exit-info2").field(), Ok(0x3a0));
        assert_eq!(Words::new("0xff8").field(), Ok(0xff8));
        assert_eq!(Words::new("0x3a1").field(), Err(Wrong::NotAField));
        assert_eq!(
            Words::new("0x1000").field(),
            Err(Wrong::TooLarge("a field"))
        );
        assert_eq!(Words::new("").field(), Err(Wrong::Missing("a field")));
    }

    #[test]
    fn pages_reach_beyond_64_bits_of_bytes() {
        assert_eq!(
            Words::new("0x1_0000_0000_0000_0000").pages("x"),
            Ok(1 << 52)
        );
        assert_eq!(Words::new("0x1001").pages("x"), Err(Wrong::NotAPage("x")));
        let beyond = "0x1_0000_0000_0000_0000_000";
        assert_eq!(Words::new(beyond).pages("x"), Err(Wrong::TooLarge("x")));
    }
}
