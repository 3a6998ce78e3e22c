//! What the architecture promises, over random moves of a host and a guest.

mod common;

use std::collections::BTreeSet;

use common::{GuestMove, HostMove, Machine, SPAN, guest_moves, host_moves, pages};
use proptest::prelude::*;
use protocols::addr::{PAGE_4K, PageSize};
use protocols::snp::{Rights, Vmpl};
use snp_model::entry::RmpEntry;
use snp_model::host::{RmpUpdate, psmash, rmpupdate, unsmash};
use snp_model::rmp::Rmp;
use snp_model::types::Spa;

/// The state of every 4 KiB page.
fn all(rmp: &Rmp) -> Vec<RmpEntry> {
    pages(0, SPAN).map(|spa| rmp.entry(Spa(spa))).collect()
}

fn rights(entry: &RmpEntry) -> [Rights; 4] {
    Vmpl::ALL.map(|v| entry.rights(v))
}

/// A multiple of the usual number of cases, if the environment has one.
fn factor() -> u32 {
    std::env::var("RAMPART_CASES").map_or(1, |factor| factor.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200 * factor()))]

    /// No guest move raises a right of a level above what the level that moves has
    /// itself, and no level changes its own rights or those of a more privileged one.
    #[test]
    fn nobody_gains_a_right_that_the_granter_lacks(
        host in host_moves(0..6),
        guest in guest_moves(1..60),
    ) {
        let mut machine = Machine::new();
        machine.furnish();
        host.iter().for_each(|m| machine.host(m));
        for m in &guest {
            let before = all(machine.system.rmp());
            machine.guest(m);
            for (old, new) in before.iter().zip(all(machine.system.rmp())) {
                // PSMASH in between changes no right either.
                for level in Vmpl::ALL {
                    let (was, is) = (old.rights(level), new.rights(level));
                    let gained = is - was;
                    prop_assert!(old.rights(m.level()).contains(gained), "{:?}", m);
                    prop_assert!(level > m.level() || is == was, "{:?}", m);
                }
            }
        }
    }

    /// Of all moves, only PVALIDATE at VMPL0 makes a page valid.
    #[test]
    fn only_the_guests_vmpl0_validates(
        host in host_moves(1..30),
        guest in guest_moves(1..30),
    ) {
        let mut machine = Machine::new();
        machine.furnish();
        let valid = |machine: &Machine| -> BTreeSet<u64> {
            let rmp = machine.system.rmp();
            pages(0, SPAN).filter(|spa| rmp.entry(Spa(*spa)).is_validated()).collect()
        };
        let moves = host.iter().map(Err).zip(guest.iter().map(Ok)).flat_map(|(h, g)| [h, g]);
        for m in moves {
            let before = valid(&machine);
            let may = match m {
                Err(host) => {
                    machine.host(host);
                    false
                }
                Ok(guest) => {
                    machine.guest(guest);
                    guest.level() == Vmpl::VMPL0
                        && matches!(guest, GuestMove::Pvalidate { validate: true, .. })
                }
            };
            prop_assert!(may || valid(&machine).is_subset(&before), "{:?}", m);
        }
    }

    /// RMPUPDATE that succeeds leaves nothing of what was there: no validation, no
    /// VMSA, rights for VMPL0 alone.
    #[test]
    fn rmpupdate_always_clears(
        host in host_moves(0..6),
        guest in guest_moves(0..40),
        last in host_moves(1..20),
    ) {
        let mut machine = Machine::new();
        machine.furnish();
        host.iter().for_each(|m| machine.host(m));
        guest.iter().for_each(|m| machine.guest(m));
        let mut rmp = machine.system.rmp().clone();
        for m in &last {
            if let HostMove::Rmpupdate(spa, update) = m
                && rmpupdate(&mut rmp, *spa, *update).is_ok()
            {
                for spa in pages(spa.0, update.size.bytes()) {
                    let entry = rmp.entry(Spa(spa));
                    prop_assert!(!entry.is_validated() && !entry.is_vmsa());
                    let none = Rights::empty();
                    prop_assert_eq!(rights(&entry), [Rights::all(), none, none, none]);
                    prop_assert_eq!(entry.is_assigned(), *update != RmpUpdate::to_host(update.size));
                }
            }
        }
    }

    /// PSMASH changes nothing but the size, and joining undoes it exactly.
    #[test]
    fn psmash_then_unsmash_is_the_identity(
        host in host_moves(0..6),
        guest in guest_moves(0..40),
    ) {
        let mut machine = Machine::new();
        machine.furnish();
        machine.system.leave_size_faults();
        host.iter().for_each(|m| machine.host(m));
        guest.iter().for_each(|m| machine.guest(m));
        let before = machine.system.rmp();
        let mut rmp = before.clone();
        for region in pages(0, SPAN).map(Spa).filter(|spa| spa.is_aligned(PageSize::Size2M)) {
            if psmash(&mut rmp, region).is_err() {
                continue;
            }
            for spa in pages(region.0, PageSize::Size2M.bytes()).map(Spa) {
                let (large, small) = (before.entry(spa), rmp.entry(spa));
                prop_assert_eq!((large.size(), small.size()), (PageSize::Size2M, PageSize::Size4K));
                prop_assert_eq!(large.asid(), small.asid());
                prop_assert_eq!(large.gpa_of(spa), small.gpa());
                prop_assert_eq!(large.is_validated(), small.is_validated());
                prop_assert_eq!(rights(&large), rights(&small));
            }
            prop_assert_eq!(unsmash(&mut rmp, region), Ok(()));
        }
        prop_assert_eq!(all(&rmp), all(before));
        prop_assert_eq!(rmp.split_regions(), before.split_regions());
    }

    /// For a guest that validates each of its pages at most once, a private page
    /// reads what was last written there or faults, and no guest page ever has two
    /// valid system pages, whatever the host does.
    #[test]
    fn a_careful_guest_reads_what_it_wrote(
        moves in proptest::collection::vec(
            prop_oneof![
                common::host_move().prop_map(Err),
                common::guest_move(Vmpl::VMPL0).prop_map(Ok),
            ],
            1..120,
        ),
    ) {
        let mut machine = Machine::new();
        machine.be_careful();
        machine.furnish();
        for m in &moves {
            match m {
                Ok(guest) => machine.guest(guest),
                Err(host) => machine.host(host),
            }
            prop_assert_eq!(machine.surprise(), None, "{:?}", m);
            if matches!(m, Ok(GuestMove::Pvalidate { .. })) {
                prop_assert_eq!(machine.doubly_valid(), None);
            }
        }
    }
}

/// The property above can fail: a guest that validates again, whenever it meets a
/// page that is not valid, is deceived.
#[test]
fn a_careless_guest_is_deceived() {
    let page = common::Page {
        gpa: PAGE_4K,
        size: PageSize::Size4K,
    };
    let asid = common::guest_asid();
    let give = |spa| {
        let update = RmpUpdate::to_guest(asid, page.address(), PageSize::Size4K);
        [
            Err(HostMove::Rmpupdate(Spa(spa), update)),
            Err(HostMove::Map(page, Spa(spa))),
            Ok(GuestMove::validate(page)),
        ]
    };
    let attack = || {
        let write = |byte| Ok(GuestMove::Write(page, byte));
        let back = Err(HostMove::Map(page, Spa(PAGE_4K)));
        give(PAGE_4K)
            .into_iter()
            .chain([write(1)])
            .chain(give(0))
            .chain([write(2), back, Ok(GuestMove::Read(page))])
    };
    for careful in [false, true] {
        let mut machine = Machine::new();
        if careful {
            machine.be_careful();
        }
        for m in attack() {
            match m {
                Ok(guest) => machine.guest(&guest),
                Err(host) => machine.host(&host),
            }
        }
        let expected = if careful {
            (None, None)
        } else {
            (Some((1, 2)), Some(page.gpa))
        };
        assert_eq!((machine.surprise(), machine.doubly_valid()), expected);
    }
}
