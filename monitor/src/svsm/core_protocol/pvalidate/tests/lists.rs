//! A list comes to the same as its entries one by one, with fewer steps.

use proptest::prelude::*;
use snp_model::types::Asid;

use super::*;
use crate::fatal::Fatal;
use crate::svsm::request::Arguments;

const NONE: Rights = Rights::empty();
const ALL: Rights = Rights::all();

/// The pages that the entries name: the ends of their regions and some others.
fn any_page() -> impl Strategy<Value = u64> {
    let regions = [P, P + PAGE_2M, P + 2 * PAGE_2M, World::LARGE, World::SMALL];
    let pages = prop_oneof![0u64..6, 508u64..512, Just(0x3f), Just(0x40)];
    (prop::sample::select(regions.to_vec()), pages)
        .prop_map(|(region, page)| region + page * PAGE_4K)
}

/// Entries that go on from one another, large ones, and pages that nobody may name.
fn any_entries() -> impl Strategy<Value = Vec<PvalidateEntry>> {
    let row = (any_page(), 1u64..40, any::<bool>(), any::<bool>()).prop_map(
        |(first, count, validate, ignore)| {
            let entry = |index| {
                let entry = PvalidateEntry::new(page(first + index * PAGE_4K), validate);
                if ignore { entry.ignoring_cf() } else { entry }
            };
            (0..count).map(entry).collect::<Vec<_>>()
        },
    );
    let bits = prop::sample::select(std::vec![1u64, 5, 9, 13]);
    let large = (any_page(), bits)
        .prop_map(|(gpa, bits)| std::vec![PvalidateEntry((gpa / PAGE_2M * PAGE_2M) | bits)]);
    let odd = prop::sample::select(std::vec![
        World::CALLING_AREA | 4,
        World::FIRMWARE | 4,
        World::VMSA,
        World::RAM | 4,
        (P + PAGE_4K) | 5,
        !0xfff | 4,
    ])
    .prop_map(|bits| std::vec![PvalidateEntry(bits)]);
    let pieces = prop_oneof![8 => row, 4 => large, 1 => odd];
    prop::collection::vec(pieces, 1..6).prop_map(|pieces| pieces.concat())
}

/// The pages that may have changed, with their state, their rights, and how they begin.
type Seen = Vec<(GpaPage, Option<PageState>, [Rights; 3], bool, [u8; 4])>;

fn seen(world: &mut World) -> Seen {
    let regions = [P, P + PAGE_2M, P + 2 * PAGE_2M, P + 3 * PAGE_2M];
    let regions = [World::SMALL, World::LARGE].into_iter().chain(regions);
    regions
        .flat_map(|region| page_2m(region).split())
        .map(|small| {
            let state = world.shared.lock().pages.state(small);
            let spa = world.machine.system.translate(small.gpa()).unwrap();
            let entry = world.machine.system.rmp().entry(spa);
            let levels = [Vmpl::VMPL1, Vmpl::VMPL2, Vmpl::VMPL3];
            let bytes = match state {
                Some(PageState::Valid) if small != page(LIST) => world.peek(small.gpa().get()),
                _ => [0; 4],
            };
            (
                small,
                state,
                levels.map(|level| entry.rights(level)),
                entry.is_validated(),
                bytes,
            )
        })
        .collect()
}

/// A world in which some regions are split by the host, and guest memory has contents.
fn world(split: &[bool; 3]) -> World {
    let mut world = World::new();
    // Rows of pages go on behind what the world has given to the guest.
    let behind = World::SMALL + World::SMALL_SIZE..World::SMALL + 2 * PAGE_2M;
    for gpa in behind.step_by(PAGE_4K as usize) {
        world.private(page(gpa));
    }
    world.private(page_2m(World::LARGE + PAGE_2M));
    for (index, _) in split.iter().enumerate().filter(|(_, split)| **split) {
        world
            .machine
            .system
            .psmash(Spa(P + index as u64 * PAGE_2M))
            .unwrap();
    }
    for small in page_2m(World::LARGE).split() {
        world.poke(small.gpa().get(), b"full");
    }
    world.poke(World::SMALL + 0x3000, b"full");
    world
}

/// The call, as raw as the end of the virtual machine.
fn ask(world: &mut World, entries: &[PvalidateEntry]) -> Result<(ResultCode, u16), Fatal> {
    world.poke(LIST, PvalidateHeader::new(entries.len() as u16).as_bytes());
    world.poke(LIST + 8, entries.as_bytes());
    let arguments = Arguments {
        rcx: LIST,
        ..Arguments::default()
    };
    world.ask(
        World::BSP,
        protocols::svsm::Request::core(CoreCall::PVALIDATE).rax(),
        arguments,
    );
    let _ = world.serve(World::BSP)?;
    let rax = world.field(World::BSP, core::mem::offset_of!(protocols::snp::Vmsa, rax));
    Ok((
        protocols::svsm::SvsmResult(rax),
        u16::from_le_bytes(world.peek(LIST + 2)),
    ))
}

fn one_by_one(world: &mut World, entries: &[PvalidateEntry]) -> Result<(ResultCode, u16), Fatal> {
    for (index, entry) in entries.iter().enumerate() {
        let (result, next) = ask(world, core::slice::from_ref(entry))?;
        if result != ResultCode::SUCCESS {
            assert_eq!(next, 0);
            return Ok((result, index as u16));
        }
    }
    Ok((ResultCode::SUCCESS, entries.len() as u16))
}

proptest! {
    #![proptest_config(crate::testing::cases(96))]
    #[test]
    fn a_list_comes_to_the_same_as_its_entries(
        entries in any_entries(), split: [bool; 3],
    ) {
        let (mut whole, mut single) = (world(&split), world(&split));
        let together = ask(&mut whole, &entries);
        let apart = one_by_one(&mut single, &entries);
        prop_assert_eq!(&together, &apart);
        prop_assert!(together.is_ok(), "no list ends the machine: {:?}", together);
        let differs = core::iter::zip(seen(&mut whole), seen(&mut single)).find(|(a, b)| a != b);
        prop_assert!(differs.is_none(), "{differs:?}");
    }
}

#[test]
fn each_page_of_a_list_is_zeroed_once_and_nothing_is_flushed() {
    let mut world = World::new();
    let list: Vec<_> = page_2m(P).split().take(510).map(valid).collect();
    assert_eq!(world.pvalidate(&list), (ResultCode::SUCCESS, 510));
    let events = world.machine.take_events();
    let count = |wanted| events.iter().filter(|event| **event == wanted).count();
    for small in page_2m(P).split().take(510) {
        assert_eq!(count(Event::Zero(small)), 1);
        assert_eq!(count(Event::Pvalidate(small, true)), 1);
    }
    let zeroed = events
        .iter()
        .filter(|event| matches!(event, Event::Zero(_)));
    assert_eq!(zeroed.count(), 510);
    assert_eq!(count(Event::Flush), 0);
}

#[test]
fn threat_09_a_list_of_rescissions_is_revoked_then_flushed_once_then_rescinded() {
    let mut world = World::new();
    let small: Vec<_> = (8..24).map(|n| page(World::SMALL + n * 0x1000)).collect();
    let mut pages = small;
    pages.push(page_2m(World::LARGE));
    let list: Vec<_> = pages.iter().map(|page| invalid(*page)).collect();
    assert_eq!(world.pvalidate(&list), (ResultCode::SUCCESS, 17));
    let mut expected = Vec::new();
    for page in &pages {
        expected.push(Event::Rmpadjust(*page, Vmpl::VMPL1, NONE, false));
        expected.push(Event::Rmpadjust(*page, Vmpl::VMPL2, NONE, false));
    }
    expected.push(Event::Flush);
    expected.extend(pages.iter().map(|page| Event::Pvalidate(*page, false)));
    let steps = |event: &Event| {
        matches!(
            event,
            Event::Rmpadjust(..) | Event::Flush | Event::Pvalidate(..)
        )
    };
    let events = world.machine.take_events();
    let events: Vec<_> = events.into_iter().filter(steps).collect();
    assert_eq!(events, expected);
}

#[test]
fn rescissions_of_what_is_invalid_flush_nothing() {
    let mut world = World::new();
    let list: Vec<_> = page_2m(P)
        .split()
        .take(8)
        .map(|page| invalid(page).ignoring_cf())
        .collect();
    assert_eq!(world.pvalidate(&list), (ResultCode::SUCCESS, 8));
    assert!(!world.machine.take_events().contains(&Event::Flush));
}

#[test]
fn pages_behind_a_rescission_that_fails_are_the_guest_s_again() {
    let mut world = World::new();
    for pending in [P, P + PAGE_2M] {
        assert_eq!(
            world.pvalidate(&[valid(page_2m(pending))]).0,
            ResultCode::SUCCESS
        );
    }
    let pages = [
        page(World::SMALL + 0x8000),
        page_2m(P),
        page_2m(P + PAGE_2M),
    ];
    // The host splits the second when it is about to be rescinded.
    world.machine.intrude(move |event, system| {
        if event == Event::Pvalidate(page_2m(P), false) {
            system.psmash(Spa(P)).unwrap();
        }
    });
    let list = pages.map(invalid);
    assert_eq!(world.pvalidate(&list), (ResultCode::CORE_SIZEMISMATCH, 1));
    assert!(!world.readable(Vmpl::VMPL2, World::SMALL + 0x8000));
    for gpa in [P, P + PAGE_2M - 1, P + PAGE_2M] {
        assert!(world.writable(Vmpl::VMPL2, gpa), "{gpa:#x}");
        assert!(world.writable(Vmpl::VMPL1, gpa), "{gpa:#x}");
    }
    assert_eq!(
        world.shared.lock().pages.state(page_2m(P)),
        Some(PageState::Valid)
    );
}

#[test]
fn threat_09_threat_44_a_page_exchanged_within_a_list_ends_the_machine() {
    let mut world = World::new();
    let victim = page(World::SMALL + 0x9000);
    let update =
        snp_model::host::RmpUpdate::to_guest(Asid::new(1).unwrap(), victim.gpa(), PageSize::Size4K);
    world.machine.intrude(move |event, system| {
        if event == Event::Flush {
            system.rmpupdate(Spa(0x8000_0000), update).unwrap();
            system.map(victim, Spa(0x8000_0000));
        }
    });
    let list: Vec<_> = (8..12)
        .map(|n| invalid(page(World::SMALL + n * 0x1000)))
        .collect();
    assert_eq!(ask(&mut world, &list), Err(Fatal::page_lost(victim.gpa())));
}

#[test]
fn a_grant_that_fails_in_a_list_undoes_that_page_alone() {
    let mut world = World::new();
    let pages = [page_2m(P), page_2m(P + PAGE_2M)];
    world.machine.intrude(move |event, system| {
        if event == Event::Rmpadjust(pages[1], Vmpl::VMPL2, ALL, false) {
            system.psmash(Spa(P + PAGE_2M)).unwrap();
        }
    });
    let list = [
        valid(pages[0]),
        valid(pages[1]),
        valid(page_2m(P + 2 * PAGE_2M)),
    ];
    assert_eq!(world.pvalidate(&list), (ResultCode::CORE_SIZEMISMATCH, 1));
    let state = |gpa| world.shared.lock().pages.state(page_2m(gpa));
    assert_eq!(state(P), Some(PageState::Valid));
    assert_eq!(state(P + PAGE_2M), Some(PageState::Invalid));
    assert_eq!(state(P + 2 * PAGE_2M), Some(PageState::Invalid));
}
