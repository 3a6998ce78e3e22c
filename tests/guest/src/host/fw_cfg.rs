//! QEMU's fw_cfg device, by its ports: what the person who launches the guest has to say to it.

use protocols::ghcb::IoSize;

use super::{port_in, port_out};

const SELECTOR: u16 = 0x510;
const DATA: u16 = 0x511;
const DIRECTORY: u16 = 0x19;
/// Files in the directory of a QEMU that is in its right mind.
const MAX_FILES: u32 = 256;
/// A directory entry: length, selector, two reserved bytes, name.
const ENTRY: usize = 64;
const NAME: usize = 8;

fn select(selector: u16) {
    port_out(SELECTOR, IoSize::Word, selector.into());
}

fn bytes<const N: usize>() -> [u8; N] {
    [0; N].map(|_: u8| port_in(DATA, IoSize::Byte) as u8)
}

/// Reads the first bytes of a file; how many there are. `None`: there is no such file.
pub(crate) fn read_file(name: &str, content: &mut [u8]) -> Option<usize> {
    select(DIRECTORY);
    let count = u32::from_be_bytes(bytes()).min(MAX_FILES);
    for _ in 0..count {
        let entry: [u8; ENTRY] = bytes();
        let found = entry[NAME..].split(|byte| *byte == 0).next();
        if found == Some(name.as_bytes()) {
            let length = u32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]]) as usize;
            let length = length.min(content.len());
            select(u16::from_be_bytes([entry[4], entry[5]]));
            content[..length]
                .iter_mut()
                .for_each(|byte| *byte = port_in(DATA, IoSize::Byte) as u8);
            return Some(length);
        }
    }
    None
}
