//! Pages that the vCPUs give to the firmware and take back: whoever takes gets any of them, zeroed,
//! and no page comes back twice or was never given.

use core::sync::atomic::{AtomicU8, Ordering};

use protocols::addr::{GpaPage, PAGE_2M, PAGE_4K, PageSize};
use protocols::svsm::{CoreCall, DepositEntry, DepositHeader, WithdrawHeader};

use super::worker::Worker;
use super::{GIFTS, exact};
use crate::arch::memory;
use crate::check::{Outcome, holds, same, succeeds};
use crate::playground::{holds_only, page_at};
use crate::vcpus::{free_page, large_pages, make_private};
use crate::{list, svsm};

const PAGES: usize = 48;
/// Most pages of a list.
const BATCH: usize = 4;
/// What given pages must not come back with.
const MARK: u64 = 0x0bad_600d_0bad_600d;

/// Whose a page is.
mod whose {
    pub(super) const NOBODYS: u8 = 0;
    pub(super) const GIVEN: u8 = 1;
    pub(super) const TAKEN: u8 = 2;
}

static STATES: [AtomicU8; PAGES] = [const { AtomicU8::new(whose::NOBODYS) }; PAGES];

fn page(index: usize) -> GpaPage {
    page_at(GIFTS + index as u64 * PAGE_4K, PageSize::Size4K)
}

fn change(index: usize, from: u8, to: u8) -> bool {
    let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
    STATES
        .get(index)
        .is_some_and(|state| state.compare_exchange(from, to, success, failure).is_ok())
}

/// Validates the pages.
pub(super) fn open() -> Outcome {
    let pages = large_pages(GIFTS, GIFTS + PAGE_2M);
    make_private(pages.clone())?;
    same("validation", list::change_all(pages, true).0, 0u64)
}

/// The worker gives some, or takes some.
pub(super) fn step(worker: &mut Worker) {
    match worker.noise.one_in(2) {
        true => give(worker),
        false => take(worker),
    }
}

fn give(worker: &mut Worker) {
    let mut entries = [DepositEntry(0); BATCH];
    let mut count = 0;
    for _ in 0..1 + worker.noise.below(BATCH as u64) {
        let index = worker.noise.below(PAGES as u64) as usize;
        if change(index, whose::NOBODYS, whose::GIVEN) {
            memory::fill(page(index).gpa().get(), PAGE_4K, MARK);
            entries[count] = DepositEntry::new(page(index));
            count += 1;
        }
    }
    if count == 0 {
        return;
    }
    let list = free_page(worker.vcpu, exact::LIST).gpa().get();
    memory::write(list, &DepositHeader::new(count as u16));
    let first = list + DepositHeader::entry_offset(0);
    memory::write(first, &entries[..count]);
    let result = worker.core(CoreCall::DEPOSIT_MEM, list).result;
    if !result.is_success() {
        worker.fail("deposit_mem", result.0);
    }
    let next: u16 = memory::read(list + DepositHeader::NEXT_OFFSET as u64);
    worker.holds("deposit_mem/next", usize::from(next) == count);
}

/// The list is so near to the end of its page that only so many fit.
fn place_for(worker: &Worker, count: u64) -> u64 {
    let end = free_page(worker.vcpu, exact::LIST).gpa().get() + PAGE_4K;
    end - size_of::<WithdrawHeader>() as u64 - 8 * count
}

fn take(worker: &mut Worker) {
    let most = 1 + worker.noise.below(2 * BATCH as u64);
    let list = place_for(worker, most);
    let result = worker.core(CoreCall::WITHDRAW_MEM, list).result;
    if !result.is_success() {
        worker.fail("withdraw_mem", result.0);
    }
    let head: WithdrawHeader = memory::read(list);
    worker.holds("withdraw_mem/count", u64::from(head.entries) <= most);
    for entry in 0..u64::from(head.entries) {
        let gpa: u64 = memory::read(list + size_of::<WithdrawHeader>() as u64 + 8 * entry);
        worker.holds("withdraw_mem/a page that was given", took(gpa).is_ok());
    }
}

/// A page that has come back.
fn took(gpa: u64) -> Outcome {
    let index = (gpa.wrapping_sub(GIFTS) / PAGE_4K) as usize;
    let given = gpa.is_multiple_of(PAGE_4K) && change(index, whose::GIVEN, whose::TAKEN);
    holds("the page was given", given)?;
    holds_only("content", page(index), 0)?;
    let released = change(index, whose::TAKEN, whose::NOBODYS);
    holds("the page was taken once", released)
}

/// All of them come back.
pub(super) fn close() -> Outcome {
    let list = free_page(0, exact::LIST).gpa().get();
    for _ in 0..=PAGES {
        succeeds("WITHDRAW_MEM", svsm::core(CoreCall::WITHDRAW_MEM, list))?;
        let head: WithdrawHeader = memory::read(list);
        for entry in 0..u64::from(head.entries) {
            took(memory::read(
                list + size_of::<WithdrawHeader>() as u64 + 8 * entry,
            ))?;
        }
        if head.entries == 0 {
            break;
        }
    }
    let back = |state: &AtomicU8| state.load(Ordering::SeqCst) == whose::NOBODYS;
    holds("all gifts have come back", STATES.iter().all(back))
}
