//! Pages that every vCPU validates and rescinds at any time. Nobody touches them, but who has one
//! as its calling area: such a page cannot be taken from under it.
//!
//! The first area is only that. In the second, the first pages are also made calling areas, and the
//! next ones are named as VMSAs, which they cannot become: they are never written but by those who
//! had them as a calling area, and so have no VMSA's content.

use core::sync::atomic::{AtomicUsize, Ordering};

use protocols::addr::{GpaPage, PAGE_2M, PAGE_4K, PAGES_PER_2M, PageSize};
use protocols::svsm::{
    CA_CALL_PENDING, CoreCall, PvalidateEntry, PvalidateHeader, Request, SvsmResult,
};

use super::worker::{TALLY, Worker};
use super::{OPEN, OPEN_AREAS, exact};
use crate::arch::memory;
use crate::check::{Failure, Outcome, same};
use crate::list::{self, List};
use crate::playground::{holds_only, page_at};
use crate::svsm;
use crate::vcpus::{self, area_pages, free_page};

/// Pages of the second area that become calling areas.
const CALLING_AREAS: u64 = 8;
/// Pages behind them that are named as VMSAs.
const NO_VMSAS: u64 = 8;
/// Pages that the lists name most of the time, so that vCPUs meet.
const HOT: u64 = 24;
/// Most entries of a list, most of the time and at other times.
const FEW: u64 = 8;
const MANY: u64 = 100;

/// Who has each of the calling areas: the vCPU's number and 1, or 0.
static CLAIMS: [AtomicUsize; CALLING_AREAS as usize] =
    [const { AtomicUsize::new(0) }; CALLING_AREAS as usize];

fn page(area: u64, index: u64) -> GpaPage {
    page_at(OPEN + area * PAGE_2M + index * PAGE_4K, PageSize::Size4K)
}

fn whole(area: u64) -> GpaPage {
    page_at(OPEN + area * PAGE_2M, PageSize::Size2M)
}

/// Makes the pages private. None is validated yet.
pub(super) fn open() -> Outcome {
    vcpus::make_private(vcpus::large_pages(OPEN, OPEN + OPEN_AREAS * PAGE_2M))
}

fn entry(worker: &mut Worker) -> PvalidateEntry {
    let noise = &mut worker.noise;
    let area = noise.below(OPEN_AREAS);
    let page = match noise.below(16) {
        0 => whole(area),
        1..4 => page(area, noise.below(PAGES_PER_2M)),
        _ => page(area, noise.below(HOT)),
    };
    let entry = PvalidateEntry::new(page, noise.one_in(2));
    match noise.one_in(3) {
        true => entry.ignoring_cf(),
        false => entry,
    }
}

/// A list of any of them. Each entry is done or fails for a reason of its own.
pub(super) fn pvalidate(worker: &mut Worker) {
    let most = if worker.noise.one_in(16) { MANY } else { FEW };
    let count = 1 + worker.noise.below(most);
    let mut entries = [PvalidateEntry(0); MANY as usize];
    let entries = &mut entries[..count as usize];
    entries.fill_with(|| entry(worker));
    let list = match worker.noise.one_in(2) {
        true => List::in_calling_area(),
        false => {
            let room = PAGE_4K - PvalidateHeader::entry_offset(count as u16);
            let offset = worker.noise.below(room / 8 + 1) * 8;
            List(free_page(worker.vcpu, exact::LIST).gpa().get() + offset)
        }
    };
    let next = match worker.noise.one_in(8) {
        true => worker.noise.below(count) as u16,
        false => 0,
    };
    let header = PvalidateHeader {
        next,
        ..PvalidateHeader::new(count as u16)
    };
    list.write(header, entries);
    let reply = worker.core(CoreCall::PVALIDATE, list.0);
    let after = list.next();
    if reply.result.is_success() {
        worker.holds("open pages/next at the end", u64::from(after) == count);
        return;
    }
    let Some(failed) = entries.get(usize::from(after)).filter(|_| after >= next) else {
        worker.fail("open pages/next", after.into())
    };
    worker.holds(
        "open pages/a failure that the entry can have",
        may_fail_so(*failed, reply.result),
    );
}

fn may_fail_so(entry: PvalidateEntry, result: SvsmResult) -> bool {
    let large = entry.size() == Some(PageSize::Size2M);
    let gpa = entry.gpa().get();
    let in_second = gpa >= whole(1).gpa().get();
    let may_be_live = large || gpa < page(1, CALLING_AREAS + NO_VMSAS).gpa().get();
    match result {
        SvsmResult::CORE_NO_CHANGE => !entry.ignore_cf(),
        SvsmResult::CORE_SIZEMISMATCH => large,
        SvsmResult::INVALID_ADDRESS => in_second && may_be_live,
        _ => false,
    }
}

/// The worker moves its calling area: to one of its own pages, or to an open one, which may not be
/// valid, or be another's calling area, or be on the way to either.
pub(super) fn remap_ca(worker: &mut Worker) {
    let own = area_pages(worker.vcpu, worker.life);
    let target = match worker.noise.one_in(2) {
        true => None,
        false => Some(worker.noise.below(CALLING_AREAS)),
    };
    let to = match target {
        None => worker.noise.of_these(own),
        Some(index) => page(1, index),
    };
    let to = to.gpa().get();
    if to == svsm::calling_area() {
        let reply = worker.core(CoreCall::REMAP_CA, to);
        return worker.expect("remap_ca to the same", reply, &[SvsmResult::SUCCESS]);
    }
    let left = worker.claim.take();
    let result = match left {
        None => worker.core(CoreCall::REMAP_CA, to).result,
        Some(left) => {
            // Whoever gets the page after this worker has to find it free.
            CLAIMS[left as usize].store(0, Ordering::SeqCst);
            svsm::leave_calling_area(to)
        }
    };
    if result == SvsmResult::INVALID_ADDRESS && target.is_some() {
        if let Some(left) = left {
            CLAIMS[left as usize].store(worker.vcpu + 1, Ordering::SeqCst);
        }
        worker.claim = left;
        return;
    }
    if !result.is_success() {
        worker.fail("remap_ca", result.0);
    }
    TALLY.remapped.fetch_add(1, Ordering::Relaxed);
    svsm::use_calling_area(to);
    let pending: u8 = memory::read(to + CA_CALL_PENDING as u64);
    worker.holds("remap_ca/call_pending of the new area", pending == 0);
    if let Some(index) = target {
        let before = CLAIMS[index as usize].swap(worker.vcpu + 1, Ordering::SeqCst);
        worker.holds("remap_ca/a calling area for two", before == 0);
        worker.claim = target;
    }
}

/// CREATE_VCPU of a page that others rescind, with content that is no VMSA's.
pub(super) fn create_vcpu(worker: &mut Worker) {
    let index = worker.noise.below(CALLING_AREAS + NO_VMSAS);
    let vmsa = page(1, index).gpa().get();
    let area = free_page(worker.vcpu, 3).gpa().get();
    let request = Request::core(CoreCall::CREATE_VCPU);
    let reply = worker.call(request, [vmsa, area, worker.vcpu as u64, 0]);
    let allowed = [SvsmResult::INVALID_ADDRESS, SvsmResult::INVALID_PARAMETER];
    worker.expect("an open page as a VMSA", reply, &allowed);
}

/// Every page can be validated now, but who is somebody's calling area, and reads as zero if nobody
/// had it as one.
pub(super) fn close() -> Outcome {
    for area in 0..OPEN_AREAS {
        for index in 0..PAGES_PER_2M {
            close_page(area, index)?;
        }
    }
    Ok(())
}

fn close_page(area: u64, index: u64) -> Result<(), Failure> {
    let page = page(area, index);
    let claims = CLAIMS.get(index as usize).filter(|_| area == 1);
    let is_live = claims.is_some_and(|claim| claim.load(Ordering::SeqCst) != 0);
    let entry = PvalidateEntry::new(page, true).ignoring_cf();
    let (reply, _) = list::submit(&[entry]);
    let want = match is_live {
        true => SvsmResult::INVALID_ADDRESS,
        false => SvsmResult::SUCCESS,
    };
    same("validation of an open page", reply.result.0, want.0)?;
    match claims {
        Some(_) => Ok(()),
        None => holds_only("content of an open page", page, 0),
    }
}
