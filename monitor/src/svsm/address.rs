//! Which guest addresses a call may name, and for what.
//!
//! An address is acceptable only inside guest memory: not in the firmware's own
//! range, not a live VMSA, not the control bytes of a calling area, without the
//! C-bit and below the physical limit. The last two need no test of their own: no
//! memory-map entry reaches that high.

use protocols::addr::{Gpa, GpaPage, GpaRange, PAGE_4K, PageSize};
use protocols::svsm::ResultCode;

use crate::guest::Guest;
use crate::platform::MapStorage;

/// The page of that size at an address that the guest gave.
///
/// # Errors
/// INVALID_PARAMETER when misaligned; INVALID_ADDRESS for the last page of the
/// 64-bit space, which is no memory anywhere.
pub(crate) fn page_at(gpa: Gpa, size: PageSize) -> Result<GpaPage, ResultCode> {
    if !gpa.is_aligned(size) {
        return Err(ResultCode::INVALID_PARAMETER);
    }
    GpaPage::new(gpa, size).ok_or(ResultCode::INVALID_ADDRESS)
}

impl<S: MapStorage> Guest<S> {
    /// A 4 KiB page that the guest hands over as a whole: a VMSA or a calling
    /// area. It is aligned, guest memory, validated, and not live.
    ///
    /// # Errors
    /// INVALID_PARAMETER when misaligned, otherwise INVALID_ADDRESS.
    pub fn check_page(&self, gpa: u64) -> Result<GpaPage, ResultCode> {
        self.check_whole_page(gpa, |page| !self.vcpus.is_live(page))
    }

    /// A page for the calling area of a new VMSA of this vCPU: as
    /// [`check_page`](Self::check_page), but it may be that of
    /// the VMSA that it runs now.
    ///
    /// # Errors
    /// As `check_page`.
    pub fn check_area(&self, gpa: u64, apic_id: u32) -> Result<GpaPage, ResultCode> {
        self.check_whole_page(gpa, |page| self.vcpus.may_be_area(page, apic_id))
    }

    fn check_whole_page(
        &self,
        gpa: u64,
        is_free: impl Fn(Gpa) -> bool,
    ) -> Result<GpaPage, ResultCode> {
        let page = page_at(Gpa::new(gpa), PageSize::Size4K)?;
        let range = page.range();
        let usable =
            self.memory.is_guest(range) && self.pages.is_valid(range) && is_free(page.gpa());
        if usable {
            Ok(page)
        } else {
            Err(ResultCode::INVALID_ADDRESS)
        }
    }

    /// A structure of `len` bytes within one 4 KiB page that a call reads or
    /// writes.
    ///
    /// # Errors
    /// INVALID_PARAMETER when it crosses the page's end or is empty, otherwise
    /// INVALID_ADDRESS.
    pub fn check_structure(&self, gpa: u64, len: u64) -> Result<GpaRange, ResultCode> {
        let room = PAGE_4K.saturating_sub(gpa % PAGE_4K);
        let fits = len != 0 && len <= room;
        if !fits {
            return Err(ResultCode::INVALID_PARAMETER);
        }
        self.check_bytes(GpaRange::new(Gpa::new(gpa), len))
    }

    /// A buffer of whole pages, `size` bytes by the guest's word, of which a call writes the first
    /// `len`.
    ///
    /// # Errors
    /// INVALID_PARAMETER when misaligned or shorter than `len`, otherwise INVALID_ADDRESS.
    pub fn check_buffer(&self, gpa: u64, size: u64, len: u64) -> Result<GpaRange, ResultCode> {
        let start = Gpa::new(gpa);
        if !start.is_aligned(PageSize::Size4K) || size < len {
            return Err(ResultCode::INVALID_PARAMETER);
        }
        let _whole = GpaRange::new(start, size).ok_or(ResultCode::INVALID_ADDRESS)?;
        self.check_bytes(GpaRange::new(start, len))
    }

    /// Bytes that a call reads or writes.
    fn check_bytes(&self, range: Option<GpaRange>) -> Result<GpaRange, ResultCode> {
        let range = range.ok_or(ResultCode::INVALID_ADDRESS)?;
        let usable = self.memory.is_guest(range)
            && self.pages.is_valid(range)
            && !self.vcpus.covers_vmsa(range)
            && !self.vcpus.covers_control_bytes(range);
        if usable {
            Ok(range)
        } else {
            Err(ResultCode::INVALID_ADDRESS)
        }
    }

    /// Pages whose validation the guest may change. They need not be validated.
    /// Calling areas stay as they are while they are registered.
    ///
    /// # Errors
    /// INVALID_ADDRESS.
    pub fn check_validatable(&self, range: GpaRange) -> Result<(), ResultCode> {
        let usable = self.memory.is_validatable(range)
            && !self.vcpus.covers_vmsa(range)
            && !self.vcpus.covers_calling_area(range)
            && !self.pages.covers_deposit(range);
        if usable {
            Ok(())
        } else {
            Err(ResultCode::INVALID_ADDRESS)
        }
    }

    /// A page that the guest may give to the firmware: its own, validated, not live and
    /// not given before.
    ///
    /// # Errors
    /// INVALID_ADDRESS.
    pub fn check_depositable(&self, page: GpaPage) -> Result<(), ResultCode> {
        let range = page.range();
        let usable = self.memory.is_guest(range)
            && self.pages.is_valid(range)
            && !self.vcpus.covers_vmsa(range)
            && !self.vcpus.covers_calling_area(range);
        if usable {
            Ok(())
        } else {
            Err(ResultCode::INVALID_ADDRESS)
        }
    }
}

#[cfg(test)]
mod tests;
