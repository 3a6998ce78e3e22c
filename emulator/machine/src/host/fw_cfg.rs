//! QEMU's fw_cfg device: read by the machine for its own files, and presented
//! to the guest with the one difference that etc/e820 does not show the
//! machine's memory.

use alloc::vec;
use alloc::vec::Vec;

use super::memory::Memory;
use crate::arch::port;
use crate::mem::phys;

const SELECTOR: u16 = 0x510;
const DATA: u16 = 0x511;
const DMA_HIGH: u16 = 0x514;
const DMA_LOW: u16 = 0x518;

const PROCESSOR_COUNT: u16 = 0x05;
const FILE_DIRECTORY: u16 = 0x19;

const DMA_ERROR: u32 = 1;
const DMA_READ: u32 = 1 << 1;
const DMA_SKIP: u32 = 1 << 2;
const DMA_SELECT: u32 = 1 << 3;
const DMA_WRITE: u32 = 1 << 4;

const E820_ENTRY: usize = 20;
const E820_RAM: u32 = 1;

/// An entry of etc/e820.
#[derive(Clone, Copy, Debug)]
pub(crate) struct E820 {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) kind: u32,
}

/// A DMA request in memory, big-endian: control, length, address.
fn dma(control: u32, len: u32, address: u64) -> u32 {
    let mut request = [0; 16];
    request[..4].copy_from_slice(&control.to_be_bytes());
    request[4..8].copy_from_slice(&len.to_be_bytes());
    request[8..].copy_from_slice(&address.to_be_bytes());
    let at = phys::of(&raw const request);
    port::write(DMA_HIGH, 4, ((at >> 32) as u32).swap_bytes());
    port::write(DMA_LOW, 4, (at as u32).swap_bytes());
    // QEMU has done it when the write returns; it wrote the control word.
    u32::from_be(phys::read(at))
}

/// {selector, length} of a file.
fn find(name: &str) -> Option<(u16, u32)> {
    let mut count = [0; 4];
    port::write(SELECTOR, 2, u32::from(FILE_DIRECTORY));
    count
        .iter_mut()
        .for_each(|byte| *byte = port::read(DATA, 1) as u8);
    for _ in 0..u32::from_be_bytes(count) {
        let mut entry = [0; 64];
        entry
            .iter_mut()
            .for_each(|byte| *byte = port::read(DATA, 1) as u8);
        let len = u32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]]);
        let selector = u16::from_be_bytes([entry[4], entry[5]]);
        let text = entry[8..]
            .split(|&byte| byte == 0)
            .next()
            .unwrap_or_default();
        if text == name.as_bytes() {
            return Some((selector, len));
        }
    }
    None
}

/// Reads a whole file.
pub(crate) fn read_file(name: &str) -> Option<Vec<u8>> {
    let (selector, len) = find(name)?;
    let mut bytes = vec![0; len as usize];
    let control = DMA_SELECT | DMA_READ | u32::from(selector) << 16;
    let error = dma(control, len, phys::of(bytes.as_mut_ptr())) & DMA_ERROR;
    (error == 0).then_some(bytes)
}

/// How many processors QEMU has.
pub(crate) fn processor_count() -> u16 {
    port::write(SELECTOR, 2, u32::from(PROCESSOR_COUNT));
    u16::from_le_bytes([port::read(DATA, 1) as u8, port::read(DATA, 1) as u8])
}

/// Parses etc/e820.
pub(crate) fn e820() -> Option<Vec<E820>> {
    let bytes = read_file("etc/e820")?;
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or_default();
    Some(
        bytes
            .chunks_exact(E820_ENTRY)
            .map(|entry| E820 {
                start: word(&entry[..8]),
                len: word(&entry[8..16]),
                kind: u32::from_le_bytes([entry[16], entry[17], entry[18], entry[19]]),
            })
            .collect(),
    )
}

impl E820 {
    /// Whether the entry is RAM.
    pub(crate) fn is_ram(&self) -> bool {
        self.kind == E820_RAM
    }
}

/// The device as the guest sees it.
pub(crate) struct FwCfg {
    e820_selector: u16,
    e820: Vec<u8>,
    selector: u16,
    /// Position in etc/e820, while that is selected.
    offset: usize,
    dma_high: u32,
}

impl FwCfg {
    /// The device with this e820 map in place of QEMU's.
    pub(crate) fn new(map: &[E820]) -> Option<Self> {
        let (e820_selector, _) = find("etc/e820")?;
        let mut e820 = Vec::new();
        for entry in map {
            e820.extend_from_slice(&entry.start.to_le_bytes());
            e820.extend_from_slice(&entry.len.to_le_bytes());
            e820.extend_from_slice(&entry.kind.to_le_bytes());
        }
        Some(Self {
            e820_selector,
            e820,
            selector: 0,
            offset: 0,
            dma_high: 0,
        })
    }

    fn select(&mut self, selector: u16) {
        self.selector = selector;
        self.offset = 0;
        port::write(SELECTOR, 2, u32::from(selector));
    }

    /// A port read of the guest.
    pub(crate) fn read(&mut self, port: u16, size: u8) -> u32 {
        if port == DATA && self.selector == self.e820_selector {
            let byte = self.e820.get(self.offset).copied().unwrap_or(0);
            self.offset += 1;
            return u32::from(byte);
        }
        match (port, size) {
            (DATA, 1) | (DMA_HIGH | DMA_LOW, 4) => port::read(port, size),
            _ => 0,
        }
    }

    /// A port write of the guest.
    pub(crate) fn write(&mut self, memory: &Memory, port: u16, size: u8, value: u32) {
        match (port, size) {
            (SELECTOR, 2) => self.select(value as u16),
            (DMA_HIGH, 4) => self.dma_high = value.swap_bytes(),
            (DMA_LOW, 4) => {
                let address = u64::from(self.dma_high) << 32 | u64::from(value.swap_bytes());
                self.dma_high = 0;
                let error = self.guest_dma(memory, address).is_none();
                let control = if error { DMA_ERROR } else { 0 };
                // A request that lies in no shared memory gets no answer either.
                let _ = memory.write_shared(address, &control.to_be_bytes());
            }
            _ => {}
        }
    }

    /// Serves a DMA request of the guest, whose request and data lie in shared memory.
    fn guest_dma(&mut self, memory: &Memory, address: u64) -> Option<()> {
        let mut request = [0; 16];
        memory.read_shared(address, &mut request)?;
        let control = u32::from_be_bytes(request[..4].try_into().ok()?);
        let len = u32::from_be_bytes(request[4..8].try_into().ok()?);
        let target = u64::from_be_bytes(request[8..].try_into().ok()?);
        if control & DMA_SELECT != 0 {
            self.select((control >> 16) as u16);
        }
        let transfer = control & (DMA_READ | DMA_SKIP | DMA_WRITE);
        if transfer == 0 || len == 0 {
            return Some(());
        }
        if self.selector == self.e820_selector {
            return self.e820_dma(memory, transfer, len as usize, target);
        }
        if transfer == DMA_SKIP {
            return (dma(DMA_SKIP, len, 0) & DMA_ERROR == 0).then_some(());
        }
        // Page by page: each has to be shared, and only RAM is where QEMU sees it.
        let mut done = 0;
        while done < len {
            let at = target.checked_add(u64::from(done))?;
            let part = (len - done).min(0x1000 - (at as u32 & 0xfff));
            let spa = memory.shared(at, u64::from(part))?;
            if dma(transfer, part, spa) & DMA_ERROR != 0 {
                return None;
            }
            done += part;
        }
        Some(())
    }

    fn e820_dma(&mut self, memory: &Memory, transfer: u32, len: usize, target: u64) -> Option<()> {
        let start = self.offset.min(self.e820.len());
        let end = start.saturating_add(len).min(self.e820.len());
        match transfer {
            DMA_READ => {
                memory.write_shared(target, self.e820.get(start..end)?)?;
                self.offset = end;
                Some(())
            }
            DMA_SKIP => {
                self.offset = end;
                Some(())
            }
            _ => None,
        }
    }
}
