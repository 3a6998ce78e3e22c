//! Addresses of whole pages that no call may take.

use protocols::addr::PAGE_4K;
use protocols::boot::layout::{
    GUEST_CPUID_PAGE, GUEST_MEMORY_MAP_MAX_ENTRIES, GUEST_MEMORY_MAP_OFFSET, GUEST_PARAMETER_AREA,
};
use protocols::boot::params::MemoryMapEntry;
use protocols::snp::{CpuidPage, Vmsa};
use protocols::svsm::SvsmResult;

use crate::arch::memory;
use crate::check::{Outcome, refused};
use crate::playground::Area;
use crate::svsm::{self, Reply};

/// The memory map as the guest firmware reads it.
pub(crate) fn memory_map() -> [MemoryMapEntry; GUEST_MEMORY_MAP_MAX_ENTRIES] {
    memory::read(GUEST_PARAMETER_AREA + GUEST_MEMORY_MAP_OFFSET)
}

/// First byte above all RAM.
fn end_of_ram() -> u64 {
    let end = |entry: &MemoryMapEntry| (entry.first_page.get() + entry.pages.get()) * PAGE_4K;
    memory_map().iter().map(end).max().unwrap_or(0)
}

/// The mask of the C-bit.
#[inline(never)]
pub(crate) fn c_bit() -> u64 {
    let page: CpuidPage = memory::read(GUEST_CPUID_PAGE);
    page.memory_encryption().map_or(0, |leaf| 1 << leaf.c_bit())
}

/// Names and addresses.
pub(crate) fn pages() -> [(&'static str, u64); 8] {
    let svsm = svsm::described();
    [
        ("first page of the SVSM", svsm.base),
        ("page 16 of the SVSM", svsm.base + 0x10 * PAGE_4K),
        ("last page of the SVSM", svsm.base + svsm.size - PAGE_4K),
        ("behind the RAM", end_of_ram()),
        ("far behind the RAM", 1 << 46),
        ("VMSA of the launch", Vmsa::LAUNCH_GPA),
        ("C-bit set", Area::WORK.page(1).gpa().get() | c_bit()),
        ("last page of 64 bits", 0u64.wrapping_sub(PAGE_4K)),
    ]
}

/// A call that has to refuse each of them.
pub(crate) fn are_refused(call: impl Fn(u64) -> Reply) -> Outcome {
    pages()
        .into_iter()
        .try_for_each(|(what, gpa)| refused(what, call(gpa), SvsmResult::INVALID_ADDRESS))
}
