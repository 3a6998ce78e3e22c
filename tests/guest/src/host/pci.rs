//! PCI configuration space, by the ports 0xCF8 and 0xCFC.

use protocols::ghcb::IoSize;

use super::port_out;

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;

/// A function of a device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function {
    pub(crate) bus: u8,
    pub(crate) device: u8,
    pub(crate) function: u8,
}

impl Function {
    /// Writes the 32-bit register at this offset, a multiple of 4.
    pub(crate) fn write_config(self, offset: u8, value: u32) {
        let address = ENABLE
            | u32::from(self.bus) << 16
            | u32::from(self.device) << 11
            | u32::from(self.function) << 8
            | u32::from(offset);
        port_out(ADDRESS, IoSize::Dword, address);
        port_out(DATA, IoSize::Dword, value);
    }
}
