//! SW_EXITINFO1 of a port access (APM volume 2, section 15.10.2).

/// EXITINFO1 of exit 0x7B: direction, string, repeat, widths, segment, port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IoioInfo(
    /// The 64 bits.
    pub u64,
);

/// Width of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoSize {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Word,
    /// 32 bits.
    Dword,
}

impl IoSize {
    /// Width in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            IoSize::Byte => 1,
            IoSize::Word => 2,
            IoSize::Dword => 4,
        }
    }

    /// The bits of a register that the operand covers.
    pub const fn mask(self) -> u64 {
        match self {
            IoSize::Byte => 0xff,
            IoSize::Word => 0xffff,
            IoSize::Dword => 0xffff_ffff,
        }
    }
}

/// Width of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressSize {
    /// 16 bits.
    Bits16,
    /// 32 bits.
    Bits32,
    /// 64 bits.
    Bits64,
}

impl IoioInfo {
    const IN: u64 = 1;
    const STRING: u64 = 1 << 2;
    const REPEAT: u64 = 1 << 3;

    /// IN from the port, by 64-bit code.
    pub const fn port_in(port: u16, size: IoSize) -> Self {
        Self::encode(port, size, AddressSize::Bits64).or(Self::IN)
    }

    /// OUT to the port, by 64-bit code.
    pub const fn port_out(port: u16, size: IoSize) -> Self {
        Self::encode(port, size, AddressSize::Bits64)
    }

    /// OUT to the port, no string; the `with_` functions change that.
    pub const fn encode(port: u16, size: IoSize, address: AddressSize) -> Self {
        let size = match size {
            IoSize::Byte => 1 << 4,
            IoSize::Word => 1 << 5,
            IoSize::Dword => 1 << 6,
        };
        let address = match address {
            AddressSize::Bits16 => 1 << 7,
            AddressSize::Bits32 => 1 << 8,
            AddressSize::Bits64 => 1 << 9,
        };
        Self(size | address | (port as u64) << 16)
    }

    /// The same access as INS or OUTS, repeated or not, by a segment register:
    /// ES, CS, SS, DS, FS, GS are 0 to 5. Three bits of it are kept.
    pub const fn with_string(self, repeat: bool, segment: u8) -> Self {
        let repeat = if repeat { Self::REPEAT } else { 0 };
        let segment = (segment as u64 & 7) << 10;
        Self(self.0 & !(7 << 10 | Self::REPEAT)).or(Self::STRING | repeat | segment)
    }

    /// The same access as IN, or as OUT.
    pub const fn with_direction(self, is_in: bool) -> Self {
        Self(self.0 & !Self::IN | is_in as u64)
    }

    /// Whether the access reads the port.
    pub const fn is_in(self) -> bool {
        self.0 & Self::IN != 0
    }

    /// Whether it is INS or OUTS.
    pub const fn is_string(self) -> bool {
        self.0 & Self::STRING != 0
    }

    /// Whether it has a REP prefix.
    pub const fn is_repeated(self) -> bool {
        self.0 & Self::REPEAT != 0
    }

    /// Width of the operand, if exactly one is set.
    pub const fn size(self) -> Option<IoSize> {
        match self.0 >> 4 & 7 {
            1 => Some(IoSize::Byte),
            2 => Some(IoSize::Word),
            4 => Some(IoSize::Dword),
            _ => None,
        }
    }

    /// Width of the address, if exactly one is set.
    pub const fn address_size(self) -> Option<AddressSize> {
        match self.0 >> 7 & 7 {
            1 => Some(AddressSize::Bits16),
            2 => Some(AddressSize::Bits32),
            4 => Some(AddressSize::Bits64),
            _ => None,
        }
    }

    /// The segment register of a string access: 0 to 7, of which 0 to 5 exist.
    pub const fn segment(self) -> u8 {
        (self.0 >> 10 & 7) as u8
    }

    /// The port.
    pub const fn port(self) -> u16 {
        (self.0 >> 16) as u16
    }

    const fn or(self, bits: u64) -> Self {
        Self(self.0 | bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZES: [IoSize; 3] = [IoSize::Byte, IoSize::Word, IoSize::Dword];
    const ADDRESSES: [AddressSize; 3] = [
        AddressSize::Bits16,
        AddressSize::Bits32,
        AddressSize::Bits64,
    ];

    #[test]
    fn accesses_are_laid_out_as_the_manual_says() {
        assert_eq!(IoioInfo::port_in(0x3f8, IoSize::Byte).0, 0x03f8_0211);
        assert_eq!(IoioInfo::port_out(0xcf8, IoSize::Dword).0, 0x0cf8_0240);
        let outsb = IoioInfo::port_out(0x402, IoSize::Byte).with_string(true, 3);
        assert_eq!(outsb.0, 0x0402_0e1c);
    }

    #[test]
    fn two_sizes_or_none_are_no_size() {
        assert_eq!(IoioInfo(0).size(), None);
        assert_eq!(IoioInfo(0x30).size(), None);
        assert_eq!(IoioInfo(0x300).address_size(), None);
    }

    proptest! {
        #[test]
        fn an_access_gives_back_what_made_it(
            port: u16, size in 0usize..3, address in 0usize..3, string: bool, repeat: bool,
            segment in 0u8..8, is_in: bool,
        ) {
            let plain = IoioInfo::encode(port, SIZES[size], ADDRESSES[address])
                .with_direction(is_in);
            let info = if string { plain.with_string(repeat, segment) } else { plain };
            prop_assert_eq!(info.port(), port);
            prop_assert_eq!(info.size(), Some(SIZES[size]));
            prop_assert_eq!(info.address_size(), Some(ADDRESSES[address]));
            prop_assert_eq!(info.is_in(), is_in);
            prop_assert_eq!(info.is_string(), string);
            prop_assert_eq!(info.is_repeated(), string && repeat);
            prop_assert_eq!(info.segment(), if string { segment } else { 0 });
            prop_assert_eq!(info.0 >> 32, 0);
        }
    }
}
