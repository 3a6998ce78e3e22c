//! Where the machine keeps itself. The reset code (boot/reset.s) has the same figures.

/// The machine's share of RAM, in bytes: the top of RAM below 4 GiB.
pub(crate) const RESERVE: u64 = 0x400_0000;

/// Virtual address of the image.
pub(crate) const IMAGE_VMA: u64 = 0xffff_ffff_8000_0000;

/// Offset of the page tables in the reserve; they end it.
pub(crate) const TABLES_OFFSET: u64 = 0x3f0_0000;

/// Virtual address at which physical address 0 is mapped.
pub(crate) const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;

/// Bytes of physical address space in the direct map (16 page-directory-pointer tables).
pub(crate) const DIRECT_MAP_SIZE: u64 = 16 << 39;

/// Physical address bits that the guest is told of (CPUID 0x80000008): all of
/// it lies in the direct map.
///
/// Not 42: OVMF puts its 64-bit PCI window into the top eighth, and when it
/// write-protects its page tables it spoils, by an index that is off, the first
/// GiB of the last 512 GiB that it has just made shared. With 42 bits that GiB is
/// where the first device's registers are; with 43 and more nothing is there.
pub(crate) const GUEST_PHYS_BITS: u8 = 43;

const _: () = assert!(1 << GUEST_PHYS_BITS == DIRECT_MAP_SIZE);
