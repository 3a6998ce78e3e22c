use std::sync::{Arc, Mutex};
use std::vec::Vec;

use proptest::prelude::*;
use protocols::addr::{PAGE_2M, PageSize};
use protocols::ghcb::{MsrValue, Response};
use snp_model::system::System;

use super::*;
use crate::testing::{Event, Machine, page_2m, psc_header, range};

fn ghcb() -> Ghcb {
    Ghcb::zeroed()
}

fn exits(machine: &mut Machine) -> usize {
    let request = |event: &&Event| matches!(event, Event::PageRequest(_));
    machine.take_events().iter().filter(request).count()
}

fn change_range(machine: &mut Machine, start: u64, len: u64) -> Result<(), Fatal> {
    let pages = range(start, len).pages(PageSize::Size2M);
    // What an earlier request left in the copy must not matter.
    let mut ghcb = ghcb();
    ghcb.shared_buffer.fill(0xa5);
    change(
        machine,
        &mut ghcb,
        Clones(pages.collect()),
        PscOperation::PRIVATE,
    )
}

/// A list as a cloneable iterator.
#[derive(Clone)]
struct Clones(std::collections::VecDeque<GpaPage>);

impl Iterator for Clones {
    type Item = GpaPage;
    fn next(&mut self) -> Option<GpaPage> {
        self.0.pop_front()
    }
}

#[test]
fn a_list_that_fits_takes_one_exit() {
    let mut machine = Machine::new();
    change_range(&mut machine, 0x20_0000 - 0x5000, 0x40_5000).unwrap();
    assert_eq!(exits(&mut machine), 1);
    let entry = machine.system.rmp().entry(snp_model::types::Spa(0x20_0000));
    assert!(entry.is_assigned() && entry.size() == PageSize::Size2M);
}

#[test]
fn a_longer_list_goes_in_full_batches() {
    let mut machine = Machine::new();
    change_range(&mut machine, 0x1000, 506 * 0x1000).unwrap();
    assert_eq!(exits(&mut machine), 2);
    change_range(&mut machine, 0x20_0000, 254 * PAGE_2M).unwrap();
    assert_eq!(exits(&mut machine), 2);
    change_range(&mut machine, 0x1000, 0).unwrap();
    assert_eq!(exits(&mut machine), 0);
}

/// A host that is asked for four pages and answers as `answer` changes the header
/// and the entry that it points to.
fn with_answers(
    mut answer: impl FnMut(u32, &mut PscHeader, &mut u16) -> (Response, u64) + Send + 'static,
) -> (Result<(), Fatal>, Vec<(u16, u16)>) {
    let mut machine = Machine::new();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let mut round = 0;
    machine
        .host
        .on_page(move |_: &mut System, ghcb: &mut Ghcb| {
            let mut header = psc_header(ghcb);
            assert_eq!(header.reserved, 0);
            let at = |index: u16| PscHeader::entry_offset(index.into()).unwrap();
            let place = at(header.cur_entry);
            let entry = PscEntry::read_from_prefix(&ghcb.shared_buffer[place..])
                .unwrap()
                .0;
            seen.lock()
                .unwrap()
                .push((header.cur_entry, entry.cur_page()));
            let mut page = entry.cur_page();
            let (response, info2) = answer(round, &mut header, &mut page);
            round += 1;
            ghcb.shared_buffer[..8].copy_from_slice(header.as_bytes());
            if header.cur_entry < 4 {
                let place = at(header.cur_entry);
                let entry = PscEntry::read_from_prefix(&ghcb.shared_buffer[place..])
                    .unwrap()
                    .0;
                let entry = entry.with_cur_page(page);
                ghcb.shared_buffer[place..place + 8].copy_from_slice(entry.as_bytes());
            }
            ghcb.clear_valid();
            ghcb.respond(response, info2);
        });
    let pages = range(0x20_0000, 4 * PAGE_2M).pages(PageSize::Size2M);
    let pages = Clones(pages.collect());
    let result = change(&mut machine, &mut ghcb(), pages, PscOperation::SHARED);
    let asked = asked.lock().unwrap().clone();
    (result, asked)
}

const OK: (Response, u64) = (Response::NO_ACTION, 0);

fn no_progress(result: Result<(), Fatal>) -> bool {
    matches!(
        result,
        Err(Fatal::Rampart(RampartReason::PageStateChangeNoProgress, _))
    )
}

#[test]
fn threat_07_partial_progress_is_gone_on_with() {
    let (result, asked) = with_answers(|round, header, page| {
        match round {
            0 => *page = 100,
            1 => (header.cur_entry, *page) = (1, 0),
            2 => (header.cur_entry, *page) = (1, 511),
            _ => header.cur_entry = 4,
        }
        OK
    });
    assert_eq!(result, Ok(()));
    assert_eq!(asked, [(0, 0), (0, 100), (1, 0), (1, 511)]);
}

#[test]
fn threat_07_going_backwards_ends_the_machine() {
    let (result, _) = with_answers(|round, header, _| {
        header.cur_entry = if round == 0 { 2 } else { 1 };
        OK
    });
    assert!(no_progress(result));
    let (result, _) = with_answers(|round, _, page| {
        *page = if round == 0 { 2 } else { 1 };
        OK
    });
    assert!(no_progress(result));
}

#[test]
fn threat_07_threat_27_a_host_without_progress_is_given_up_by_count_not_by_time() {
    let (result, asked) = with_answers(|_, _, _| OK);
    assert!(no_progress(result));
    assert_eq!(asked.len() as u32, MAX_IDLE_EXITS + 1);
}

#[test]
fn threat_07_an_error_in_info2_counts_even_beside_progress() {
    let (result, _) = with_answers(|_, header, _| {
        header.cur_entry = 4;
        (Response::NO_ACTION, PscResult::GENERIC.0)
    });
    let detail = PscResult::GENERIC.0;
    let refused = Fatal::with_detail(RampartReason::PageStateChangeRefused, detail);
    assert_eq!(result, Err(refused));
}

#[test]
fn threat_08_a_refusal_ends_the_machine() {
    let (result, _) = with_answers(|_, _, _| (Response::MALFORMED_INPUT, 3));
    assert!(matches!(
        result,
        Err(Fatal::Rampart(RampartReason::BadGhcbAnswer, _))
    ));
    let mut machine = Machine::new();
    machine
        .host
        .on_msr(|_| MsrResponse::PageStateChange { error: 1 }.encode());
    let result = change_by_msr(&mut machine, Gpa::new(0x1000), PscOperation::SHARED);
    assert_eq!(
        result,
        Err(Fatal::with_detail(RampartReason::PageStateChangeRefused, 1))
    );
}

#[test]
fn threat_07_another_list_in_the_answer_ends_the_machine() {
    for change in [
        (|header| header.end_entry = 0) as fn(&mut PscHeader),
        |header| header.end_entry = u16::MAX,
        |header| header.cur_entry = 5,
        |header| header.cur_entry = u16::MAX,
    ] {
        let (result, _) = with_answers(move |_, header, _| {
            change(header);
            OK
        });
        assert!(no_progress(result));
    }
    let (result, _) = with_answers(|_, _, page| {
        *page = 513;
        OK
    });
    assert!(no_progress(result));
}

#[test]
fn threat_18_another_answer_by_the_msr_ends_the_machine() {
    let mut machine = Machine::new();
    for answer in [0, 0x15 | 1 << 12, 0x14, u64::MAX] {
        machine.host.on_msr(move |_| MsrValue(answer));
        let result = change_by_msr(&mut machine, Gpa::new(0x1000), PscOperation::PRIVATE);
        assert_eq!(
            result,
            Err(Fatal::with_detail(RampartReason::BadMsrAnswer, answer))
        );
    }
}

proptest! {
    #[test]
    fn any_answers_end_in_success_or_a_reason(
        answers in prop::collection::vec((0u16..7, 0u16..700, prop::bool::weighted(0.05)), 1..100),
    ) {
        let count = answers.len();
        let (result, asked) = with_answers(move |round, header, page| {
            let (entry, at, wrong) = answers[round as usize % count];
            header.cur_entry = entry;
            *page = at;
            if wrong { (Response::NO_ACTION, 1) } else { OK }
        });
        prop_assert!(asked.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(asked.len() <= 4 * 513 * (MAX_IDLE_EXITS as usize + 1));
        let reason = match result {
            Ok(()) => None,
            Err(Fatal::Rampart(reason, _)) => Some(reason),
            Err(other) => return Err(TestCaseError::fail(std::format!("{other:?}"))),
        };
        prop_assert!(matches!(
            reason,
            None | Some(
                RampartReason::PageStateChangeNoProgress | RampartReason::PageStateChangeRefused
            )
        ));
    }
}

#[test]
fn operations_reach_the_host_as_asked() {
    let mut machine = Machine::new();
    machine.host.on_page(|_, ghcb| {
        let mut header = psc_header(ghcb);
        let entry = PscEntry::read_from_prefix(&ghcb.shared_buffer[8..])
            .unwrap()
            .0;
        assert_eq!(entry.operation(), PscOperation::SHARED);
        assert_eq!(entry.page(), Some(page_2m(0x40_0000)));
        header.cur_entry = 1;
        ghcb.shared_buffer[..8].copy_from_slice(header.as_bytes());
        ghcb.clear_valid();
        ghcb.respond(Response::NO_ACTION, 0);
    });
    let pages = [page_2m(0x40_0000)].into_iter();
    change(&mut machine, &mut ghcb(), pages, PscOperation::SHARED).unwrap();
}
