//! What the unit tests of several modules need: a table with one page in a state.

use protocols::addr::{Gpa, PAGE_2M, PAGE_4K, PageSize};
use protocols::snp::{Rights, Vmpl};

use crate::entry::RmpEntry;
use crate::host::{RmpUpdate, rmpupdate};
use crate::instruction::Translation;
use crate::rmp::Rmp;
use crate::types::{Asid, Spa};

/// Read and write.
pub(crate) const RW: Rights = Rights::READ.union(Rights::WRITE);

/// Where the page is in system memory: at a 2 MiB boundary.
pub(crate) const SPA: Spa = Spa(3 * PAGE_2M);
/// Where the guest sees it: at a 2 MiB boundary.
pub(crate) const GPA: Gpa = Gpa::new(5 * PAGE_2M);

/// The guest of the tests.
pub(crate) fn guest() -> Asid {
    Asid::new(7).unwrap()
}

/// Another guest.
pub(crate) fn other() -> Asid {
    Asid::new(8).unwrap()
}

/// The operand's page, after the walks.
pub(crate) fn here() -> Translation {
    Translation {
        asid: guest(),
        spa: SPA,
        gpa: GPA,
    }
}

/// 16 MiB of memory in which [`SPA`] is the guest's page [`GPA`], of that size, just
/// given by the host.
pub(crate) fn given(size: PageSize) -> Rmp {
    let mut rmp = Rmp::new(16 << 20);
    rmpupdate(&mut rmp, SPA, RmpUpdate::to_guest(guest(), GPA, size)).unwrap();
    rmp
}

/// The same, changed as a test needs it.
pub(crate) fn given_with(size: PageSize, change: impl FnOnce(&mut RmpEntry)) -> Rmp {
    let mut rmp = given(size);
    rmp.modify(SPA, change);
    rmp
}

/// The same, validated.
pub(crate) fn validated(size: PageSize) -> Rmp {
    given_with(size, |e| e.set_validated(true))
}

/// The same, a VMSA, with all rights for every level.
pub(crate) fn vmsa_page() -> Rmp {
    given_with(PageSize::Size4K, |e| {
        e.set_validated(true);
        e.set_vmsa(true);
        Vmpl::ALL
            .iter()
            .for_each(|v| e.set_rights(*v, Rights::all()));
    })
}

/// Whether the entry is as RMPUPDATE leaves one: not validated, no VMSA, rights for
/// VMPL0 only.
pub(crate) fn is_fresh(entry: &RmpEntry) -> bool {
    !entry.is_validated()
        && !entry.is_vmsa()
        && entry.rights(Vmpl::VMPL0) == Rights::all()
        && Vmpl::ALL
            .iter()
            .skip(1)
            .all(|v| entry.rights(*v).is_empty())
}

/// The 4 KiB page that many pages behind [`SPA`].
pub(crate) fn spa_at(pages: u64) -> Spa {
    Spa(SPA.0 + pages * PAGE_4K)
}

/// The 4 KiB page that many pages behind [`GPA`].
pub(crate) fn gpa_at(pages: u64) -> Gpa {
    Gpa::new(GPA.get() + pages * PAGE_4K)
}
