//! Random moves of a host and of a guest, and a machine that keeps score.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use proptest::prelude::*;
use protocols::addr::{Gpa, GpaPage, PAGE_2M, PAGE_4K, PageSize};
use protocols::snp::{Rights, RmpAttributes, RmpResult, Vmpl};
use snp_model::access::Encryption;
use snp_model::host::{NewOwner, RmpUpdate};
use snp_model::instruction::Outcome;
use snp_model::system::System;
use snp_model::types::{Asid, Spa};

/// Bytes of system memory, and of guest addresses.
pub(crate) const SPAN: u64 = 3 * PAGE_2M;

/// The start of every 4 KiB page in a range.
pub(crate) fn pages(start: u64, bytes: u64) -> impl Iterator<Item = u64> {
    (start..start + bytes).step_by(PAGE_4K as usize)
}

/// The guest that moves.
pub(crate) fn guest_asid() -> Asid {
    Asid::new(1).unwrap()
}

/// A page by its address, aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) gpa: u64,
    pub(crate) size: PageSize,
}

impl Page {
    pub(crate) fn address(self) -> Gpa {
        Gpa::new(self.gpa)
    }

    fn pages(self) -> impl Iterator<Item = u64> {
        pages(self.gpa, self.size.bytes())
    }
}

/// What the host does.
#[derive(Clone, Debug)]
pub(crate) enum HostMove {
    Rmpupdate(Spa, RmpUpdate),
    Psmash(Spa),
    Unsmash(Spa),
    Map(Page, Spa),
    Unmap(Page),
    Swap(Gpa, Gpa),
    Write(Spa, u8),
}

/// What the guest does.
#[derive(Clone, Debug)]
pub(crate) enum GuestMove {
    Pvalidate {
        page: Page,
        validate: bool,
        level: Vmpl,
    },
    Rmpadjust {
        page: Page,
        attributes: RmpAttributes,
        level: Vmpl,
    },
    /// VMPL0 writes a byte to the start of a page.
    Write(Page, u8),
    /// VMPL0 reads the byte at the start of a page.
    Read(Page),
}

impl GuestMove {
    pub(crate) fn validate(page: Page) -> GuestMove {
        GuestMove::Pvalidate {
            page,
            validate: true,
            level: Vmpl::VMPL0,
        }
    }

    pub(crate) fn level(&self) -> Vmpl {
        match self {
            GuestMove::Pvalidate { level, .. } | GuestMove::Rmpadjust { level, .. } => *level,
            GuestMove::Write(..) | GuestMove::Read(_) => Vmpl::VMPL0,
        }
    }
}

/// Few pages, so that moves meet: the first, second and last of each 2 MiB.
fn small() -> impl Strategy<Value = u64> {
    (
        0..SPAN / PAGE_2M,
        prop_oneof![Just(0), Just(PAGE_4K), Just(PAGE_2M - PAGE_4K)],
    )
        .prop_map(|(region, page)| region * PAGE_2M + page)
}

fn large() -> impl Strategy<Value = u64> {
    (0..SPAN / PAGE_2M).prop_map(|region| region * PAGE_2M)
}

fn page() -> impl Strategy<Value = Page> {
    prop_oneof![
        2 => small().prop_map(|gpa| Page { gpa, size: PageSize::Size4K }),
        1 => large().prop_map(|gpa| Page { gpa, size: PageSize::Size2M }),
    ]
}

/// A guest page and a system page of one size.
fn pair() -> impl Strategy<Value = (Page, Spa)> {
    prop_oneof![
        2 => (small(), small()).prop_map(|(gpa, spa)| (gpa, PageSize::Size4K, spa)),
        1 => (large(), large()).prop_map(|(gpa, spa)| (gpa, PageSize::Size2M, spa)),
    ]
    .prop_map(|(gpa, size, spa)| (Page { gpa, size }, Spa(spa)))
}

pub(crate) fn host_move() -> impl Strategy<Value = HostMove> {
    let owner = prop_oneof![
        Just(None),
        Just(Asid::new(2)),
        Just(Asid::new(1)),
        Just(Asid::new(1))
    ];
    prop_oneof![
        6 => (pair(), owner).prop_map(|((page, spa), asid)| {
            let (gpa, size) = (page.address(), page.size);
            let owner = asid.map_or(NewOwner::Host, |asid| NewOwner::Guest {
                asid,
                gpa,
                immutable: false,
            });
            HostMove::Rmpupdate(spa, RmpUpdate { size, owner })
        }),
        1 => large().prop_map(|spa| HostMove::Psmash(Spa(spa))),
        1 => large().prop_map(|spa| HostMove::Unsmash(Spa(spa))),
        4 => pair().prop_map(|(page, spa)| HostMove::Map(page, spa)),
        1 => page().prop_map(HostMove::Unmap),
        1 => (small(), small()).prop_map(|(a, b)| HostMove::Swap(Gpa::new(a), Gpa::new(b))),
        1 => (small(), any::<u8>()).prop_map(|(spa, byte)| HostMove::Write(Spa(spa), byte)),
    ]
}

/// A move at one level.
pub(crate) fn guest_move(level: Vmpl) -> impl Strategy<Value = GuestMove> {
    let attributes = (0..4usize, 0..16u8, prop::bool::weighted(0.1)).prop_map(|(v, r, vmsa)| {
        RmpAttributes::new(Vmpl::ALL[v], Rights::from_bits(r).unwrap(), vmsa)
    });
    prop_oneof![
        4 => (page(), prop::bool::weighted(0.9)).prop_map(move |(page, validate)| {
            GuestMove::Pvalidate { page, validate, level }
        }),
        3 => (page(), attributes).prop_map(move |(page, attributes)| {
            GuestMove::Rmpadjust { page, attributes, level }
        }),
        3 => (page(), any::<u8>()).prop_map(|(page, byte)| GuestMove::Write(page, byte)),
        3 => page().prop_map(GuestMove::Read),
    ]
}

pub(crate) fn host_moves(count: Range<usize>) -> impl Strategy<Value = Vec<HostMove>> {
    prop::collection::vec(host_move(), count)
}

/// Moves at all levels, VMPL0 as often as the others together.
pub(crate) fn guest_moves(count: Range<usize>) -> impl Strategy<Value = Vec<GuestMove>> {
    let level = prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(2), 1 => Just(3)];
    prop::collection::vec(
        level.prop_flat_map(|v: usize| guest_move(Vmpl::ALL[v])),
        count,
    )
}

/// A machine, and what its guest believes.
pub(crate) struct Machine {
    pub(crate) system: System,
    /// The pages that a careful guest has validated, ever.
    once: Option<BTreeSet<u64>>,
    /// The byte last written to the start of a page.
    written: BTreeMap<u64, u8>,
    surprise: Option<(u8, u8)>,
}

impl Machine {
    /// Nothing is mapped, and all memory is the host's.
    pub(crate) fn new() -> Machine {
        let mut system = System::new(SPAN, guest_asid());
        for gpa in (0..SPAN).step_by(PAGE_2M as usize) {
            system.map(GpaPage::new_2m(Gpa::new(gpa)).unwrap(), Spa(gpa));
        }
        Machine {
            system,
            once: None,
            written: BTreeMap::new(),
            surprise: None,
        }
    }

    /// The host gives the guest the first 2 MiB as one page and three small pages of
    /// the next, each at its own address, and the guest validates them.
    pub(crate) fn furnish(&mut self) {
        let large = [Page {
            gpa: 0,
            size: PageSize::Size2M,
        }];
        let small = [0, PAGE_4K, PAGE_2M - PAGE_4K].map(|page| Page {
            gpa: PAGE_2M + page,
            size: PageSize::Size4K,
        });
        for page in large.into_iter().chain(small) {
            let update = RmpUpdate::to_guest(guest_asid(), page.address(), page.size);
            self.host(&HostMove::Rmpupdate(Spa(page.gpa), update));
            self.guest(&GuestMove::validate(page));
        }
    }

    /// From now on the guest validates no page that it has validated before.
    pub(crate) fn be_careful(&mut self) {
        self.once = Some(BTreeSet::new());
    }

    /// What a read gave, and what was last written, if they ever differed.
    pub(crate) fn surprise(&self) -> Option<(u8, u8)> {
        self.surprise
    }

    /// A guest page with two valid system pages.
    pub(crate) fn doubly_valid(&self) -> Option<u64> {
        let mut seen = BTreeSet::new();
        let valid = self
            .system
            .rmp()
            .assigned()
            .filter(|(_, e)| e.is_validated() && e.asid() == Some(guest_asid()));
        valid
            .flat_map(|(_, e)| {
                Page {
                    gpa: e.gpa().get(),
                    size: e.size(),
                }
                .pages()
            })
            .find(|gpa| !seen.insert(*gpa))
    }

    /// The host moves; a move that is refused is no move.
    pub(crate) fn host(&mut self, m: &HostMove) {
        let page = |page: &Page| GpaPage::new(page.address(), page.size).unwrap();
        let system = &mut self.system;
        let _refused = match m {
            HostMove::Rmpupdate(spa, update) => system.rmpupdate(*spa, *update).is_err(),
            HostMove::Psmash(spa) => system.psmash(*spa).is_err(),
            HostMove::Unsmash(spa) => system.unsmash(*spa).is_err(),
            HostMove::Map(at, spa) => {
                system.map(page(at), *spa);
                false
            }
            HostMove::Unmap(at) => {
                system.unmap(page(at));
                false
            }
            HostMove::Swap(a, b) => {
                system.swap(*a, *b);
                false
            }
            HostMove::Write(spa, byte) => system.host_write(*spa, &[*byte]).is_err(),
        };
    }

    /// The guest moves. A fault stops it for this move only, so that the host can
    /// try again and again.
    pub(crate) fn guest(&mut self, m: &GuestMove) {
        match m {
            GuestMove::Pvalidate {
                page,
                validate,
                level,
            } => {
                self.pvalidate(*page, *validate, *level);
            }
            GuestMove::Rmpadjust {
                page,
                attributes,
                level,
            } => {
                let end = self
                    .system
                    .rmpadjust(*level, page.address(), page.size, *attributes);
                assert_ne!(end, Outcome::GeneralProtection);
            }
            GuestMove::Write(page, byte) => {
                let done =
                    self.system
                        .write(Vmpl::VMPL0, Encryption::Private, page.address(), &[*byte]);
                if done.is_ok() {
                    self.written.insert(page.gpa, *byte);
                }
            }
            GuestMove::Read(page) => {
                let mut byte = [0];
                let done =
                    self.system
                        .read(Vmpl::VMPL0, Encryption::Private, page.address(), &mut byte);
                if let (Ok(()), Some(last)) = (done, self.written.get(&page.gpa))
                    && byte != [*last]
                {
                    self.surprise = Some((byte[0], *last));
                }
            }
        }
    }

    fn pvalidate(&mut self, page: Page, validate: bool, level: Vmpl) {
        if let (Some(once), true) = (&mut self.once, validate && level == Vmpl::VMPL0) {
            if page.pages().any(|gpa| once.contains(&gpa)) {
                return;
            }
            let end = self
                .system
                .pvalidate(level, page.address(), page.size, true);
            if end.complete().is_some_and(|d| d.code == RmpResult::SUCCESS) {
                once.extend(page.pages());
            }
        } else {
            let end = self
                .system
                .pvalidate(level, page.address(), page.size, validate);
            assert_eq!(end == Outcome::GeneralProtection, level != Vmpl::VMPL0);
        }
    }
}
