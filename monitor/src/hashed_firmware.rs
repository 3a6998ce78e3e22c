//! The guest firmware of an image that has only its hash: the host gives it, unmeasured, and it is
//! taken if it is the one that the measured header names.
//!
//! The bytes are copied once out of the pages that the host can write, to where they will run, which
//! is private to VMPL0 by then. What lies there is hashed, and only after that does the guest's level
//! get a right to it: what the host does to its pages in the meantime changes nothing.

use core::mem::size_of;

use protocols::addr::{Gpa, GpaRange, PAGE_4K};
use protocols::boot::FirmwareHash;
use protocols::fw_cfg::FIRMWARE_FILE;
use protocols::ghcb::{Ghcb, RampartReason};
use sha2::{Digest, Sha384};

use crate::fatal::Fatal;
use crate::fw_cfg::FwCfg;
use crate::platform::{GuestMemory, Host, TransferPages};

/// A piece of the firmware on its way.
pub type Piece = [u8; PAGE_4K as usize];

/// Gets the guest firmware from the host and puts it to `rom`, which is private, validated, and which
/// nobody but VMPL0 can reach. `piece` is memory to work in, for which a stack is too small.
///
/// # Errors
/// [`Fatal`] when the host has no such file, or one of another size or with another hash; when its
/// device fails.
pub fn place<P: GuestMemory + Host + ?Sized, T: TransferPages + ?Sized>(
    platform: &mut P,
    ghcb: &mut Ghcb,
    pages: &mut T,
    rom: GpaRange,
    wanted: &FirmwareHash,
    piece: &mut Piece,
) -> Result<(), Fatal> {
    let mut device = FwCfg::new(pages);
    let missing = Fatal::new(RampartReason::FirmwareMissing);
    let file = device.find(platform, ghcb, FIRMWARE_FILE)?.ok_or(missing)?;
    if u64::from(file.size) != rom.len() {
        return Err(Fatal::with_detail(
            RampartReason::FirmwareSizeMismatch,
            file.size.into(),
        ));
    }
    let size = usize::try_from(rom.len()).map_err(|_| Fatal::INTERNAL)?;
    let mut at = rom.start();
    device.read(platform, ghcb, file, size, piece, |platform, bytes| {
        let end = next(at, bytes.len())?;
        if end > rom.end() {
            return Err(Fatal::INTERNAL);
        }
        platform.write(at, bytes)?;
        at = end;
        Ok(())
    })?;
    let found = hash(platform, rom, piece)?;
    if found != *wanted {
        // Enough of it to tell which one it was.
        return Err(Fatal::with_detail(
            RampartReason::FirmwareHashMismatch,
            first(&found),
        ));
    }
    Ok(())
}

/// SHA-384 of private memory.
fn hash<P: GuestMemory + ?Sized>(
    platform: &mut P,
    range: GpaRange,
    piece: &mut Piece,
) -> Result<FirmwareHash, Fatal> {
    let mut hash = Sha384::new();
    let mut at = range.start();
    while at < range.end() {
        let rest = range.end().get().saturating_sub(at.get());
        let len = usize::try_from(rest).map_or(piece.len(), |rest| rest.min(piece.len()));
        let bytes = piece.get_mut(..len).ok_or(Fatal::INTERNAL)?;
        platform.read(at, bytes)?;
        hash.update(&*bytes);
        at = next(at, len)?;
    }
    Ok(hash.finalize().into())
}

fn next(at: Gpa, len: usize) -> Result<Gpa, Fatal> {
    at.checked_add(len as u64).ok_or(Fatal::INTERNAL)
}

/// The first bytes of a hash as a number that reads like them.
fn first(hash: &FirmwareHash) -> u64 {
    const LEN: usize = size_of::<u64>();
    hash.first_chunk::<LEN>()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests;
