//! The kernel: unpacked, placed by its program headers, mapped W^X.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use protocols::addr::{Gpa, GpaRange, PAGE_2M, PAGE_4K};
use protocols::boot::layout::{
    BOOT_GHCB, C_BIT, KERNEL_AREA, KERNEL_VMA, LAUNCH_AREA, STAGE2_BASE, STAGE2_SIZE,
};
use protocols::boot::{Extent, PackedPayload};

use crate::elf::{Elf, ElfError, Segment};
use crate::layout::{OWN_BASE, SHARED_BASE};
use crate::memory::{Frames, KernelArea, launched};
use crate::paging::{Access, FrameSource, PageTables, PagingError, Sharing, Size};

/// Frames for the kernel's first page tables: four trees of three levels, their root, and spare.
const TABLE_FRAMES: u64 = 20;

/// Why the kernel can't be started. All of it is the image's fault, never the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// The packed kernel does not unpack to what the header says.
    Unpack,
    /// The ELF file.
    Elf(ElfError),
    /// A segment lies outside the kernel's place, or the kernel does not fit.
    Place,
    /// The page tables.
    Paging(PagingError),
}

impl From<ElfError> for LoadError {
    fn from(error: ElfError) -> Self {
        Self::Elf(error)
    }
}

impl From<PagingError> for LoadError {
    fn from(error: PagingError) -> Self {
        Self::Paging(error)
    }
}

/// A kernel in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded {
    /// Virtual address of its first instruction.
    pub(crate) entry: u64,
    /// Where its image is.
    pub(crate) image: Extent,
}

/// Unpacks and places the kernel at the front of `area`.
pub(crate) fn kernel(
    payload: &PackedPayload,
    area: &mut KernelArea,
) -> Result<(Loaded, Elf<'static>), LoadError> {
    let packed = payload.range().and_then(launched).ok_or(LoadError::Place)?;
    let size = payload.unpacked as usize;
    let scratch = area
        .take_back(u64::from(payload.unpacked))
        .ok_or(LoadError::Place)?;
    let file = scratch.get_mut(..size).ok_or(LoadError::Place)?;
    unpack(packed, file)?;
    let elf = Elf::parse(file)?;

    let mut end = KERNEL_VMA;
    for segment in elf.segments() {
        let segment = segment?;
        end = end.max(
            segment
                .address
                .checked_add(segment.memory)
                .ok_or(LoadError::Place)?,
        );
    }
    let (gpa, image) = area
        .take_front(end.wrapping_sub(KERNEL_VMA))
        .ok_or(LoadError::Place)?;
    for segment in elf.segments() {
        let segment = segment?;
        let start = offset(&segment)?;
        let end = start
            .checked_add(segment.bytes.len())
            .ok_or(LoadError::Place)?;
        // What the file does not have of a segment is zero, as the area is.
        image
            .get_mut(start..end)
            .ok_or(LoadError::Place)?
            .copy_from_slice(segment.bytes);
    }
    if !(KERNEL_VMA..end).contains(&elf.entry) {
        return Err(LoadError::Place);
    }
    let image = Extent::new(gpa, image.len() as u64);
    Ok((
        Loaded {
            entry: elf.entry,
            image,
        },
        elf,
    ))
}

/// Where in the image a segment begins.
fn offset(segment: &Segment<'_>) -> Result<usize, LoadError> {
    let offset = segment
        .address
        .checked_sub(KERNEL_VMA)
        .ok_or(LoadError::Place)?;
    if !offset.is_multiple_of(PAGE_4K) {
        return Err(LoadError::Place);
    }
    usize::try_from(offset).map_err(|_| LoadError::Place)
}

/// Inflates `packed` into exactly `to`.
fn unpack(packed: &[u8], to: &mut [u8]) -> Result<(), LoadError> {
    let mut decompressor = DecompressorOxide::new();
    let (status, taken, made) = decompress(
        &mut decompressor,
        packed,
        to,
        0,
        TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
    );
    if status == TINFLStatus::Done && taken == packed.len() && made == to.len() {
        Ok(())
    } else {
        Err(LoadError::Unpack)
    }
}

/// Builds the tables that the kernel starts on; see `layout.rs` for the address space.
pub(crate) fn address_space(
    loaded: &Loaded,
    elf: Elf<'_>,
    area: &mut KernelArea,
) -> Result<PageTables, LoadError> {
    let (gpa, _) = area
        .take_front(TABLE_FRAMES * PAGE_4K)
        .ok_or(LoadError::Place)?;
    let mut frames = Frames::new(gpa, TABLE_FRAMES);
    let root = frames.take_zeroed().ok_or(LoadError::Place)?;
    // SAFETY: the frames were taken from the kernel area for this; stage2 maps it one to one.
    let mut tables = unsafe { PageTables::new(root, 0, 1 << C_BIT) };
    let mut map =
        |va, gpa, size, access, sharing| tables.map(va, gpa, size, access, sharing, &mut frames);

    for segment in elf.segments() {
        let segment = segment?;
        let start = offset(&segment)? as u64;
        let access = match (segment.write, segment.execute) {
            (false, true) => Access::Execute,
            (false, false) => Access::Read,
            (true, _) => Access::Write,
        };
        let end = start
            .checked_add(segment.memory)
            .filter(|end| *end <= loaded.image.len)
            .ok_or(LoadError::Place)?;
        for page in (start..end).step_by(PAGE_4K as usize) {
            let gpa = loaded.image.gpa + page;
            map(
                KERNEL_VMA + page,
                gpa,
                Size::Page4K,
                access,
                Sharing::Private,
            )?;
        }
    }

    // The launch area is read only: nobody changes what was measured.
    for page in LAUNCH_AREA.pages(protocols::addr::PageSize::Size2M) {
        let gpa = page.gpa().get();
        map(
            OWN_BASE + gpa,
            gpa,
            Size::Page2M,
            Access::Read,
            Sharing::Private,
        )?;
    }
    // The kernel area without the kernel's image, which has no second, writable mapping.
    let image = loaded.image.range().ok_or(LoadError::Place)?;
    for large in (KERNEL_AREA.start().get()..KERNEL_AREA.end().get()).step_by(PAGE_2M as usize) {
        let piece = GpaRange::new(Gpa::new(large), PAGE_2M).ok_or(LoadError::Place)?;
        if !piece.overlaps(image) {
            map(
                OWN_BASE + large,
                large,
                Size::Page2M,
                Access::Write,
                Sharing::Private,
            )?;
            continue;
        }
        for gpa in (large..large + PAGE_2M).step_by(PAGE_4K as usize) {
            if !image.contains(Gpa::new(gpa)) {
                map(
                    OWN_BASE + gpa,
                    gpa,
                    Size::Page4K,
                    Access::Write,
                    Sharing::Private,
                )?;
            }
        }
    }
    map(
        SHARED_BASE + BOOT_GHCB,
        BOOT_GHCB,
        Size::Page4K,
        Access::Write,
        Sharing::Shared,
    )?;
    // The instructions of the jump; the kernel drops this mapping first of all.
    for gpa in (STAGE2_BASE..STAGE2_BASE + STAGE2_SIZE).step_by(PAGE_4K as usize) {
        map(gpa, gpa, Size::Page4K, Access::Execute, Sharing::Private)?;
    }
    Ok(tables)
}
