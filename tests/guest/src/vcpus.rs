//! The vCPUs but the first: their VMSAs, and how they are started.
//!
//! The APIC ID of a vCPU is its number, as QEMU gives them when it is asked for so many and no more.

use protocols::addr::{GpaPage, PAGE_2M, PAGE_4K, PageSize};
use protocols::boot::layout::{GUEST_PARAMETER_AREA, GUEST_VP_COUNT_OFFSET};
use protocols::ghcb::PscOperation;

use crate::arch::layout::{COMMON, STACKS, STACKS_END};
use crate::arch::memory;
use crate::arch::percpu::MAX_VCPUS;
use crate::check::{Outcome, holds, same, succeeds};
use crate::lives::{create_vcpu, features, vmsa_of};
use crate::playground::page_at;
use crate::svsm::{self, Reply};
use crate::{host, list};

/// Pages that each vCPU has for itself.
const OWN_PAGES: u64 = 16;
const OWN_END: u64 = COMMON + MAX_VCPUS as u64 * OWN_PAGES * PAGE_4K;
const _: () = assert!(OWN_END.is_multiple_of(PAGE_2M));

/// What a VMSA is made with: two of them, so that a new one can start beside the old one. The first
/// of the own pages is aligned to 2 MiB for some vCPUs, and is nobody's VMSA.
const VMSA: u64 = 1;
/// Two calling areas for each VMSA.
const AREAS: u64 = 3;
/// Behind both.
const FREE: u64 = 7;

/// Memory behind the vCPUs' own.
pub(crate) const REST: u64 = OWN_END;

/// How many vCPUs the machine has, as far as this program can use them.
pub(crate) fn count() -> usize {
    let count: u32 = memory::read(GUEST_PARAMETER_AREA + GUEST_VP_COUNT_OFFSET);
    (count as usize).clamp(1, MAX_VCPUS)
}

fn own_page(vcpu: usize, index: u64) -> GpaPage {
    let number = vcpu as u64 * OWN_PAGES + index;
    page_at(COMMON + number * PAGE_4K, PageSize::Size4K)
}

/// One of the two VMSAs of a vCPU.
pub(crate) fn vmsa_page(vcpu: usize, life: usize) -> GpaPage {
    own_page(vcpu, VMSA + life as u64)
}

/// The two calling areas of a VMSA.
pub(crate) fn area_pages(vcpu: usize, life: usize) -> [GpaPage; 2] {
    [0, 1].map(|which| own_page(vcpu, AREAS + 2 * life as u64 + which))
}

/// A page that the vCPU may do with as it likes: from 0 up to 8.
pub(crate) fn free_page(vcpu: usize, index: u64) -> GpaPage {
    own_page(vcpu, FREE + index)
}

/// Makes these 2 MiB pages private.
pub(crate) fn make_private(pages: impl Iterator<Item = GpaPage>) -> Outcome {
    let done = host::change_pages(pages, PscOperation::PRIVATE);
    holds("page-state change", done)
}

/// The pages of 2 MiB in a range.
pub(crate) fn large_pages(start: u64, end: u64) -> impl Iterator<Item = GpaPage> + Clone {
    let starts = (start..end).step_by(PAGE_2M as usize);
    starts.map(|gpa| page_at(gpa, PageSize::Size2M))
}

/// Opens the memory that the vCPUs start in.
pub(crate) fn open() -> Outcome {
    let pages = large_pages(STACKS, STACKS_END).chain(large_pages(COMMON, OWN_END));
    make_private(pages.clone())?;
    same("validation", list::change_all(pages, true).0, 0u64)
}

/// CREATE_VCPU for a vCPU, with a fresh VMSA that calls `entry`.
pub(crate) fn create(
    vcpu: usize,
    life: usize,
    entry: extern "C" fn(u64) -> !,
    argument: u64,
) -> Reply {
    let page = vmsa_page(vcpu, life);
    let areas = area_pages(vcpu, life);
    for page in areas.into_iter().chain([page]) {
        memory::fill(page.gpa().get(), page.bytes(), 0);
    }
    let stack = memory::stacks_of(vcpu)[life];
    let content = vmsa_of(vcpu, entry, stack, argument);
    memory::write(page.gpa().get(), &content);
    create_vcpu(page.gpa().get(), areas[0].gpa().get(), vcpu as u64)
}

/// Tells the host to run what [`create`] has made.
pub(crate) fn run(vcpu: usize, life: usize) -> bool {
    let page = vmsa_page(vcpu, life).gpa().get();
    host::create_vcpu(vcpu as u32, svsm::level(), page, features())
}

/// Tells the host to run it no more.
pub(crate) fn stop(vcpu: usize, life: usize) -> bool {
    let page = vmsa_page(vcpu, life).gpa().get();
    host::destroy_vcpu(vcpu as u32, svsm::level(), page)
}

/// Starts a vCPU.
pub(crate) fn start(
    vcpu: usize,
    life: usize,
    entry: extern "C" fn(u64) -> !,
    argument: u64,
) -> Outcome {
    succeeds("CREATE_VCPU", create(vcpu, life, entry, argument))?;
    holds("AP creation", run(vcpu, life))
}

/// What the first instructions of a vCPU do: from here on it can print and call.
pub(crate) fn begin(vcpu: usize, life: usize) -> bool {
    svsm::use_calling_area(area_pages(vcpu, life)[0].gpa().get());
    host::register_ghcb()
}
