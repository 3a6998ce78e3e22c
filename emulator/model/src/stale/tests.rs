use protocols::addr::PageSize;

use super::*;
use crate::types::Asid;

const EVERYTHING: u64 = 1 << 2 | 1 << 3;

fn entry(gpa: u64, size: PageSize, rights: Rights) -> RmpEntry {
    let mut entry = RmpEntry::assigned(Asid::new(1).unwrap(), Gpa::new(gpa), size, false);
    entry.set_validated(true);
    entry.set_rights(Vmpl::VMPL2, rights);
    entry
}

fn small(rights: Rights) -> RmpEntry {
    entry(0x5000, PageSize::Size4K, rights)
}

/// Two processors run the guest; processor 0 has taken a page away.
fn taken() -> StaleTranslations {
    let mut ledger = StaleTranslations::default();
    ledger.runs_lower_level(0);
    ledger.runs_lower_level(1);
    ledger.changed(0, &small(Rights::all()), &small(Rights::empty()));
    ledger
}

#[test]
fn what_was_taken_is_overlooked_until_it_is_flushed() {
    let mut ledger = taken();
    let page = Some(Overlooked::Page(Gpa::new(0x5000)));
    assert_eq!(ledger.overlooked(0), page);
    // The other one has done nothing wrong.
    assert_eq!(ledger.overlooked(1), None);
    ledger.invlpgb(0, EVERYTHING);
    assert_eq!(ledger.overlooked(0), page);
    // Another processor's TLBSYNC does not wait for it.
    ledger.tlbsync(1);
    assert_eq!(ledger.overlooked(0), page);
    ledger.tlbsync(0);
    assert_eq!(ledger.overlooked(0), None);
}

#[test]
fn any_processor_may_flush_for_all() {
    let mut ledger = taken();
    ledger.invlpgb(1, EVERYTHING);
    ledger.tlbsync(1);
    assert_eq!(ledger.overlooked(0), None);
}

#[test]
fn what_is_taken_behind_the_invlpgb_is_not_named_by_it() {
    let mut ledger = taken();
    ledger.invlpgb(0, EVERYTHING);
    let (before, after) = (
        entry(0x20_0000, PageSize::Size2M, Rights::READ),
        entry(0x20_0000, PageSize::Size2M, Rights::empty()),
    );
    ledger.changed(0, &before, &after);
    ledger.tlbsync(0);
    assert_eq!(
        ledger.overlooked(0),
        Some(Overlooked::Page(Gpa::new(0x20_0000)))
    );
}

#[test]
fn an_invlpgb_that_leaves_something_out_is_none() {
    for rax in [
        0,
        1 << 2,
        EVERYTHING | VA_VALID,
        EVERYTHING | PCID_VALID,
        EVERYTHING | FINAL_ONLY,
    ] {
        let mut ledger = taken();
        ledger.invlpgb(0, rax);
        ledger.tlbsync(0);
        assert!(ledger.overlooked(0).is_some(), "{rax:#x}");
    }
}

#[test]
fn nothing_is_stale_where_nobody_else_has_run() {
    let mut ledger = StaleTranslations::default();
    ledger.runs_lower_level(0);
    ledger.changed(0, &small(Rights::all()), &small(Rights::empty()));
    assert_eq!(ledger.overlooked(0), None);
}

#[test]
fn rights_that_come_or_come_back_leave_nothing_stale() {
    let mut ledger = taken();
    ledger.changed(0, &small(Rights::empty()), &small(Rights::all()));
    assert_eq!(ledger.overlooked(0), None);
    ledger.changed(0, &small(Rights::READ), &small(Rights::all()));
    assert_eq!(ledger.overlooked(0), None);
    // Some of them is not all.
    let mut ledger = taken();
    ledger.changed(0, &small(Rights::empty()), &small(Rights::READ));
    assert!(ledger.overlooked(0).is_some());
}

#[test]
fn a_page_that_is_rescinded_was_reachable_if_it_had_rights() {
    let mut gone = small(Rights::all());
    gone.set_validated(false);
    let mut ledger = StaleTranslations::default();
    ledger.runs_lower_level(1);
    ledger.changed(0, &small(Rights::empty()), &gone);
    assert_eq!(ledger.overlooked(0), None);
    ledger.changed(0, &small(Rights::all()), &gone);
    assert!(ledger.overlooked(0).is_some());
}

#[test]
fn a_vmsa_that_could_be_written_is_told_once() {
    let mut vmsa = small(Rights::READ);
    vmsa.set_vmsa(true);
    let mut ledger = taken();
    ledger.changed(0, &small(Rights::READ), &vmsa);
    assert_eq!(
        ledger.overlooked(0),
        Some(Overlooked::Vmsa(Gpa::new(0x5000)))
    );
    ledger.invlpgb(0, EVERYTHING);
    ledger.tlbsync(0);
    assert_eq!(ledger.overlooked(0), None);
    // Flushed first, as it should be.
    let mut ledger = taken();
    ledger.invlpgb(0, EVERYTHING);
    ledger.tlbsync(0);
    ledger.changed(0, &small(Rights::READ), &vmsa);
    assert_eq!(ledger.overlooked(0), None);
}
