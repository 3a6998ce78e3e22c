//! What vCPUs do side by side, and how it may end.

use protocols::svsm::ResultCode;

use super::*;
use crate::platform::GuestMemory;
use crate::testing::page_2m;

const BSP: u32 = World::BSP;
const AP: u32 = World::AP;
const THIRD: u32 = World::LAUNCHED;
/// VMSA and calling area of the vCPUs but the first.
const AP_IS: (u32, u64, u64) = (AP, p(1), p(2));
const THIRD_IS: (u32, u64, u64) = (THIRD, p(3), p(4));
/// A page that nobody uses.
const FREE: u64 = p(5);

const DONE: Answer = Some(ResultCode::SUCCESS);
const IN_USE: Answer = Some(ResultCode::CORE_FAIL_INUSE);
const BAD_ADDRESS: Answer = Some(ResultCode::INVALID_ADDRESS);
const BAD_PARAMETER: Answer = Some(ResultCode::INVALID_PARAMETER);
const NO_CHANGE: Answer = Some(ResultCode::CORE_NO_CHANGE);
const MISMATCH: Answer = Some(ResultCode::CORE_SIZEMISMATCH);
const BUSY: Answer = Some(ResultCode::BUSY);

/// Two vCPUs with a call each: their answers.
fn two(several: &Several, first: Call, second: Call) -> [Answer; 2] {
    let answers = several.side_by_side(&[(BSP, &[first]), (AP, &[second])]);
    [answers[0][0], answers[1][0]]
}

/// Whether one of two was done, and the other had this answer.
fn one_done(answers: [Answer; 2], other: Answer) -> bool {
    answers == [DONE, other] || answers == [other, DONE]
}

#[test]
fn threat_39_two_vcpus_delete_one_vmsa() {
    explore(|| {
        let several = Several::new(&[AP_IS, THIRD_IS]);
        let answers = two(&several, delete(p(3)), delete(p(3)));
        let expected = one_done(answers, BAD_PARAMETER) || one_done(answers, IN_USE);
        assert!(expected, "{answers:?}");
        assert!(several.shared.lock().check_page(p(3)).is_ok());
    });
}

#[test]
fn threat_40_two_vcpus_make_one_page_a_vmsa_for_different_vcpus() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        several.prepare_vmsa(FREE);
        let first = create(FREE, p(6), THIRD);
        let answers = two(&several, first, create(FREE, p(7), AP));
        let lost_early = one_done(answers, BAD_ADDRESS);
        assert!(lost_early || answers == [DONE, BUSY], "{answers:?}");
    });
}

#[test]
fn what_is_a_vmsa_for_one_is_the_calling_area_of_another() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        several.prepare_vmsa(FREE);
        several.prepare_vmsa(p(6));
        let first = create(FREE, p(6), THIRD);
        let answers = two(&several, first, create(p(6), FREE, THIRD));
        let expected = one_done(answers, BAD_ADDRESS) || one_done(answers, BUSY);
        assert!(expected, "{answers:?}");
    });
}

#[test]
fn threat_40_a_page_is_rescinded_while_it_becomes_a_vmsa_or_a_calling_area() {
    for (vmsa, area) in [(FREE, p(6)), (p(6), FREE)] {
        explore(move || {
            let several = Several::new(&[AP_IS]);
            several.prepare_vmsa(vmsa);
            let first = create(vmsa, area, THIRD);
            let answers = two(&several, first, rescind(page(FREE)));
            assert!(one_done(answers, BAD_ADDRESS), "{answers:?}");
        });
    }
}

#[test]
fn threat_43_a_list_lies_in_a_page_that_becomes_a_vmsa() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        several.prepare_vmsa(FREE);
        // `next` of the list would be the VMPL of the VMSA.
        let entry = PvalidateEntry::new(page(p(7)), false);
        let list = FREE + offset_of!(Vmsa, vmpl) as u64 - 2;
        let first = create(FREE, p(6), THIRD);
        let [created, rescinded] = two(&several, first, pvalidate(Some(list), entry));
        assert!([DONE, BAD_PARAMETER].contains(&created), "{created:?}");
        let expected = [DONE, BAD_ADDRESS, BAD_PARAMETER].contains(&rescinded);
        assert!(expected, "{rescinded:?}");
    });
}

#[test]
fn a_list_lies_in_a_page_that_is_rescinded() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        let entry = PvalidateEntry::new(page(p(7)), false);
        let second = pvalidate(Some(FREE), entry);
        let [first, second] = two(&several, rescind(page(FREE)), second);
        assert_eq!(first, DONE);
        assert!([DONE, BAD_ADDRESS].contains(&second), "{second:?}");
    });
}

#[test]
fn two_vcpus_validate_one_page() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        let page = validate(page_2m(World::PENDING));
        let answers = two(&several, page, page);
        let expected = one_done(answers, NO_CHANGE) || one_done(answers, BUSY);
        assert!(expected, "{answers:?}");
    });
}

#[test]
fn a_large_page_is_validated_beside_a_small_one_of_it() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        let small = page(World::PENDING + PAGE_4K);
        let answers = two(&several, validate(page_2m(World::PENDING)), validate(small));
        let expected = [[DONE, NO_CHANGE], [MISMATCH, DONE], [DONE, BUSY]];
        assert!(expected.contains(&answers), "{answers:?}");
    });
}

#[test]
fn two_large_pages_are_validated_at_once() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        let pages = [World::PENDING, World::PENDING + PAGE_2M].map(page_2m);
        let answers = two(&several, validate(pages[0]), validate(pages[1]));
        assert_eq!(answers, [DONE, DONE]);
    });
}

#[test]
fn a_large_page_is_validated_while_it_is_rescinded_and_used() {
    for call in [
        rescind(page_2m(World::PENDING)),
        rescind(page(World::PENDING + PAGE_4K)),
        remap(World::PENDING + PAGE_4K),
        create(World::PENDING + PAGE_4K, p(6), THIRD),
    ] {
        explore(move || {
            let several = Several::new(&[AP_IS]);
            let answers = two(&several, validate(page_2m(World::PENDING)), call);
            assert_eq!(answers[0], DONE);
            let early = [BUSY, NO_CHANGE, BAD_ADDRESS].contains(&answers[1]);
            // What the new VMSA holds is zeros.
            let late = [DONE, BAD_PARAMETER].contains(&answers[1]);
            assert!(early || late, "{answers:?}");
        });
    }
}

#[test]
fn threat_43_the_page_of_a_list_goes_while_the_list_is_served() {
    for call in [rescind(page(FREE)), create(FREE, p(6), THIRD), remap(FREE)] {
        explore(move || {
            let several = Several::new(&[AP_IS]);
            several.prepare_vmsa(FREE);
            // `next` of the list would be the VMPL of the VMSA.
            let entry = PvalidateEntry::new(page_2m(World::PENDING), true);
            let list = FREE + offset_of!(Vmsa, vmpl) as u64 - 2;
            let answers = two(&several, pvalidate(Some(list), entry), call);
            let expected = [DONE, BAD_ADDRESS, BAD_PARAMETER].contains(&answers[0]);
            assert!(expected, "{answers:?}");
            // The list may have been written over what would have been the VMSA.
            let expected = [DONE, BAD_PARAMETER].contains(&answers[1]);
            assert!(expected, "{answers:?}");
        });
    }
}

#[test]
fn two_small_pages_of_one_region_change_at_once() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        let answers = two(
            &several,
            validate(page(World::PENDING)),
            validate(page(World::PENDING + PAGE_4K)),
        );
        assert_eq!(answers, [DONE, DONE]);
    });
    explore(|| {
        let several = Several::new(&[AP_IS]);
        let answers = two(&several, rescind(page(p(6))), rescind(page(p(7))));
        assert_eq!(answers, [DONE, DONE]);
    });
}

#[test]
fn threat_09_the_guest_writes_by_a_right_that_it_has_cached() {
    let calls = [
        create(FREE, p(6), THIRD),
        rescind(page(FREE)),
        deposit(page(FREE)),
    ];
    for call in calls {
        explore(move || {
            let several = Several::new(&[AP_IS]);
            several.prepare_vmsa(FREE);
            // What is written is a page of the guest's, whenever it is.
            let answers = two(&several, call, Call::Write(FREE + 0xff8));
            assert_eq!(answers[0], DONE);
        });
    }
}

#[test]
fn one_vcpu_validates_what_another_rescinds() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        let answers = two(&several, validate(page(FREE)), rescind(page(FREE)));
        let expected = [[DONE, DONE], [NO_CHANGE, DONE]];
        assert!(expected.contains(&answers), "{answers:?}");
    });
}

#[test]
fn a_page_is_deposited_while_another_vcpu_wants_it() {
    for call in [create(FREE, p(6), THIRD), rescind(page(FREE)), remap(FREE)] {
        explore(move || {
            let several = Several::new(&[AP_IS]);
            several.prepare_vmsa(FREE);
            let answers = two(&several, call, deposit(page(FREE)));
            assert!(one_done(answers, BAD_ADDRESS), "{answers:?}");
        });
    }
}

#[test]
fn a_page_is_deposited_while_another_vcpu_withdraws() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        several.prepare_vmsa(FREE);
        let answers = two(&several, deposit(page(FREE)), withdraw(p(2) + 8));
        assert_eq!(answers, [DONE, DONE]);
        let mut count = [0; 2];
        let arena = &mut *several.arena.lock().unwrap();
        arena.machine.read(Gpa::new(p(2) + 8), &mut count).unwrap();
        let kept = several.shared.lock().pages.deposited();
        assert_eq!(u64::from(count[0]) + kept, 1);
    });
}

#[test]
fn two_vcpus_move_to_one_calling_area() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        let answers = two(&several, remap(FREE), remap(FREE));
        assert!(one_done(answers, BAD_ADDRESS), "{answers:?}");
    });
}

#[test]
fn threat_42_a_vcpu_moves_its_calling_area_to_a_page_that_is_rescinded_and_calls() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        let first = [remap(FREE), query()];
        let second = [rescind(page(FREE))];
        let answers = several.side_by_side(&[(BSP, &first), (AP, &second)]);
        let expected = [[DONE, BAD_ADDRESS], [BAD_ADDRESS, DONE]];
        assert!(
            expected.contains(&[answers[0][0], answers[1][0]]),
            "{answers:?}"
        );
        assert_eq!(answers[0][1], DONE);
    });
}

#[test]
fn threat_42_the_calling_area_that_a_vcpu_leaves_is_used_by_another() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        let first = [remap(FREE), query()];
        let second = [rescind(page(p(0))), query()];
        let answers = several.side_by_side(&[(BSP, &first), (AP, &second)]);
        assert_eq!(answers[0], [DONE, DONE]);
        assert!([DONE, BAD_ADDRESS].contains(&answers[1][0]), "{answers:?}");
        assert_eq!(answers[1][1], DONE);
    });
}

#[test]
fn threat_39_a_vmsa_is_deleted_while_its_vcpu_calls() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        let [deleted, asked] = two(&several, delete(p(1)), query());
        assert!([DONE, IN_USE].contains(&deleted), "{deleted:?}");
        assert!([DONE, None].contains(&asked), "{asked:?}");
        assert!(deleted == DONE || asked == DONE);
        let left = several.shared.lock().vcpus.current(AP).is_some();
        assert_eq!(left, deleted != DONE);
    });
}

#[test]
fn a_vmsa_is_deleted_while_its_vcpu_changes_pages() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        let calls = [delete(p(1)), rescind(page(p(2)))];
        let second = [rescind(page(FREE))];
        let answers = several.side_by_side(&[(BSP, &calls), (AP, &second)]);
        // Its calling area is ordinary memory exactly when it is gone.
        let first = [answers[0][0], answers[0][1]];
        assert!(
            [[DONE, DONE], [IN_USE, BAD_ADDRESS]].contains(&first),
            "{first:?}"
        );
    });
}

#[test]
fn a_processor_starts_again_while_it_still_calls() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        several.prepare_vmsa(FREE);
        let first = [create(FREE, p(2), AP), delete(p(1))];
        let second = [query(), query()];
        let answers = several.side_by_side(&[(BSP, &first), (AP, &second)]);
        let current = several.shared.lock().vcpus.current(AP);
        let expected = match [answers[0][0], answers[0][1]] {
            [DONE, DONE | IN_USE] => Some(FREE),
            [BUSY, IN_USE] => Some(p(1)),
            [BUSY, DONE] => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(current.map(|vcpu| vcpu.vmsa.get()), expected);
    });
}

#[test]
fn a_vcpu_that_deletes_itself_is_made_again_by_another() {
    explore(|| {
        let several = Several::new(&[AP_IS]);
        several.prepare_vmsa(FREE);
        let [created, deleted] = two(&several, create(FREE, p(6), AP), delete(p(1)));
        assert!([DONE, BUSY].contains(&created), "{created:?}");
        let current = several.shared.lock().vcpus.current(AP);
        let current = current.map(|vcpu| vcpu.vmsa.get());
        let expected = match (created, deleted) {
            (DONE, _) => Some(FREE),
            _ => None,
        };
        assert_eq!(current, expected);
    });
}

#[test]
fn two_vcpus_delete_each_other() {
    explore(|| {
        let several = Several::new(&[AP_IS, THIRD_IS]);
        let answers = several.side_by_side(&[(AP, &[delete(p(3))]), (THIRD, &[delete(p(1))])]);
        let shared = several.shared.lock();
        let left = [AP, THIRD].map(|apic_id| shared.vcpus.current(apic_id).is_some());
        assert_ne!(left, [false, false], "whoever deletes is there itself");
        let deleted = [answers[1][0] == DONE, answers[0][0] == DONE];
        assert_eq!(left, deleted.map(|deleted| !deleted), "{answers:?}");
    });
}

#[test]
fn three_vcpus_at_one_page() {
    // One more would take hours.
    explore_with(PREEMPTIONS, || {
        let several = Several::new(&[AP_IS, THIRD_IS]);
        several.prepare_vmsa(FREE);
        let answers = several.side_by_side(&[
            (BSP, &[create(FREE, p(6), AP)]),
            (AP, &[rescind(page(FREE))]),
            (THIRD, &[remap(FREE)]),
        ]);
        let done = answers.iter().filter(|answers| answers[0] == DONE).count();
        let busy = answers[0][0] == BUSY;
        assert!(done == 1 || done == 0 && busy, "{answers:?}");
    });
}

#[test]
fn threat_50_two_vcpus_ask_for_reports() {
    explore(|| {
        let (several, courier) = Several::attesting(&[AP_IS]);
        let answers = two(&several, Call::Attest(FREE), Call::Attest(p(6)));
        assert_eq!(answers, [DONE, DONE]);
        // One after the other: no number twice.
        let sent = courier.post().sent.clone();
        let numbers: Vec<_> = sent.iter().map(|(_, page)| page[0x20]).collect();
        assert_eq!(numbers, [1, 3]);
    });
}

#[test]
fn a_page_is_rescinded_while_a_report_is_made_for_it() {
    explore(|| {
        let (several, _) = Several::attesting(&[AP_IS]);
        let [attested, rescinded] = two(&several, Call::Attest(FREE), rescind(page(FREE)));
        assert_eq!(rescinded, DONE);
        assert!([DONE, BAD_ADDRESS].contains(&attested), "{attested:?}");
    });
}

#[test]
fn threat_40_a_page_becomes_a_vmsa_while_a_report_is_made_for_it() {
    explore(|| {
        let (several, _) = Several::attesting(&[AP_IS]);
        several.prepare_vmsa(FREE);
        let second = create(FREE, p(6), THIRD);
        let [attested, created] = two(&several, Call::Attest(FREE), second);
        assert!([DONE, BAD_ADDRESS].contains(&attested), "{attested:?}");
        // A VMSA with a report over it is none.
        assert!([DONE, BAD_PARAMETER].contains(&created), "{created:?}");
        assert!(attested == DONE || created == DONE);
    });
}

#[test]
fn who_asks_for_a_report_keeps_nobody_else_waiting() {
    explore(|| {
        let (several, _) = Several::attesting(&[AP_IS]);
        let services = several.shared.services();
        let busy = services.attestation.as_ref().unwrap().lock();
        // As if another vCPU's message were on its way for ever.
        let answers = several.vcpu(AP, &[rescind(page(FREE)), validate(page(FREE)), query()]);
        assert_eq!(answers, [DONE; 3]);
        drop(busy);
    });
}
