//! Where everything lies in guest physical memory: the launch area, the kernel
//! area, the validated-page map, and the pages that the guest firmware expects.
//!
//! Addresses are guest physical addresses without the C-bit, sizes are bytes.

use crate::addr::{Gpa, GpaRange, PAGE_2M, PAGE_4K};

/// Number of the page-table bit that marks a page private. The measured tables
/// carry it, so the image is for hosts whose C-bit it is: every part so far.
pub const C_BIT: u32 = 51;

/// First byte of Rampart's fixed range.
///
/// OVMF takes the RAM from address 0 up to the first hole for all its low
/// memory and puts its own permanent memory at the end of it, so the range lies
/// as high as a guest of 512 MiB allows, the page map of 1 TiB included.
pub const FIRMWARE_BASE: u64 = 0x1800_0000;
/// Length of Rampart's fixed range: the launch area and the kernel area.
pub const FIRMWARE_SIZE: u64 = LAUNCH_AREA_SIZE + KERNEL_AREA_SIZE;

/// The pages that the launch loads, 4 KiB each.
pub const LAUNCH_AREA_BASE: u64 = FIRMWARE_BASE;
/// Length of the launch area: what the payloads need. A larger guest firmware needs a larger
/// one, here and nowhere else.
pub const LAUNCH_AREA_SIZE: u64 = 2 * PAGE_2M;
/// The launch area as a range.
pub const LAUNCH_AREA: GpaRange = range(LAUNCH_AREA_BASE, LAUNCH_AREA_SIZE);

/// What stage2 validates in 2 MiB pages: kernel, its tables, heap.
pub const KERNEL_AREA_BASE: u64 = LAUNCH_AREA_BASE + LAUNCH_AREA_SIZE;
/// Length of the kernel area: what one vCPU needs, and the TPM.
pub const KERNEL_AREA_SIZE: u64 = 2 * PAGE_2M;
/// The kernel area as a range.
pub const KERNEL_AREA: GpaRange = range(KERNEL_AREA_BASE, KERNEL_AREA_SIZE);

/// The validated-page map follows the kernel area. Its length depends on the
/// guest's RAM. Behind it lies the memory of the vCPUs but the first.
pub const PAGE_MAP_BASE: u64 = KERNEL_AREA_BASE + KERNEL_AREA_SIZE;

/// stage2: its image, bss and stack. The entry is the first byte.
pub const STAGE2_BASE: u64 = LAUNCH_AREA_BASE;
/// Most that stage2 may take.
pub const STAGE2_SIZE: u64 = 0x1_0000;

/// Page tables that stage2 starts on. The first page is the PML4.
pub const PAGE_TABLES: u64 = FIRMWARE_BASE + 0x1_0000;
/// Most that the page tables may take: eight pages.
pub const PAGE_TABLES_SIZE: u64 = 8 * PAGE_4K;

/// The CPUID page that the secure processor checked.
pub const CPUID_PAGE: u64 = FIRMWARE_BASE + 0x1_8000;
/// The secrets page that the secure processor wrote.
pub const SECRETS_PAGE: u64 = FIRMWARE_BASE + 0x1_9000;
/// IGVM parameter area 0: the host's memory map. Not measured.
pub const MEMORY_MAP_PAGE: u64 = FIRMWARE_BASE + 0x1_a000;
/// IGVM parameter area 1: the host's number of virtual processors. Not measured.
pub const VP_COUNT_PAGE: u64 = FIRMWARE_BASE + 0x1_b000;
/// The measured [`ImageHeader`](super::ImageHeader).
pub const IMAGE_HEADER_PAGE: u64 = FIRMWARE_BASE + 0x1_c000;

/// First byte of the packed payloads: kernel, then guest firmware. Each starts
/// at a page.
pub const PAYLOAD_BASE: u64 = FIRMWARE_BASE + 0x2_0000;
/// End of the payloads, first byte beyond.
pub const PAYLOAD_END: u64 = MESSAGE_PAGES;

/// In an image that has only the hash of its guest firmware: the pages that the kernel shares with
/// the host to get the firmware through. A page for the request, then the data. The launch does not
/// load them; in other images payloads may lie there.
pub const TRANSFER_PAGES: u64 = LAUNCH_AREA_BASE + PAGE_2M;
/// Length of these pages: as many as one page-state change takes, at most.
pub const TRANSFER_PAGES_SIZE: u64 = PAGE_4K + 0x8_0000;

/// The pages that the kernel shares with the host for guest messages: a request, its answer, and
/// the host's certificates. The launch does not load them.
pub const MESSAGE_PAGES: u64 = BOOT_GHCB - MESSAGE_PAGES_SIZE;
/// Length of these pages.
pub const MESSAGE_PAGES_SIZE: u64 = 6 * PAGE_4K;

/// The GHCB page that stage2 shares with the host. The launch does not load it.
pub const BOOT_GHCB: u64 = LAUNCH_AREA_BASE + LAUNCH_AREA_SIZE - PAGE_4K;

/// In stage2, `SHARED_ALIAS + g` is GPA `g` with the C-bit clear, and `g` is
/// GPA `g` with the C-bit set, for `g` below [`IDENTITY_SIZE`].
pub const SHARED_ALIAS: u64 = 0x4000_0000;
/// What stage2's tables map, from GPA 0.
pub const IDENTITY_SIZE: u64 = 0x4000_0000;

/// Virtual address that the kernel is linked at.
pub const KERNEL_VMA: u64 = 0xffff_ffff_8000_0000;

/// The guest firmware ends here, and starts its size below.
pub const GUEST_FIRMWARE_END: u64 = 0x1_0000_0000;
/// Most that a guest firmware may measure.
pub const GUEST_FIRMWARE_MAX_SIZE: u64 = 0x100_0000;

/// Secrets page of the guest firmware.
pub const GUEST_SECRETS_PAGE: u64 = 0x80_d000;
/// CPUID page of the guest firmware.
pub const GUEST_CPUID_PAGE: u64 = 0x80_e000;
/// Calling area of the guest's boot processor.
pub const GUEST_CALLING_AREA: u64 = 0x80_f000;
/// IGVM parameter area of the guest firmware (OVMF).
pub const GUEST_PARAMETER_AREA: u64 = 0x81_2000;
/// Offset of the memory map in the guest's parameter area.
pub const GUEST_MEMORY_MAP_OFFSET: u64 = 0;
/// Most entries that fit before the processor count.
pub const GUEST_MEMORY_MAP_MAX_ENTRIES: usize = 8;
/// Offset of the processor count in the guest's parameter area.
pub const GUEST_VP_COUNT_OFFSET: u64 = 0xc0;

const fn range(base: u64, size: u64) -> GpaRange {
    match GpaRange::new(Gpa::new(base), size) {
        Some(range) => range,
        None => panic!("the range wraps"),
    }
}

const _: () = {
    // The launch area, in order: each piece ends where the next begins or before.
    assert!(STAGE2_BASE + STAGE2_SIZE <= PAGE_TABLES);
    assert!(PAGE_TABLES + PAGE_TABLES_SIZE <= CPUID_PAGE);
    assert!(CPUID_PAGE + PAGE_4K <= SECRETS_PAGE);
    assert!(SECRETS_PAGE + PAGE_4K <= MEMORY_MAP_PAGE);
    assert!(MEMORY_MAP_PAGE + PAGE_4K <= VP_COUNT_PAGE);
    assert!(VP_COUNT_PAGE + PAGE_4K <= IMAGE_HEADER_PAGE);
    assert!(IMAGE_HEADER_PAGE + PAGE_4K <= PAYLOAD_BASE);
    assert!(PAYLOAD_BASE < PAYLOAD_END);
    assert!(PAYLOAD_BASE < TRANSFER_PAGES);
    assert!(TRANSFER_PAGES + TRANSFER_PAGES_SIZE <= PAYLOAD_END);
    assert!(BOOT_GHCB + PAGE_4K <= LAUNCH_AREA_BASE + LAUNCH_AREA_SIZE);

    // PVALIDATE and the page map want 2 MiB pages.
    assert!(LAUNCH_AREA_BASE.is_multiple_of(PAGE_2M));
    assert!(KERNEL_AREA_BASE.is_multiple_of(PAGE_2M));
    assert!(PAGE_MAP_BASE.is_multiple_of(PAGE_2M));
    assert!(FIRMWARE_BASE + FIRMWARE_SIZE == PAGE_MAP_BASE);

    // stage2 reaches what it touches, and its two views do not meet.
    assert!(PAGE_MAP_BASE <= IDENTITY_SIZE);
    assert!(IDENTITY_SIZE <= SHARED_ALIAS);

    // The guest's low pages lie below Rampart and apart from each other.
    assert!(GUEST_SECRETS_PAGE + PAGE_4K <= GUEST_CPUID_PAGE);
    assert!(GUEST_CPUID_PAGE + PAGE_4K <= GUEST_CALLING_AREA);
    assert!(GUEST_CALLING_AREA + PAGE_4K <= GUEST_PARAMETER_AREA);
    assert!(GUEST_PARAMETER_AREA + PAGE_4K <= FIRMWARE_BASE);

    // The firmware's range ends below 4 GiB and far above Rampart.
    assert!(GUEST_FIRMWARE_END - GUEST_FIRMWARE_MAX_SIZE > PAGE_MAP_BASE);
};
