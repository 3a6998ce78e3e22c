//! What stage2 tells the kernel. Both are in the measured image and the
//! structure lies in private memory, so it is trusted where the host's values
//! that it carries are not.

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{ImageHeader, layout};
use crate::addr::{Gpa, GpaRange, PAGE_4K};

/// A piece of guest physical memory.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Extent {
    /// GPA of the first byte.
    pub gpa: u64,
    /// Length in bytes.
    pub len: u64,
}

impl Extent {
    /// A piece of memory.
    pub const fn new(gpa: u64, len: u64) -> Self {
        Self { gpa, len }
    }

    /// The piece as a range, unless it wraps.
    pub const fn range(self) -> Option<GpaRange> {
        GpaRange::new(Gpa::new(self.gpa), self.len)
    }
}

/// The hand-off from stage2 to the kernel: its address is in RDI when the
/// kernel starts, and it lies in the kernel area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HandOff {
    /// [`HandOff::MAGIC`].
    pub magic: [u8; 8],
    /// [`HandOff::VERSION`].
    pub version: u32,
    /// Number of the C-bit, proved by stage2.
    pub c_bit: u32,
    /// The GHCB protocol's version that stage2 settled on.
    pub ghcb_protocol: u32,
    /// Zero.
    pub reserved: u32,
    /// The hypervisor's feature bitmap, as the host gave it.
    pub hypervisor_features: u64,
    /// SEV_STATUS as stage2 read it.
    pub sev_status: u64,
    /// GPA of the GHCB page that stage2 shared.
    pub boot_ghcb: u64,
    /// GPA of the PML4 that the kernel starts on.
    pub page_table_root: u64,
    /// The loaded kernel image, bss included.
    pub kernel: Extent,
    /// The part of the kernel area that nothing uses yet: 4 KiB pages, private
    /// and validated.
    pub free: Extent,
    /// End of the launch area's loaded pages, first byte beyond. The boot GHCB
    /// lies above.
    pub launch_used_end: u64,
    /// Exits to the host that stage2 made.
    pub exits: u32,
    /// PVALIDATE instructions that stage2 executed.
    pub pvalidates: u32,
    /// The measured image header.
    pub image: ImageHeader,
}

/// Why a hand-off is not one that the kernel understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum HandOffError {
    /// There is no hand-off.
    Magic,
    /// It has another version: the image is put together wrongly.
    Version(u32),
    /// Kernel and free range lie outside the kernel area, are not whole pages
    /// where they have to be, or overlap.
    KernelArea,
    /// The root of the page tables is not a page of the kernel area.
    PageTables,
    /// The launch area's end lies outside the launch area.
    LaunchArea,
}

impl HandOff {
    /// First bytes of the hand-off.
    pub const MAGIC: [u8; 8] = *b"RMPTHAND";
    /// Version of this layout.
    pub const VERSION: u32 = 1;

    /// Checks that the hand-off is of this layout and that its ranges lie in
    /// their areas.
    pub const fn check(&self) -> Result<(), HandOffError> {
        if u64::from_le_bytes(self.magic) != u64::from_le_bytes(Self::MAGIC) {
            return Err(HandOffError::Magic);
        }
        if self.version != Self::VERSION {
            return Err(HandOffError::Version(self.version));
        }
        let (Some(kernel), Some(free)) = (self.kernel.range(), self.free.range()) else {
            return Err(HandOffError::KernelArea);
        };
        if kernel.is_empty()
            || !kernel.start().get().is_multiple_of(PAGE_4K)
            || !free.start().get().is_multiple_of(PAGE_4K)
            || !free.len().is_multiple_of(PAGE_4K)
            || !layout::KERNEL_AREA.contains_range(kernel)
            || !layout::KERNEL_AREA.contains_range(free)
            || kernel.overlaps(free)
        {
            return Err(HandOffError::KernelArea);
        }
        if !self.page_table_root.is_multiple_of(PAGE_4K)
            || !layout::KERNEL_AREA.contains(Gpa::new(self.page_table_root))
        {
            return Err(HandOffError::PageTables);
        }
        if self.launch_used_end < layout::LAUNCH_AREA_BASE
            || self.launch_used_end > layout::PAYLOAD_END
        {
            return Err(HandOffError::LaunchArea);
        }
        Ok(())
    }
}

const _: () = {
    assert!(size_of::<Extent>() == 16);
    assert!(size_of::<HandOff>() == 0x68 + size_of::<ImageHeader>());
    assert!(size_of::<HandOff>() <= PAGE_4K as usize);
    assert!(offset_of!(HandOff, magic) == 0x00);
    assert!(offset_of!(HandOff, version) == 0x08);
    assert!(offset_of!(HandOff, c_bit) == 0x0c);
    assert!(offset_of!(HandOff, ghcb_protocol) == 0x10);
    assert!(offset_of!(HandOff, reserved) == 0x14);
    assert!(offset_of!(HandOff, hypervisor_features) == 0x18);
    assert!(offset_of!(HandOff, sev_status) == 0x20);
    assert!(offset_of!(HandOff, boot_ghcb) == 0x28);
    assert!(offset_of!(HandOff, page_table_root) == 0x30);
    assert!(offset_of!(HandOff, kernel) == 0x38);
    assert!(offset_of!(HandOff, free) == 0x48);
    assert!(offset_of!(HandOff, launch_used_end) == 0x58);
    assert!(offset_of!(HandOff, exits) == 0x60);
    assert!(offset_of!(HandOff, pvalidates) == 0x64);
    assert!(offset_of!(HandOff, image) == 0x68);
};

#[cfg(test)]
mod tests {
    use super::super::header::tests::header;
    use super::*;
    use crate::snp::SevFeatures;

    fn hand_off() -> HandOff {
        let base = layout::KERNEL_AREA_BASE;
        HandOff {
            magic: HandOff::MAGIC,
            version: HandOff::VERSION,
            c_bit: layout::C_BIT,
            ghcb_protocol: 2,
            reserved: 0,
            hypervisor_features: 0xf,
            sev_status: SevFeatures::SNP.status().bits(),
            boot_ghcb: layout::BOOT_GHCB,
            page_table_root: base + 0x8_0000,
            kernel: Extent::new(base, 0x7_1234),
            free: Extent::new(base + 0x9_0000, layout::KERNEL_AREA_SIZE - 0x9_0000),
            launch_used_end: layout::PAYLOAD_BASE + 0x10_0000,
            exits: 7,
            pvalidates: 2,
            image: header(),
        }
    }

    fn refused(change: impl FnOnce(&mut HandOff)) -> HandOffError {
        let mut hand_off = hand_off();
        change(&mut hand_off);
        hand_off.check().unwrap_err()
    }

    #[test]
    fn a_good_hand_off_is_taken_and_survives_its_bytes() {
        assert_eq!(hand_off().check(), Ok(()));
        assert_eq!(
            HandOff::read_from_bytes(hand_off().as_bytes()),
            Ok(hand_off())
        );
    }

    #[test]
    fn ranges_outside_their_areas_are_refused() {
        use HandOffError as E;
        assert_eq!(refused(|h| h.magic[0] = 0), E::Magic);
        assert_eq!(refused(|h| h.version = 0), E::Version(0));
        assert_eq!(refused(|h| h.kernel.len = 0), E::KernelArea);
        assert_eq!(refused(|h| h.kernel.len = 0x10_0000), E::KernelArea);
        assert_eq!(refused(|h| h.kernel.gpa = u64::MAX - 4095), E::KernelArea);
        assert_eq!(refused(|h| h.kernel.gpa = 0x1000), E::KernelArea);
        assert_eq!(refused(|h| h.free.len += PAGE_4K), E::KernelArea);
        assert_eq!(refused(|h| h.free.len -= 1), E::KernelArea);
        assert_eq!(refused(|h| h.page_table_root += 8), E::PageTables);
        assert_eq!(refused(|h| h.page_table_root = 0x1000), E::PageTables);
        assert_eq!(refused(|h| h.launch_used_end = 0), E::LaunchArea);
        assert_eq!(refused(|h| h.launch_used_end = u64::MAX), E::LaunchArea);
    }
}
