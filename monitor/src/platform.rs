//! What the monitor needs of the world below it: the mechanisms.
//!
//! The monitor decides, an implementation of these traits does. The kernel
//! implements them with instructions and mapping windows, the unit tests with
//! `snp_model`. Every vCPU has a platform value of its own (`&mut self`), so an
//! implementation may keep per-CPU windows and its GHCB in it without locks.
//!
//! Three rules hold for every implementation:
//!
//! * Nothing here hands out a reference to guest or shared memory.
//! * A page given to [`Rmp`] or [`GuestMemory`] has passed the monitor's checks;
//!   the implementation adds none of policy and reports what the machine said.
//! * What cannot be answered (a #VC with error code 0x404, threat 10) ends the
//!   virtual machine inside the implementation; the `Fault` variants are for
//!   implementations that can recover, such as the model. The monitor answers
//!   every one of them with a [`Fatal`](crate::fatal::Fatal).

use protocols::addr::{Gpa, GpaPage, PAGE_4K};
use protocols::ghcb::page::Ghcb;
use protocols::snp::{Rights, RmpResult, Vmpl};

/// What PVALIDATE said (APM vol. 3, PVALIDATE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a page counts as validated only when the outcome and the page map agree"]
pub enum PvalidateOutcome {
    /// EAX = 0 and CF = 0: the validated bit has changed.
    Changed,
    /// EAX = 0 and CF = 1: the validated bit already had that value.
    Unchanged,
    /// EAX ≠ 0: nothing has changed. FAIL_INPUT or FAIL_SIZEMISMATCH.
    Fail(RmpResult),
    /// The instruction faulted: the page is not this guest's at this address.
    Fault,
}

/// Why an RMPADJUST did not happen (APM vol. 3, RMPADJUST). Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RmpadjustFail {
    /// EAX ≠ 0: FAIL_INPUT, FAIL_PERMISSION, FAIL_INUSE or FAIL_SIZEMISMATCH.
    Code(RmpResult),
    /// The instruction faulted: not validated (#VC 0x404), or not this guest's.
    Fault,
}

/// The two instructions that change the reverse map from inside the guest.
pub trait Rmp {
    /// PVALIDATE of one page in the size the page says. One instruction, no
    /// retry, no fall-back to another size.
    fn pvalidate(&mut self, page: GpaPage, validate: bool) -> PvalidateOutcome;

    /// RMPADJUST: the rights of `target` to `page` become exactly `rights`, and
    /// the VMSA bit of the page becomes `vmsa`.
    ///
    /// # Errors
    /// What the processor said; the entry is then as it was.
    fn rmpadjust(
        &mut self,
        page: GpaPage,
        target: Vmpl,
        rights: Rights,
        vmsa: bool,
    ) -> Result<(), RmpadjustFail>;
}

/// A page that VMPL0 could not reach: not private to the guest, not validated,
/// or outside what the implementation can map. Never the guest's fault once the
/// page map has been asked, so the monitor ends the virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct AccessFault(
    /// The first address that could not be reached.
    pub Gpa,
);

/// Guest memory, private mapping (C-bit set), reached by copy only.
///
/// A range may cross 4 KiB boundaries. It never wraps and was checked against
/// the memory map and the page map. VMSA pages are reached the same way:
/// VMPL0 may write them, and the monitor does so only while EFER.SVME is clear.
pub trait GuestMemory {
    /// A 4 KiB page that was found to be reachable: nothing is left to be checked when it is
    /// accessed. It stays reachable for ever; whether it is still what it was is the monitor's to
    /// know ([`Seat`](crate::shared::Seat)).
    type Page: Copy;

    /// Finds the 4 KiB page at `gpa`.
    ///
    /// # Errors
    /// [`AccessFault`].
    fn page(&mut self, gpa: Gpa) -> Result<Self::Page, AccessFault>;

    /// Reads the quadword at `offset` in the page, once. `offset` is a multiple of 8.
    ///
    /// # Errors
    /// [`AccessFault`].
    fn load(&mut self, page: Self::Page, offset: usize) -> Result<u64, AccessFault>;

    /// Writes the quadword at `offset` in the page, once. `offset` is a multiple of 8.
    ///
    /// # Errors
    /// [`AccessFault`]; nothing has changed.
    fn store(&mut self, page: Self::Page, offset: usize, value: u64) -> Result<(), AccessFault>;

    /// Copies `to.len()` bytes from `gpa`. Each byte is read once.
    ///
    /// # Errors
    /// [`AccessFault`]; `to` may have been written in part.
    fn read(&mut self, gpa: Gpa, to: &mut [u8]) -> Result<(), AccessFault>;

    /// Copies `from` to `gpa`. Each byte is written once.
    ///
    /// # Errors
    /// [`AccessFault`]; the memory may have been written in part.
    fn write(&mut self, gpa: Gpa, from: &[u8]) -> Result<(), AccessFault>;

    /// Fills the page with zeros.
    ///
    /// # Errors
    /// [`AccessFault`]; the memory may have been written in part.
    fn zero(&mut self, page: GpaPage) -> Result<(), AccessFault>;

    /// Atomically puts `new` at `offset` in the page and returns what was there.
    ///
    /// # Errors
    /// [`AccessFault`]; nothing has changed.
    fn exchange_byte(
        &mut self,
        page: Self::Page,
        offset: usize,
        new: u8,
    ) -> Result<u8, AccessFault>;

    /// Atomically replaces the byte at `offset` by its AND with `mask` and returns
    /// what was there. Clears EFER.SVME of a VMSA without a window.
    ///
    /// # Errors
    /// [`AccessFault`]; nothing has changed.
    fn and_byte(&mut self, page: Self::Page, offset: usize, mask: u8) -> Result<u8, AccessFault>;

    /// Atomically replaces the byte at `offset` by its OR with `mask` and returns
    /// what was there. Sets EFER.SVME again.
    ///
    /// # Errors
    /// [`AccessFault`]; nothing has changed.
    fn or_byte(&mut self, page: Self::Page, offset: usize, mask: u8) -> Result<u8, AccessFault>;

    /// Reads the first and the last byte of every 4 KiB of the page, which drops
    /// stale lines of its earlier owner (CVE-2025-38560, threat 11). Called after
    /// validation and before anything else, unless the CPUID page says that the
    /// processor needs no such help.
    ///
    /// # Errors
    /// [`AccessFault`].
    fn evict(&mut self, page: GpaPage) -> Result<(), AccessFault>;
}

/// The way to the hypervisor. Every answer is the host's and untrusted.
pub trait Host {
    /// One exchange of the GHCB MSR protocol (GHCB specification, section 2.3):
    /// writes `request` to the GHCB MSR, exits, returns the MSR's new value.
    /// The MSR keeps that value; `page_request` writes the page's GPA to it.
    fn msr_request(&mut self, request: u64) -> u64;

    /// One exchange of the GHCB page protocol. Copies the save area (bytes 0 to
    /// 0x400, the valid bitmap included), the first `buffer` bytes of the shared
    /// buffer and the last 16 bytes (version, usage) to the shared page, exits,
    /// and copies the same parts back, each byte once. `buffer` is at most
    /// 2032. The GHCB MSR holds the page's GPA meanwhile.
    ///
    /// An implementation guards its page against re-entry (threat 20): a call
    /// made while another is under way on the same CPU ends the machine.
    fn page_request(&mut self, ghcb: &mut Ghcb, buffer: usize);

    /// The GPA of this vCPU's GHCB page, which scratch addresses are made of.
    fn ghcb_gpa(&self) -> Gpa;
}

/// Most bytes of a table of certificates: as much as Linux takes.
pub const CERTIFICATE_BYTES: usize = 0x4000;
/// Pages of the same.
pub const CERTIFICATE_PAGES: u64 = CERTIFICATE_BYTES as u64 / PAGE_4K;

/// Where the pages of [`MessagePages`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageGpas {
    /// A page with a request.
    pub request: Gpa,
    /// A page with its answer.
    pub response: Gpa,
    /// The first of [`CERTIFICATE_PAGES`] pages for the host's certificates.
    pub certificates: Gpa,
}

/// The pages that guest messages are exchanged in: shared with the host, which may write them at
/// any time, and reached by copy only. There is one set of them.
pub trait MessagePages: Send {
    /// Where they are.
    fn gpas(&self) -> MessageGpas;

    /// Writes the whole request page.
    fn write_request(&mut self, from: &[u8; PAGE_4K as usize]);

    /// Copies the response page. Each byte is read once.
    fn read_response(&mut self, to: &mut [u8; PAGE_4K as usize]);

    /// Copies the pages of the certificates. Each byte is read once.
    fn read_certificates(&mut self, to: &mut [u8; CERTIFICATE_BYTES]);
}

/// Pages that are shared with the host, which may write them at any time: for a transfer from a
/// device. Reached by copy only. What lies outside of the pages is neither read nor written: the
/// copy ends there.
pub trait TransferPages {
    /// GPA of the first byte.
    fn gpa(&self) -> Gpa;

    /// Bytes of all pages.
    fn size(&self) -> usize;

    /// Copies `from` to `offset`.
    fn write(&mut self, offset: usize, from: &[u8]);

    /// Copies the bytes at `offset`. Each is read once.
    fn read(&mut self, offset: usize, to: &mut [u8]);
}

/// The firmware's log. Nothing secret is written to it (threat 62).
pub trait Log {
    /// Writes a line, or as much of it as fits.
    fn log(&mut self, line: core::fmt::Arguments<'_>);
}

/// What concerns all vCPUs of the virtual machine.
pub trait VcpuControl {
    /// Returns once no vCPU holds a translation, at any VMPL, that was made
    /// before the call. Needed after rights were taken away (threat 9).
    fn flush_all_vcpus(&mut self);
}

/// Everything together; implemented for whatever implements the parts.
pub trait Platform: Rmp + GuestMemory + Host + VcpuControl + Log {}

impl<T: Rmp + GuestMemory + Host + VcpuControl + Log + ?Sized> Platform for T {}

/// One 4 KiB frame of the page map's memory.
pub type MapFrame = [u64; 512];

/// The page map's memory could not be brought up: the host refused or deceived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapStorageFault;

/// The memory reserved for the validated-page map: frames `0..count`, private
/// to the firmware, each reading as zeros until it is written.
///
/// The reservation is made at boot from the memory map, so a frame below
/// [`frames_needed`](crate::page_map::Layout::frames) is always there;
/// an implementation validates it when it is first asked for (in pieces of
/// 2 MiB, say), so memory that no guest page needs is never touched.
pub trait MapStorage {
    /// The frame, if it was ever handed out by [`frame_mut`](Self::frame_mut);
    /// `None` stands for a frame of zeros.
    fn frame(&self, index: u64) -> Option<&MapFrame>;

    /// The frame, brought up if need be.
    ///
    /// # Errors
    /// [`MapStorageFault`] when the host did not give the memory. The monitor
    /// ends the machine then; a legal request cannot cause it.
    fn frame_mut(&mut self, index: u64) -> Result<&mut MapFrame, MapStorageFault>;
}
