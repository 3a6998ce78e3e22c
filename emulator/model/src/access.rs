//! The check of every access that a guest makes, and the question that comes
//! before: what a nested page-table entry may allow.

use protocols::addr::{Gpa, PageSize};
use protocols::snp::{Rights, Vmpl};

use crate::entry::RmpEntry;
use crate::fault::{AccessFault, NestedFault};
use crate::rmp::Rmp;
use crate::types::{Asid, Spa};

/// Whether the guest's translation has the C-bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// C = 1, or an access that is private by its nature.
    Private,
    /// C = 0.
    Shared,
}

/// What the processor wants of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// Data is read.
    Read,
    /// Data is written.
    Write,
    /// An instruction is fetched at CPL 3.
    ExecuteUser,
    /// An instruction is fetched at CPL 0 to 2.
    ExecuteSupervisor,
    /// A page table of the guest is read.
    PageWalk,
    /// An accessed or dirty bit is set in a page table of the guest.
    PageWalkUpdate,
}

impl AccessKind {
    /// The right that a level needs on a private page.
    pub const fn required(self) -> Rights {
        match self {
            AccessKind::Read | AccessKind::PageWalk => Rights::READ,
            AccessKind::Write | AccessKind::PageWalkUpdate => Rights::WRITE,
            AccessKind::ExecuteUser => Rights::EXECUTE_USER,
            AccessKind::ExecuteSupervisor => Rights::EXECUTE_SUPERVISOR,
        }
    }

    /// Whether the access is private whatever the C-bit says: instruction fetches
    /// and page walks. (So is everything while paging is off; that the caller
    /// knows.)
    pub const fn is_always_private(self) -> bool {
        !matches!(self, AccessKind::Read | AccessKind::Write)
    }

    const fn writes(self) -> bool {
        matches!(self, AccessKind::Write | AccessKind::PageWalkUpdate)
    }
}

/// One access after the guest's tables and the nested tables have been walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The system address that the nested tables gave.
    pub spa: Spa,
    /// The guest address, without the C-bit.
    pub gpa: Gpa,
    /// The C-bit.
    pub encryption: Encryption,
    /// The level of the vCPU.
    pub vmpl: Vmpl,
    /// What is done.
    pub kind: AccessKind,
    /// The size of the nested mapping.
    pub mapping: PageSize,
}

/// Checks one access of the guest `asid`.
///
/// # Errors
/// In the order of the checks: the page is not the host's (shared) or not this
/// guest's at this address, the nested mapping is larger than the page, the page is
/// not validated, the level lacks the right, a VMSA is written.
pub fn check(rmp: &Rmp, asid: Asid, access: &Access) -> Result<(), AccessFault> {
    if access.encryption == Encryption::Shared && !access.kind.is_always_private() {
        return check_shared(rmp, access.spa, access.mapping).map_err(AccessFault::Nested);
    }
    let entry = guest_page(rmp, asid, access.spa, access.gpa)?;
    if access.mapping == PageSize::Size2M && entry.size() == PageSize::Size4K {
        // (?) Bit 35 is certain for PVALIDATE and RMPADJUST only.
        return Err(NestedFault::WRONG_SIZE.into());
    }
    if !entry.is_validated() {
        return Err(AccessFault::NotValidated);
    }
    if !entry.rights(access.vmpl).contains(access.kind.required()) {
        return Err(NestedFault::NO_RIGHT.into());
    }
    if access.kind.writes() && is_locked_vmsa(&entry, access.vmpl) {
        return Err(NestedFault::NOT_OWNED.into());
    }
    Ok(())
}

/// What a nested page-table entry for a page may allow at one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mappable {
    /// The largest size that the mapping may have.
    pub size: PageSize,
    /// What the level may do. For a shared page read and write, never execute:
    /// fetches are private.
    pub rights: Rights,
}

/// What may be mapped for a guest page at one level: the answer for a whole entry
/// of the nested tables, so that [`check`] need not be asked for every access.
///
/// The answer holds until the next RMPUPDATE, PSMASH, PVALIDATE, RMPADJUST, launch
/// update or joining of the page. A level with rights but without the right to read
/// gets them listed; nested tables cannot express that, so who builds them must
/// then check access by access.
///
/// # Errors
/// The fault of every access with that C-bit: not the right owner, not
/// validated, or no right at all.
pub fn rights_for_mapping(
    rmp: &Rmp,
    asid: Asid,
    spa: Spa,
    gpa: Gpa,
    encryption: Encryption,
    vmpl: Vmpl,
) -> Result<Mappable, AccessFault> {
    if encryption == Encryption::Shared {
        check_shared(rmp, spa, PageSize::Size4K)?;
        let whole = rmp.covers(spa, PageSize::Size2M) && rmp.assigned_in_region(spa) == 0;
        let size = if whole {
            PageSize::Size2M
        } else {
            PageSize::Size4K
        };
        return Ok(Mappable {
            size,
            rights: Rights::READ | Rights::WRITE,
        });
    }
    let entry = guest_page(rmp, asid, spa, gpa)?;
    if !entry.is_validated() {
        return Err(AccessFault::NotValidated);
    }
    let mut rights = entry.rights(vmpl);
    if is_locked_vmsa(&entry, vmpl) {
        rights -= Rights::WRITE;
    }
    if rights.is_empty() {
        return Err(NestedFault::NO_RIGHT.into());
    }
    Ok(Mappable {
        size: entry.size(),
        rights,
    })
}

/// The entry of a private page of this guest, or the nested fault of every access
/// and of every instruction that names a page that is not.
pub(crate) fn guest_page(
    rmp: &Rmp,
    asid: Asid,
    spa: Spa,
    gpa: Gpa,
) -> Result<RmpEntry, NestedFault> {
    let entry = rmp.entry(spa);
    if entry.asid() == Some(asid) && entry.gpa_of(spa).pfn() == gpa.pfn() {
        Ok(entry)
    } else {
        Err(NestedFault::NOT_OWNED)
    }
}

/// A shared access needs a page of the host. Through a mapping of 2 MiB it needs
/// 512 of them (?): the entry of the region counts its assigned pages.
fn check_shared(rmp: &Rmp, spa: Spa, mapping: PageSize) -> Result<(), NestedFault> {
    let taken = match mapping {
        PageSize::Size4K => rmp.entry(spa).is_assigned(),
        PageSize::Size2M => rmp.assigned_in_region(spa) != 0,
    };
    if taken { Err(NestedFault::RMP) } else { Ok(()) }
}

/// Whether the page is a VMSA that this level cannot write, whatever its rights.
///
/// VMPL0 can (?): firmware answers its callers by writing into their VMSAs.
fn is_locked_vmsa(entry: &RmpEntry, vmpl: Vmpl) -> bool {
    entry.is_vmsa() && vmpl != Vmpl::VMPL0
}

#[cfg(test)]
mod tests;
