//! A client of QEMU's fw_cfg device, for files that the host gives without their being measured.
//!
//! Everything that comes back is the host's word (threat 24): numbers of files, selectors, sizes,
//! contents. A transfer is as long as was asked for, whatever the host says; it goes to pages that
//! are shared with it, and what the firmware uses of them it copies once.

use core::hint::spin_loop;
use core::mem::size_of;

use protocols::addr::{Gpa, PAGE_4K};
use protocols::fw_cfg::{
    DMA_LOW_PORT, DmaAccess, DmaControl, FILE_DIRECTORY, FileCount, FileEntry,
};
use protocols::ghcb::{Ghcb, RampartReason};
use zerocopy::{FromZeros, IntoBytes};

use crate::fatal::Fatal;
use crate::ghcb_client;
use crate::platform::{Host, TransferPages};

/// Most entries that a directory may have; QEMU has some dozens.
pub const MAX_FILES: u32 = 1024;
/// Where the data begins in the pages; before it is the request.
const DATA: usize = PAGE_4K as usize;
/// How often the request's answer is looked for. QEMU has it ready when the port was written.
const MAX_LOOKS: u32 = 1 << 20;

/// A file, by what the directory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    selector: u16,
    /// Bytes.
    pub size: u32,
}

/// The device, and the pages that its data comes through.
#[derive(Debug)]
pub struct FwCfg<'a, T: ?Sized> {
    pages: &'a mut T,
}

const fn failed(detail: u64) -> Fatal {
    Fatal::with_detail(RampartReason::FwCfgFailed, detail)
}

impl<'a, T: TransferPages + ?Sized> FwCfg<'a, T> {
    /// The device, with pages for its data.
    pub fn new(pages: &'a mut T) -> Self {
        Self { pages }
    }

    /// The file with this name, if the host has it.
    ///
    /// # Errors
    /// [`Fatal`] when the host refuses the transfer, or names more than [`MAX_FILES`] files.
    pub fn find<H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        ghcb: &mut Ghcb,
        name: &[u8],
    ) -> Result<Option<File>, Fatal> {
        let control = DmaControl::READ.select(FILE_DIRECTORY);
        // As long as it may be: behind its end the device puts zeros.
        let most = size_of::<FileEntry>()
            .saturating_mul(MAX_FILES as usize)
            .saturating_add(size_of::<FileCount>())
            .min(self.room());
        self.transfer(host, ghcb, control, most)?;
        let mut count = FileCount::new_zeroed();
        self.pages.read(DATA, count.as_mut_bytes());
        if count.get() > MAX_FILES {
            return Err(failed(count.get().into()));
        }
        let mut at = DATA.saturating_add(size_of::<FileCount>());
        for _ in 0..count.get() {
            let mut entry = FileEntry::new_zeroed();
            self.pages.read(at, entry.as_mut_bytes());
            if entry.is_named(name) {
                return Ok(Some(File {
                    selector: entry.selector.get(),
                    size: entry.size.get(),
                }));
            }
            at = at.saturating_add(size_of::<FileEntry>());
        }
        Ok(None)
    }

    /// Has `len` bytes from the file's start on handed to `take` in order: copies, in pieces of at
    /// most `piece.len()`. Behind the file's end there is whatever the host puts there.
    ///
    /// # Errors
    /// [`Fatal`] when the host refuses a transfer; those of `take`.
    pub fn read<H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        ghcb: &mut Ghcb,
        file: File,
        len: usize,
        piece: &mut [u8],
        mut take: impl FnMut(&mut H, &[u8]) -> Result<(), Fatal>,
    ) -> Result<(), Fatal> {
        let mut control = DmaControl::READ.select(file.selector);
        let mut rest = len;
        while rest != 0 {
            let here = rest.min(self.room());
            self.transfer(host, ghcb, control, here)?;
            control = DmaControl::READ;
            let mut at = 0usize;
            while at < here {
                let some = here.saturating_sub(at).min(piece.len());
                let copy = piece.get_mut(..some).ok_or(Fatal::INTERNAL)?;
                if copy.is_empty() {
                    return Err(Fatal::INTERNAL);
                }
                self.pages.read(DATA.saturating_add(at), copy);
                take(host, copy)?;
                at = at.saturating_add(some);
            }
            rest = rest.saturating_sub(here);
        }
        Ok(())
    }

    /// Bytes that one transfer can bring.
    fn room(&self) -> usize {
        self.pages.size().saturating_sub(DATA)
    }

    fn transfer<H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        ghcb: &mut Ghcb,
        control: DmaControl,
        len: usize,
    ) -> Result<(), Fatal> {
        let data = self.pages.gpa().checked_add(DATA as u64);
        let (data, request) = (data.ok_or(Fatal::INTERNAL)?, low(self.pages.gpa())?);
        let len = u32::try_from(len)
            .ok()
            .filter(|len| *len != 0)
            .ok_or(Fatal::INTERNAL)?;
        let access = DmaAccess::new(control, len, data.get());
        self.pages.write(0, access.as_bytes());
        ghcb_client::write_port_32(host, ghcb, DMA_LOW_PORT, request.swap_bytes())?;
        for _ in 0..MAX_LOOKS {
            let mut answer = [0; 4];
            self.pages.read(0, &mut answer);
            match u32::from_be_bytes(answer) {
                0 => return Ok(()),
                answer if answer & DmaControl::ERROR != 0 => return Err(failed(answer.into())),
                _ => spin_loop(),
            }
        }
        Err(failed(control.0.into()))
    }
}

/// An address below 4 GiB.
fn low(gpa: Gpa) -> Result<u32, Fatal> {
    u32::try_from(gpa.get()).map_err(|_| Fatal::INTERNAL)
}

#[cfg(test)]
mod tests;
