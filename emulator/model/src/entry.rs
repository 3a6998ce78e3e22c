//! One entry of the reverse map table.

use core::fmt;

use protocols::addr::{Gpa, PAGE_4K, PAGES_PER_2M, PageSize};
use protocols::snp::{Rights, Vmpl};

use crate::types::{Asid, Spa};

/// What the processor knows about one system page: 4 KiB, or 2 MiB when the entry
/// says so (APM vol. 2, section 15.36.3).
///
/// An entry that is assigned to nobody has exactly one form,
/// [`RmpEntry::UNASSIGNED`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RmpEntry {
    /// Bits 63:12 the guest page, bits 11:0 the flags below.
    gpa_and_flags: u64,
    asid: Option<Asid>,
    rights: [Rights; Vmpl::COUNT],
}

const _: () = assert!(size_of::<RmpEntry>() == 16);

const ASSIGNED: u64 = 1 << 0;
const VALIDATED: u64 = 1 << 1;
const VMSA: u64 = 1 << 2;
const IMMUTABLE: u64 = 1 << 3;
const SIZE_2M: u64 = 1 << 4;
const IN_USE: u64 = 1 << 5;
const FLAGS: u64 = PAGE_4K - 1;

/// The rights that RMPUPDATE leaves behind: VMPL0 all, the others none.
const FRESH_RIGHTS: [Rights; Vmpl::COUNT] = [
    Rights::all(),
    Rights::empty(),
    Rights::empty(),
    Rights::empty(),
];

impl RmpEntry {
    /// The entry of a page that belongs to the host.
    pub const UNASSIGNED: RmpEntry = RmpEntry {
        gpa_and_flags: 0,
        asid: None,
        rights: FRESH_RIGHTS,
    };

    /// The entry that RMPUPDATE writes for a page given to a guest: not validated,
    /// no VMSA, all rights for VMPL0 and none for the others.
    ///
    /// `gpa` is taken down to the page's size.
    pub(crate) const fn assigned(asid: Asid, gpa: Gpa, size: PageSize, immutable: bool) -> Self {
        let base = gpa.page_base(size).get();
        let size_flag = match size {
            PageSize::Size4K => 0,
            PageSize::Size2M => SIZE_2M,
        };
        let immutable_flag = if immutable { IMMUTABLE } else { 0 };
        RmpEntry {
            gpa_and_flags: base | ASSIGNED | size_flag | immutable_flag,
            asid: Some(asid),
            rights: FRESH_RIGHTS,
        }
    }

    /// Whether the page belongs to a guest.
    pub const fn is_assigned(&self) -> bool {
        self.gpa_and_flags & ASSIGNED != 0
    }

    /// Whether the guest has validated the page.
    pub const fn is_validated(&self) -> bool {
        self.gpa_and_flags & VALIDATED != 0
    }

    /// Whether the page may be entered as a VMSA.
    pub const fn is_vmsa(&self) -> bool {
        self.gpa_and_flags & VMSA != 0
    }

    /// Whether RMPUPDATE is refused.
    pub const fn is_immutable(&self) -> bool {
        self.gpa_and_flags & IMMUTABLE != 0
    }

    /// Whether a vCPU is running from this page as its VMSA.
    pub const fn is_in_use(&self) -> bool {
        self.gpa_and_flags & IN_USE != 0
    }

    /// The size of the page that the entry describes; 4 KiB when unassigned.
    pub const fn size(&self) -> PageSize {
        if self.gpa_and_flags & SIZE_2M != 0 {
            PageSize::Size2M
        } else {
            PageSize::Size4K
        }
    }

    /// The guest that the page belongs to.
    pub const fn asid(&self) -> Option<Asid> {
        self.asid
    }

    /// The guest address of the first byte of the page.
    pub const fn gpa(&self) -> Gpa {
        Gpa::new(self.gpa_and_flags & !FLAGS)
    }

    /// The guest address that the entry gives to a system address inside its page.
    pub const fn gpa_of(&self, spa: Spa) -> Gpa {
        // The base is aligned to the page, so the offset cannot carry.
        Gpa::new(self.gpa().get() | spa.page_offset(self.size()))
    }

    /// The rights of one level.
    pub fn rights(&self, vmpl: Vmpl) -> Rights {
        // A `Vmpl` is one of four levels.
        self.rights
            .get(vmpl.index())
            .copied()
            .unwrap_or(Rights::empty())
    }

    pub(crate) fn set_validated(&mut self, on: bool) {
        self.set_flag(VALIDATED, on);
    }

    pub(crate) fn set_vmsa(&mut self, on: bool) {
        self.set_flag(VMSA, on);
    }

    pub(crate) fn set_in_use(&mut self, on: bool) {
        self.set_flag(IN_USE, on);
    }

    pub(crate) fn clear_immutable(&mut self) {
        self.set_flag(IMMUTABLE, false);
    }

    pub(crate) fn set_rights(&mut self, vmpl: Vmpl, rights: Rights) {
        if let Some(slot) = self.rights.get_mut(vmpl.index()) {
            *slot = rights;
        }
    }

    fn set_flag(&mut self, flag: u64, on: bool) {
        if on {
            self.gpa_and_flags |= flag;
        } else {
            self.gpa_and_flags &= !flag;
        }
    }

    /// Part `index` of a 2 MiB entry, as an entry of 4 KiB with the same state.
    pub(crate) const fn part(&self, index: u64) -> RmpEntry {
        let offset = (index % PAGES_PER_2M) * PAGE_4K;
        RmpEntry {
            gpa_and_flags: (self.gpa_and_flags & !SIZE_2M) | offset,
            ..*self
        }
    }

    /// The 2 MiB entry that begins with this 4 KiB one: the inverse of
    /// [`part`](Self::part) of index 0.
    pub(crate) const fn widened(&self) -> RmpEntry {
        RmpEntry {
            gpa_and_flags: self.gpa_and_flags | SIZE_2M,
            ..*self
        }
    }
}

impl fmt::Debug for RmpEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_assigned() {
            return f.write_str("RmpEntry(unassigned)");
        }
        f.debug_struct("RmpEntry")
            .field("asid", &self.asid)
            .field("gpa", &self.gpa())
            .field("size", &self.size())
            .field("validated", &self.is_validated())
            .field("vmsa", &self.is_vmsa())
            .field("immutable", &self.is_immutable())
            .field("in_use", &self.is_in_use())
            .field("rights", &self.rights)
            .finish()
    }
}
