//! What the host may do to the table: RMPUPDATE and PSMASH; and joining, which it
//! asks of the secure processor.

use protocols::addr::{Gpa, PAGE_4K, PageSize};
use protocols::snp::RmpResult;

use crate::entry::RmpEntry;
use crate::rmp::Rmp;
use crate::types::{Asid, Spa};

/// Who a page is to belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewOwner {
    /// The host: the page becomes shared.
    Host,
    /// A guest: the page becomes private at `gpa`.
    Guest {
        /// The guest.
        asid: Asid,
        /// Where the guest is to see it; aligned to the page's size.
        gpa: Gpa,
        /// Refuse every later RMPUPDATE until the secure processor has taken the
        /// page in: the state before a launch update.
        immutable: bool,
    },
}

/// The operand of RMPUPDATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RmpUpdate {
    /// The size of the page.
    pub size: PageSize,
    /// Its new owner.
    pub owner: NewOwner,
}

impl RmpUpdate {
    /// Gives the page to a guest.
    pub const fn to_guest(asid: Asid, gpa: Gpa, size: PageSize) -> RmpUpdate {
        RmpUpdate {
            size,
            owner: NewOwner::Guest {
                asid,
                gpa,
                immutable: false,
            },
        }
    }

    /// Gives the page to a guest that is being launched, for the launch update.
    pub const fn to_launch(asid: Asid, gpa: Gpa) -> RmpUpdate {
        let size = PageSize::Size4K;
        RmpUpdate {
            size,
            owner: NewOwner::Guest {
                asid,
                gpa,
                immutable: true,
            },
        }
    }

    /// Takes the page back for the host.
    pub const fn to_host(size: PageSize) -> RmpUpdate {
        RmpUpdate {
            size,
            owner: NewOwner::Host,
        }
    }
}

/// Why RMPUPDATE or PSMASH did nothing. The discriminant is the code in EAX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum HostError {
    /// Not aligned, or beyond the memory that the table covers.
    Input = 1,
    /// The entry is immutable.
    Permission = 2,
    /// A vCPU is running from the page as its VMSA.
    InUse = 3,
    /// A 2 MiB page over 4 KiB pages that are assigned, or a 4 KiB page inside a
    /// 2 MiB page of a guest.
    Overlap = 4,
    /// PSMASH of something that is not a 2 MiB page of a guest (?).
    BadAddress = 7,
}

impl HostError {
    /// The code that the instruction leaves in EAX.
    pub const fn code(self) -> RmpResult {
        RmpResult(self as u32)
    }
}

/// RMPUPDATE (APM vol. 3): gives a page another owner, size and address.
///
/// Whatever it was before, the page is afterwards not validated, no VMSA, and only
/// VMPL0 has rights.
///
/// # Errors
/// In the order of the checks: [`HostError::Input`], [`HostError::Permission`],
/// [`HostError::InUse`], [`HostError::Overlap`]; nothing has changed then.
pub fn rmpupdate(rmp: &mut Rmp, spa: Spa, update: RmpUpdate) -> Result<(), HostError> {
    let size = update.size;
    if !spa.is_aligned(size) || !rmp.covers(spa, size) {
        return Err(HostError::Input);
    }
    let new = match update.owner {
        NewOwner::Host => RmpEntry::UNASSIGNED,
        NewOwner::Guest {
            asid,
            gpa,
            immutable,
        } => {
            if !gpa.is_aligned(size) {
                return Err(HostError::Input);
            }
            RmpEntry::assigned(asid, gpa, size, immutable)
        }
    };
    let old = rmp.entry(spa);
    if old.is_immutable() {
        return Err(HostError::Permission);
    }
    if old.is_in_use() {
        return Err(HostError::InUse);
    }
    match size {
        PageSize::Size4K if old.size() == PageSize::Size2M => Err(HostError::Overlap),
        PageSize::Size4K => {
            rmp.set_4k(spa, new);
            Ok(())
        }
        PageSize::Size2M if rmp.leaf(spa).is_some() => Err(HostError::Overlap),
        PageSize::Size2M => {
            rmp.set_2m(spa, new);
            Ok(())
        }
    }
}

/// PSMASH (APM vol. 3): splits the 2 MiB page at `spa` into 512 of 4 KiB that keep
/// its validation and rights.
///
/// # Errors
/// In the order of the checks: [`HostError::Input`], [`HostError::BadAddress`] (?),
/// [`HostError::Permission`]; nothing has changed then.
pub fn psmash(rmp: &mut Rmp, spa: Spa) -> Result<(), HostError> {
    if !spa.is_aligned(PageSize::Size2M) || !rmp.covers(spa, PageSize::Size2M) {
        return Err(HostError::Input);
    }
    let entry = rmp.entry(spa);
    if entry.size() != PageSize::Size2M {
        return Err(HostError::BadAddress);
    }
    if entry.is_immutable() {
        return Err(HostError::Permission);
    }
    rmp.split(spa);
    Ok(())
}

/// Why the secure processor does not join 512 pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsmashError {
    /// Not aligned to 2 MiB, or beyond the memory that the table covers.
    Address,
    /// The region is not 512 pages of 4 KiB.
    Size,
    /// The page at this address breaks the row: another owner, another guest
    /// address than the next in line, another state, a VMSA, or immutable.
    Page(Spa),
}

/// The secure processor's command that joins 512 pages of 4 KiB into one of 2 MiB:
/// only when all are of one guest, in the order of their guest addresses, in the
/// same state (SNP firmware ABI, SNP_PAGE_UNSMASH).
///
/// # Errors
/// What stands in the way; nothing has changed then.
pub fn unsmash(rmp: &mut Rmp, spa: Spa) -> Result<(), UnsmashError> {
    if !spa.is_aligned(PageSize::Size2M) || !rmp.covers(spa, PageSize::Size2M) {
        return Err(UnsmashError::Address);
    }
    let entries = rmp.leaf(spa).ok_or(UnsmashError::Size)?;
    let first = entries.first().copied().ok_or(UnsmashError::Size)?;
    let whole = first.widened();
    let usable = first.is_assigned()
        && !first.is_vmsa()
        && !first.is_immutable()
        && first.gpa().is_aligned(PageSize::Size2M);
    if !usable {
        return Err(UnsmashError::Page(spa));
    }
    if let Some((i, _)) = (0..).zip(entries).find(|(i, e)| **e != whole.part(*i)) {
        return Err(UnsmashError::Page(Spa(spa.0 + i * PAGE_4K)));
    }
    rmp.set_2m(spa, whole);
    Ok(())
}

#[cfg(test)]
mod tests;
