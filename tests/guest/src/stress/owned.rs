//! Areas that one vCPU has for itself for some steps: every answer is certain, no page changes but
//! by its owner, and what was validated reads as zero.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use protocols::addr::{GpaPage, PAGE_2M, PAGE_4K, PAGES_PER_2M, PageSize};
use protocols::ghcb::PscOperation;
use protocols::svsm::{PvalidateEntry, SvsmResult};

use super::worker::Worker;
use super::{OWNED, OWNED_AREAS};
use crate::arch::memory;
use crate::check::{Outcome, holds};
use crate::host;
use crate::list::List;
use crate::playground::{holds_only, page_at};

const PAGES: usize = PAGES_PER_2M as usize;
/// Pages that are changed in one list.
const BATCH: usize = 24;
/// Pages of 2 MiB that are looked at.
const SAMPLES: u64 = 6;

/// What the guest knows of a page: shared, private, or validated and filled with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Shared,
    Private,
    Valid(u32),
}

impl State {
    const SHARED: u32 = 0;
    const PRIVATE: u32 = 1;

    fn decode(value: u32) -> Self {
        match value {
            Self::SHARED => Self::Shared,
            Self::PRIVATE => Self::Private,
            _ => Self::Valid(value & !1),
        }
    }

    fn encode(self) -> u32 {
        match self {
            Self::Shared => Self::SHARED,
            Self::Private => Self::PRIVATE,
            Self::Valid(number) => number | 1 << 31,
        }
    }
}

/// 2 MiB with the state of its pages. Who has it locked may change both.
struct Owned {
    locked: AtomicBool,
    pages: [AtomicU32; PAGES],
}

static AREAS: [Owned; OWNED_AREAS as usize] = [const {
    Owned {
        locked: AtomicBool::new(false),
        pages: [const { AtomicU32::new(State::SHARED) }; PAGES],
    }
}; OWNED_AREAS as usize];

/// A locked area.
struct Area {
    number: u64,
    state: &'static Owned,
}

impl Drop for Area {
    fn drop(&mut self) {
        self.state.locked.store(false, Ordering::Release);
    }
}

impl Area {
    fn lock(number: u64) -> Option<Self> {
        let state = AREAS.get(number as usize)?;
        let taken = state.locked.swap(true, Ordering::Acquire);
        // Not `then_some`: a value that is not wanted would unlock what another has locked.
        (!taken).then(|| Self { number, state })
    }

    fn page(&self, index: u64) -> GpaPage {
        let gpa = OWNED + self.number * PAGE_2M + index * PAGE_4K;
        page_at(gpa, PageSize::Size4K)
    }

    fn whole(&self) -> GpaPage {
        page_at(OWNED + self.number * PAGE_2M, PageSize::Size2M)
    }

    fn get(&self, index: u64) -> State {
        State::decode(self.state.pages[index as usize].load(Ordering::Relaxed))
    }

    fn set(&self, index: u64, state: State) {
        self.state.pages[index as usize].store(state.encode(), Ordering::Relaxed);
    }

    fn set_all(&self, state: State) {
        (0..PAGES_PER_2M).for_each(|index| self.set(index, state));
    }

    fn all(&self, which: impl Fn(State) -> bool) -> bool {
        (0..PAGES_PER_2M).all(|index| which(self.get(index)))
    }

    /// What the page has to hold, if anything can be said of it.
    fn check(&self, index: u64) -> Outcome {
        match self.get(index) {
            State::Valid(number) => holds_only(
                "content of an owned page",
                self.page(index),
                self.content(index, number),
            ),
            _ => Ok(()),
        }
    }

    /// The quadword that a page is filled with. 0 is what a fresh page has.
    fn content(&self, index: u64, number: u32) -> u64 {
        match number & !(1 << 31) {
            0 => 0,
            number => u64::from(number) << 32 | self.page(index).gpa().get(),
        }
    }
}

/// Some steps in one area, unless another vCPU has it.
pub(super) fn step(worker: &mut Worker) {
    let Some(area) = Area::lock(worker.noise.below(OWNED_AREAS)) else {
        return;
    };
    for _ in 0..1 + worker.noise.below(3) {
        match worker.noise.below(12) {
            0 => whole(worker, &area),
            1 => state_of_all(worker, &area),
            2..6 => batch(worker, &area),
            _ => one(worker, &area),
        }
    }
}

fn submit(worker: &mut Worker, entries: &[PvalidateEntry]) -> (SvsmResult, u16) {
    let list = List::in_calling_area();
    list.write_new(entries);
    let reply = worker.core(protocols::svsm::CoreCall::PVALIDATE, list.0);
    (reply.result, list.next())
}

/// One page: everything that can be done with it.
fn one(worker: &mut Worker, area: &Area) {
    let index = worker.noise.below(PAGES_PER_2M);
    let page = area.page(index);
    worker.holds("owned page/content", area.check(index).is_ok());
    let entry = |validate| PvalidateEntry::new(page, validate);
    let (entry, want, after) = match area.get(index) {
        State::Shared => {
            let changed = host::change_page(page, PscOperation::PRIVATE);
            worker.holds("owned page/made private", changed);
            return area.set(index, State::Private);
        }
        State::Private => match worker.noise.below(8) {
            0 => (entry(false), SvsmResult::CORE_NO_CHANGE, State::Private),
            1 => (
                entry(false).ignoring_cf(),
                SvsmResult::SUCCESS,
                State::Private,
            ),
            2 => {
                let changed = host::change_page(page, PscOperation::SHARED);
                worker.holds("owned page/made shared", changed);
                return area.set(index, State::Shared);
            }
            3 => (
                entry(true).ignoring_cf(),
                SvsmResult::SUCCESS,
                State::Valid(0),
            ),
            _ => (entry(true), SvsmResult::SUCCESS, State::Valid(0)),
        },
        before @ State::Valid(_) => match worker.noise.below(8) {
            0 => (entry(true), SvsmResult::CORE_NO_CHANGE, before),
            1 => (entry(true).ignoring_cf(), SvsmResult::SUCCESS, before),
            2..5 => (entry(false), SvsmResult::SUCCESS, State::Private),
            _ => {
                let number = worker.noise.next() as u32 & 0x7fff_fffe;
                let content = area.content(index, number);
                memory::fill(page.gpa().get(), page.bytes(), content);
                return area.set(index, State::Valid(number));
            }
        },
    };
    let (result, next) = submit(worker, &[entry]);
    if result != want {
        worker.fail("owned page/result", result.0);
    }
    let done = u16::from(result.is_success());
    worker.holds("owned page/next", next == done);
    area.set(index, after);
    worker.holds("owned page/content after", area.check(index).is_ok());
}

/// Pages in a row, each changed to the other state, in one list.
fn batch(worker: &mut Worker, area: &Area) {
    let first = worker.noise.below(PAGES_PER_2M);
    let count = 1 + worker.noise.below(BATCH as u64);
    let mut entries = [PvalidateEntry(0); BATCH];
    let mut changed = [0; BATCH];
    let mut used = 0;
    for index in first..(first + count).min(PAGES_PER_2M) {
        let validate = match area.get(index) {
            State::Shared => continue,
            State::Private => true,
            State::Valid(_) => false,
        };
        worker.holds("owned pages/content", area.check(index).is_ok());
        entries[used] = PvalidateEntry::new(area.page(index), validate);
        changed[used] = index;
        used += 1;
    }
    if used == 0 {
        return;
    }
    let (result, next) = submit(worker, &entries[..used]);
    if !result.is_success() {
        worker.fail("owned pages/result", result.0);
    }
    worker.holds("owned pages/next", usize::from(next) == used);
    for (entry, index) in entries.iter().zip(changed).take(used) {
        let after = match entry.validate() {
            true => State::Valid(0),
            false => State::Private,
        };
        area.set(index, after);
        worker.holds("owned pages/content after", area.check(index).is_ok());
    }
}

/// Validates or rescinds 2 MiB.
fn whole(worker: &mut Worker, area: &Area) {
    let is_valid = |state| matches!(state, State::Valid(_));
    let none = area.all(|state| state == State::Private);
    let all = area.all(is_valid);
    let any = !area.all(|state| !is_valid(state));
    if !none && !any {
        // Some of it is shared: no page of 2 MiB, and nothing that an answer could be had for.
        return;
    }
    let validate = worker.noise.one_in(2);
    let (result, next) = submit(worker, &[PvalidateEntry::new(area.whole(), validate)]);
    let (success, mismatch, same) = (
        SvsmResult::SUCCESS,
        SvsmResult::CORE_SIZEMISMATCH,
        SvsmResult::CORE_NO_CHANGE,
    );
    // Whether it is one page of 2 MiB or 512 of 4 KiB is the host's and the firmware's to know.
    let allowed = match (none, all, validate) {
        (true, _, true) => [success, mismatch],
        (true, _, false) => [same, same],
        (_, true, true) => [same, mismatch],
        (_, true, false) => [success, mismatch],
        _ => [mismatch, mismatch],
    };
    if !allowed.contains(&result) {
        worker.fail("owned area/result", result.0);
    }
    worker.holds("owned area/next", next == u16::from(result.is_success()));
    if result.is_success() {
        area.set_all(if validate {
            State::Valid(0)
        } else {
            State::Private
        });
    }
    for _ in 0..SAMPLES {
        let index = worker.noise.below(PAGES_PER_2M);
        worker.holds("owned area/content", area.check(index).is_ok());
    }
}

/// Makes 2 MiB private or shared that hold nothing.
fn state_of_all(worker: &mut Worker, area: &Area) {
    if !area.all(|state| !matches!(state, State::Valid(_))) {
        return;
    }
    let (operation, after) = match worker.noise.one_in(4) {
        true => (PscOperation::SHARED, State::Shared),
        false => (PscOperation::PRIVATE, State::Private),
    };
    let changed = host::change_pages(core::iter::once(area.whole()), operation);
    worker.holds("owned area/page-state change", changed);
    area.set_all(after);
}

/// Every page still holds what its last owner left.
pub(super) fn close() -> Outcome {
    for number in 0..OWNED_AREAS {
        let area = Area::lock(number);
        holds("an area that nobody has locked", area.is_some())?;
        for index in 0..PAGES_PER_2M {
            area.as_ref().map_or(Ok(()), |area| area.check(index))?;
        }
    }
    Ok(())
}
