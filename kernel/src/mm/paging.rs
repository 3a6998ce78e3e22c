//! Page tables: 4-level, W^X by type, the C-bit in every entry but those of shared pages.
//!
//! stage2 compiles this same file and builds the kernel's first tables with it.
//! Source: AMD64 APM volume 2, 5.3; the C-bit is 15.34.

use core::ptr;

use super::layout::{PAGE_1G, PAGE_2M, PAGE_4K};

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
/// Bits 51:12, the C-bit among them.
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// What may be done with a mapping. There is no writable and executable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read and execute.
    Execute,
    /// Read only.
    Read,
    /// Read and write.
    Write,
}

impl Access {
    const fn bits(self) -> u64 {
        match self {
            Self::Execute => PRESENT,
            Self::Read => PRESENT | NO_EXECUTE,
            Self::Write => PRESENT | WRITABLE | NO_EXECUTE,
        }
    }
}

/// Whom a mapping shows the memory to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// C = 1: the guest's own.
    Private,
    /// C = 0: the host sees and changes it.
    Shared,
}

/// Size of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// 4 KiB.
    Page4K,
    /// 2 MiB.
    Page2M,
    /// 1 GiB.
    Page1G,
}

impl Size {
    /// The size in bytes.
    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::Page4K => PAGE_4K,
            Self::Page2M => PAGE_2M,
            Self::Page1G => PAGE_1G,
        }
    }

    /// The level of the table that holds the leaf: 1 for a page table, 3 for a PDPT.
    const fn level(self) -> u32 {
        match self {
            Self::Page4K => 1,
            Self::Page2M => 2,
            Self::Page1G => 3,
        }
    }
}

/// Why a mapping was not made. Nothing was mapped; empty tables may have been added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PagingError {
    /// An address is not a multiple of the page size, or no physical address.
    BadAddress,
    /// Something is mapped there.
    Occupied,
    /// Nothing is mapped there, or in another size.
    NotMapped,
    /// No frame is left for a table.
    OutOfFrames,
}

/// Where tables come from.
pub(crate) trait FrameSource {
    /// The physical address of a free, zeroed 4 KiB frame.
    fn take_zeroed(&mut self) -> Option<u64>;
}

/// A set of page tables, reached through a linear view of the memory that holds them.
#[derive(Debug)]
pub(crate) struct PageTables {
    root: u64,
    view: u64,
    c_bit: u64,
}

impl PageTables {
    /// The tables whose PML4 is at physical address `root`, each table at virtual address
    /// `view` + physical address; `c_bit` is the mask of the C-bit.
    ///
    /// # Safety
    /// `root` must be a page table (an empty one is), all of whose tables are mapped writable at
    /// that view, and no other value of this type may be in use for the same tables.
    pub(crate) const unsafe fn new(root: u64, view: u64, c_bit: u64) -> Self {
        Self { root, view, c_bit }
    }

    /// Physical address of the PML4.
    pub(crate) const fn root(&self) -> u64 {
        self.root
    }

    /// The value of CR3 that makes these tables the current ones.
    pub(crate) const fn cr3(&self) -> u64 {
        self.root | self.c_bit
    }

    /// Maps `size` bytes at `va` to physical address `pa`.
    ///
    /// # Errors
    /// [`PagingError`].
    pub(crate) fn map(
        &mut self,
        va: u64,
        pa: u64,
        size: Size,
        access: Access,
        sharing: Sharing,
        frames: &mut dyn FrameSource,
    ) -> Result<(), PagingError> {
        if (va | pa) & (size.bytes() - 1) != 0 || pa & (!ADDRESS | self.c_bit) != 0 {
            return Err(PagingError::BadAddress);
        }
        let mut table = self.root;
        for level in (size.level() + 1..=4).rev() {
            let entry = self.read(table, va, level);
            table = if entry & PRESENT == 0 {
                let new = frames.take_zeroed().ok_or(PagingError::OutOfFrames)?;
                self.write(table, va, level, new | self.c_bit | PRESENT | WRITABLE);
                new
            } else if entry & LARGE != 0 {
                return Err(PagingError::Occupied);
            } else {
                self.frame_of(entry)
            };
        }
        let level = size.level();
        if self.read(table, va, level) & PRESENT != 0 {
            return Err(PagingError::Occupied);
        }
        let large = if level > 1 { LARGE } else { 0 };
        let c_bit = match sharing {
            Sharing::Private => self.c_bit,
            Sharing::Shared => 0,
        };
        self.write(table, va, level, pa | c_bit | large | access.bits());
        Ok(())
    }

    /// Takes the mapping of `size` at `va` away. The caller flushes the address.
    ///
    /// # Errors
    /// [`PagingError::NotMapped`].
    pub(crate) fn unmap(&mut self, va: u64, size: Size) -> Result<(), PagingError> {
        let mut table = self.root;
        for level in (size.level() + 1..=4).rev() {
            let entry = self.read(table, va, level);
            if entry & PRESENT == 0 || entry & LARGE != 0 {
                return Err(PagingError::NotMapped);
            }
            table = self.frame_of(entry);
        }
        let level = size.level();
        let entry = self.read(table, va, level);
        if entry & PRESENT == 0 || (level > 1 && entry & LARGE == 0) {
            return Err(PagingError::NotMapped);
        }
        self.write(table, va, level, 0);
        Ok(())
    }

    /// Takes away the whole PML4 entry that `va` is in (512 GiB). Its tables are not reused.
    pub(crate) fn drop_slot(&mut self, va: u64) {
        self.write(self.root, va, 4, 0);
    }

    fn frame_of(&self, entry: u64) -> u64 {
        entry & ADDRESS & !self.c_bit
    }

    fn slot(&self, table: u64, va: u64, level: u32) -> *mut u64 {
        let index = (va >> (12 + 9 * (level - 1))) & 0x1FF;
        // The view of a table is a valid kernel address; the sum cannot carry out of it.
        ptr::with_exposed_provenance_mut((self.view.wrapping_add(table) + index * 8) as usize)
    }

    fn read(&self, table: u64, va: u64, level: u32) -> u64 {
        // SAFETY: `table` is the root or was read from a present entry of these tables, which
        // `new`'s contract says are mapped at the view; the index is below 512.
        unsafe { self.slot(table, va, level).read_volatile() }
    }

    fn write(&mut self, table: u64, va: u64, level: u32, entry: u64) {
        // SAFETY: as for `read`, and `new`'s contract says that nobody else changes these tables.
        unsafe { self.slot(table, va, level).write_volatile(entry) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Frames in ordinary memory: "physical" addresses are offsets into the buffer.
    pub(crate) struct Pool {
        memory: Vec<[u64; 512]>,
        used: usize,
    }

    impl Pool {
        pub(crate) fn new(frames: usize) -> Self {
            Self {
                memory: vec![[0; 512]; frames],
                used: 1,
            }
        }
        fn view(&self) -> u64 {
            self.memory.as_ptr().expose_provenance() as u64
        }
    }

    impl FrameSource for Pool {
        fn take_zeroed(&mut self) -> Option<u64> {
            let index = self.used;
            (index < self.memory.len()).then(|| {
                self.used += 1;
                index as u64 * PAGE_4K
            })
        }
    }

    pub(crate) const C: u64 = 1 << 51;

    pub(crate) fn tables(pool: &Pool) -> PageTables {
        // SAFETY: frame 0 of the pool is zeroed and the pool outlives the tables in each test.
        unsafe { PageTables::new(0, pool.view(), C) }
    }

    /// Walks as the processor does: the entry that maps `va`, and the shift of its size.
    pub(crate) fn walk(pool: &Pool, va: u64) -> Option<(u64, u64)> {
        let mut table = 0u64;
        for level in (1..=4u32).rev() {
            let index = (va >> (12 + 9 * (level - 1))) & 0x1FF;
            let entry = pool.memory[(table / PAGE_4K) as usize][index as usize];
            if entry & PRESENT == 0 {
                return None;
            }
            if level == 1 || (level < 4 && entry & LARGE != 0) {
                return Some((entry, 12 + 9 * u64::from(level - 1)));
            }
            assert_ne!(entry & C, 0, "a table without the C-bit");
            table = entry & ADDRESS & !C;
        }
        None
    }

    #[test]
    fn maps_each_size_with_its_protection() {
        let mut pool = Pool::new(16);
        let mut t = tables(&pool);
        let va = 0xFFFF_8000_0000_0000u64;
        t.map(
            va,
            0x1000,
            Size::Page4K,
            Access::Execute,
            Sharing::Private,
            &mut pool,
        )
        .unwrap();
        t.map(
            va + PAGE_2M,
            PAGE_2M,
            Size::Page2M,
            Access::Write,
            Sharing::Private,
            &mut pool,
        )
        .unwrap();
        t.map(
            va + PAGE_1G,
            0,
            Size::Page1G,
            Access::Read,
            Sharing::Shared,
            &mut pool,
        )
        .unwrap();
        assert_eq!(walk(&pool, va), Some((0x1000 | C | PRESENT, 12)));
        let large = PAGE_2M | C | PRESENT | WRITABLE | LARGE | NO_EXECUTE;
        assert_eq!(walk(&pool, va + PAGE_2M + 5), Some((large, 21)));
        assert_eq!(
            walk(&pool, va + PAGE_1G),
            Some((PRESENT | LARGE | NO_EXECUTE, 30))
        );
        assert_eq!(walk(&pool, va + PAGE_4K), None);
    }

    #[test]
    fn refuses_misaligned_and_occupied() {
        let mut pool = Pool::new(16);
        let mut t = tables(&pool);
        let w = Access::Write;
        let p = Sharing::Private;
        assert_eq!(
            t.map(0x1000, 0, Size::Page2M, w, p, &mut pool),
            Err(PagingError::BadAddress)
        );
        assert_eq!(
            t.map(0, C, Size::Page4K, w, p, &mut pool),
            Err(PagingError::BadAddress)
        );
        assert_eq!(t.map(0, 0x1000, Size::Page4K, w, p, &mut pool), Ok(()));
        assert_eq!(
            t.map(0, 0, Size::Page4K, w, p, &mut pool),
            Err(PagingError::Occupied)
        );
        assert_eq!(
            t.map(0, 0, Size::Page2M, w, p, &mut pool),
            Err(PagingError::Occupied)
        );
        t.map(PAGE_2M, 0, Size::Page2M, w, p, &mut pool).unwrap();
        assert_eq!(
            t.map(PAGE_2M, 0, Size::Page4K, w, p, &mut pool),
            Err(PagingError::Occupied)
        );
    }

    #[test]
    fn unmaps_only_what_is_there_in_that_size() {
        let mut pool = Pool::new(16);
        let mut t = tables(&pool);
        let (w, p) = (Access::Write, Sharing::Private);
        t.map(0, 0, Size::Page4K, w, p, &mut pool).unwrap();
        assert_eq!(t.unmap(PAGE_4K, Size::Page4K), Err(PagingError::NotMapped));
        assert_eq!(t.unmap(0, Size::Page2M), Err(PagingError::NotMapped));
        t.unmap(0, Size::Page4K).unwrap();
        assert_eq!(walk(&pool, 0), None);
    }

    #[test]
    fn running_out_of_frames_is_an_error() {
        let mut pool = Pool::new(3);
        let mut t = tables(&pool);
        assert_eq!(
            t.map(
                0,
                0,
                Size::Page4K,
                Access::Write,
                Sharing::Private,
                &mut pool
            ),
            Err(PagingError::OutOfFrames)
        );
    }
}
