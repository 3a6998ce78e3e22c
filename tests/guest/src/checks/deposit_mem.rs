//! DEPOSIT_MEM and WITHDRAW_MEM: pages that the guest gives away and takes back. That a page which
//! was given cannot be touched is not for this guest to try: it would be its end.

use protocols::addr::{GpaPage, PAGE_4K};
use protocols::svsm::{
    CA_MEM_AVAILABLE, CoreCall, DepositEntry, DepositHeader, SvsmResult, WithdrawHeader,
};

use super::unusable;
use crate::arch::memory;
use crate::check::{Check, Outcome, check, refused, result, same, succeeds};
use crate::list;
use crate::playground::{Area, holds_only, is_ordinary};
use crate::svsm::{self, Reply};

pub(crate) const CHECKS: &[Check] = &[
    check("withdraw_mem/nothing was given", nothing_given),
    check("deposit_mem/what was given cannot be named", given),
    check(
        "withdraw_mem/it comes back, zeroed and ordinary",
        taken_back,
    ),
    check("withdraw_mem/one page at a time", one_at_a_time),
    check("withdraw_mem/where there is no room for a list", no_room),
    check("withdraw_mem/at unusable addresses", withdraw_to_unusable),
    check("deposit_mem/stops at the entry that fails", stops),
    check("deposit_mem/unusable pages", unusable_pages),
    check("deposit_mem/malformed lists", malformed),
    check("deposit_mem/lists at unusable addresses", unusable_lists),
];

/// Pages to give. No other check uses them.
fn page(index: u64) -> GpaPage {
    Area::WORK.page(0x40 + index)
}

/// Where the lists are.
fn list_gpa() -> u64 {
    Area::WORK.page(0x48).gpa().get()
}

fn next() -> u16 {
    memory::read(list_gpa() + DepositHeader::NEXT_OFFSET as u64)
}

fn give_raw(header: DepositHeader, entries: &[DepositEntry]) -> Reply {
    memory::write(list_gpa(), &header);
    memory::write(list_gpa() + DepositHeader::entry_offset(0), entries);
    svsm::core(CoreCall::DEPOSIT_MEM, list_gpa())
}

fn give(pages: &[GpaPage]) -> Reply {
    let mut entries = [DepositEntry(0); 4];
    for (entry, page) in entries.iter_mut().zip(pages) {
        *entry = DepositEntry::new(*page);
    }
    give_raw(DepositHeader::new(pages.len() as u16), &entries)
}

/// WITHDRAW_MEM to that place: how many pages came back, and the first.
fn take(gpa: u64) -> Result<(u16, u64), crate::check::Failure> {
    succeeds("result", svsm::core(CoreCall::WITHDRAW_MEM, gpa))?;
    let head: WithdrawHeader = memory::read(gpa);
    Ok((
        head.entries,
        memory::read(gpa + size_of::<WithdrawHeader>() as u64),
    ))
}

fn available() -> u8 {
    memory::read(svsm::calling_area() + CA_MEM_AVAILABLE as u64)
}

fn nothing_given() -> Outcome {
    memory::fill(list_gpa(), 16, u64::MAX);
    let (count, behind) = take(list_gpa())?;
    same("entries", count, 0u16)?;
    same("what lies behind the head", behind, u64::MAX)
}

fn given() -> Outcome {
    let pages = [page(0), page(1)];
    memory::fill(page(0).gpa().get(), PAGE_4K, 0x5a5a);
    succeeds("result", give(&pages))?;
    same("next", next(), 2u16)?;
    same("memory available", available(), 1u8)?;
    for page in pages {
        let gpa = page.gpa().get();
        let invalid = SvsmResult::INVALID_ADDRESS;
        refused("again", give(&[page]), invalid)?;
        refused("validation", list::validate(page), invalid)?;
        refused("rescission", list::rescind(page), invalid)?;
        for call in [
            CoreCall::REMAP_CA,
            CoreCall::PVALIDATE,
            CoreCall::DEPOSIT_MEM,
            CoreCall::WITHDRAW_MEM,
        ] {
            refused("as an argument", svsm::core(call, gpa), invalid)?;
        }
    }
    Ok(())
}

fn taken_back() -> Outcome {
    same("pages and the first of them", take(list_gpa())?.0, 2u16)?;
    same("memory available", available(), 0u8)?;
    for page in [page(0), page(1)] {
        holds_only("contents", page, 0)?;
        is_ordinary(page)?;
    }
    same("a second time", take(list_gpa())?.0, 0u16)
}

fn one_at_a_time() -> Outcome {
    let (first, second) = (page(2), page(3));
    succeeds("result", give(&[second, first]))?;
    let narrow = list_gpa() + PAGE_4K - 16;
    same("pages", take(narrow)?.0, 1u16)?;
    same("memory available", available(), 1u8)?;
    let in_area = svsm::calling_area() + 8;
    same("pages", take(in_area)?.0, 1u16)?;
    same("memory available", available(), 0u8)?;
    is_ordinary(first)?;
    is_ordinary(second)
}

fn no_room() -> Outcome {
    let invalid = SvsmResult::INVALID_PARAMETER;
    for gpa in [list_gpa() + PAGE_4K - 8, list_gpa() + 4] {
        result("result", svsm::core(CoreCall::WITHDRAW_MEM, gpa), invalid)?;
    }
    Ok(())
}

fn withdraw_to_unusable() -> Outcome {
    unusable::are_refused(|gpa| svsm::core(CoreCall::WITHDRAW_MEM, gpa))?;
    let over_pending = svsm::core(CoreCall::WITHDRAW_MEM, svsm::calling_area());
    result(
        "over call_pending",
        over_pending,
        SvsmResult::INVALID_ADDRESS,
    )
}

fn stops() -> Outcome {
    let reply = give(&[page(4), Area::INVALID.page(0), page(5)]);
    result("result", reply, SvsmResult::INVALID_ADDRESS)?;
    same("next", next(), 1u16)?;
    is_ordinary(page(5))?;
    let (count, first) = take(list_gpa())?;
    same("pages", count, 1u16)?;
    same("the first", first, page(4).gpa().get())?;
    is_ordinary(page(4))
}

fn unusable_pages() -> Outcome {
    let one = |bits| give_raw(DepositHeader::new(1), &[DepositEntry(bits)]);
    unusable::are_refused(one)?;
    let invalid = SvsmResult::INVALID_ADDRESS;
    refused("the calling area", one(svsm::calling_area()), invalid)?;
    refused("the list's own page", one(list_gpa()), invalid)?;
    refused(
        "not validated",
        one(Area::INVALID.page(1).gpa().get()),
        invalid,
    )?;
    refused(
        "misaligned",
        one(page(1).gpa().get() | 1),
        SvsmResult::INVALID_PARAMETER,
    )
}

fn malformed() -> Outcome {
    let good = DepositEntry::new(page(6));
    let head = |entries, next, reserved| DepositHeader {
        entries,
        next,
        reserved,
    };
    for (header, entry) in [
        (head(0, 0, 0), good),
        (head(1, 1, 0), good),
        (head(1, 0, 1), good),
        (head(512, 0, 0), good),
        (head(1, 0, 0), DepositEntry(good.0 | 4)),
        (head(1, 0, 0), DepositEntry(good.0 | 0x800)),
        (head(1, 0, 0), DepositEntry(good.0 | 2)),
    ] {
        refused(
            "result",
            give_raw(header, &[entry]),
            SvsmResult::INVALID_PARAMETER,
        )?;
        same("next", next(), header.next)?;
    }
    let misaligned = svsm::core(CoreCall::DEPOSIT_MEM, list_gpa() + 4);
    result("misaligned", misaligned, SvsmResult::INVALID_PARAMETER)?;
    is_ordinary(page(6))
}

fn unusable_lists() -> Outcome {
    unusable::are_refused(|gpa| svsm::core(CoreCall::DEPOSIT_MEM, gpa))
}
