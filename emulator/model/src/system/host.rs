//! The host's side of the test machine: everything it could do on silicon, well
//! meant or not.

use protocols::addr::{Gpa, GpaPage, PageSize};
use protocols::snp::LaunchPageType;

use super::System;
use crate::access::Encryption;
use crate::host::{HostError, RmpUpdate, UnsmashError, psmash, rmpupdate, unsmash};
use crate::launch::{Contents, Launch, LaunchError, LaunchPage};
use crate::types::Spa;
use crate::vmsa::{EntryRefused, enter, leave};

/// What a page-state change asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// The guest's.
    Private,
    /// The host's.
    Shared,
}

/// The host wrote to a page that belongs to a guest: a page fault in the host, and
/// nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostWriteFault;

/// Where EFER is in a VMSA.
const VMSA_EFER: u64 = 0xd0;

impl System {
    /// The system address that a guest address leads to now.
    pub fn translate(&self, gpa: Gpa) -> Option<Spa> {
        self.nested.lookup(gpa).map(|(spa, _)| spa)
    }

    /// Puts a system page behind a guest page, in the nested tables only.
    pub fn map(&mut self, page: GpaPage, spa: Spa) {
        self.nested.set(page.gpa(), page.size(), Some(spa));
    }

    /// Takes a guest page out of the nested tables.
    pub fn unmap(&mut self, page: GpaPage) {
        self.nested.set(page.gpa(), page.size(), None);
    }

    /// Exchanges what is behind two 4 KiB guest pages, in the nested tables only.
    pub fn swap(&mut self, a: Gpa, b: Gpa) {
        let (at_a, at_b) = (self.translate(a), self.translate(b));
        self.nested.set(a, PageSize::Size4K, at_b);
        self.nested.set(b, PageSize::Size4K, at_a);
    }

    /// RMPUPDATE.
    ///
    /// # Errors
    /// As [`rmpupdate`].
    pub fn rmpupdate(&mut self, spa: Spa, update: RmpUpdate) -> Result<(), HostError> {
        rmpupdate(&mut self.rmp, spa, update)?;
        self.counters.rmpupdate += 1;
        Ok(())
    }

    /// PSMASH.
    ///
    /// # Errors
    /// As [`psmash`].
    pub fn psmash(&mut self, spa: Spa) -> Result<(), HostError> {
        psmash(&mut self.rmp, spa)?;
        self.counters.psmash += 1;
        Ok(())
    }

    /// Asks the secure processor to join 512 pages.
    ///
    /// # Errors
    /// As [`unsmash`].
    pub fn unsmash(&mut self, spa: Spa) -> Result<(), UnsmashError> {
        unsmash(&mut self.rmp, spa)
    }

    /// The host reads memory, whoever it belongs to; private contents are noise. The
    /// range must not cross a 4 KiB page.
    pub fn host_read(&self, spa: Spa, to: &mut [u8]) {
        self.memory.read(spa, Encryption::Shared, to);
    }

    /// The host writes memory of its own. The range must not cross a 4 KiB page.
    ///
    /// # Errors
    /// The page belongs to a guest.
    pub fn host_write(&mut self, spa: Spa, from: &[u8]) -> Result<(), HostWriteFault> {
        if self.rmp.entry(spa).is_assigned() {
            return Err(HostWriteFault);
        }
        self.memory.write(spa, Encryption::Shared, from);
        Ok(())
    }

    /// A page-state change as a well-meaning host makes it: RMPUPDATE of what is
    /// behind the page, in the size asked for if the page is so mapped and the table
    /// allows it, else in 4 KiB; PSMASH where a part of a 2 MiB page changes.
    ///
    /// # Errors
    /// What RMPUPDATE or PSMASH said; parts may have changed. `None` if a part of
    /// the page is not mapped.
    pub fn page_state_change(
        &mut self,
        page: GpaPage,
        state: PageState,
    ) -> Result<(), Option<HostError>> {
        if page.size() == PageSize::Size2M {
            let (spa, mapping) = self.nested.lookup(page.gpa()).ok_or(None)?;
            if mapping == PageSize::Size2M
                && self.rmpupdate(spa, self.update_to(page, state)).is_ok()
            {
                return Ok(());
            }
        }
        for part in page.split() {
            let spa = self.translate(part.gpa()).ok_or(None)?;
            if self.rmp.entry(spa).size() == PageSize::Size2M {
                self.psmash(spa.page_base(PageSize::Size2M)).map_err(Some)?;
            }
            self.rmpupdate(spa, self.update_to(part, state))
                .map_err(Some)?;
        }
        Ok(())
    }

    /// A launch update of one page: RMPUPDATE, the contents, the secure processor's
    /// command, and the nested mapping, which the VMSA of a launch does not get.
    ///
    /// # Errors
    /// The secure processor refused.
    pub fn launch_update(
        &mut self,
        launch: &mut Launch,
        page: LaunchPage,
        contents: &Contents,
    ) -> Result<(), LaunchError> {
        self.rmpupdate(page.spa, RmpUpdate::to_launch(self.guest, page.gpa))
            .map_err(|_| LaunchError::PageState)?;
        self.memory.write(page.spa, Encryption::Private, contents);
        launch.update(&mut self.rmp, page, contents)?;
        if page.page_type != LaunchPageType::VMSA {
            self.nested.set(page.gpa, PageSize::Size4K, Some(page.spa));
        }
        Ok(())
    }

    /// VMRUN of the VMSA in a system page.
    ///
    /// # Errors
    /// As [`enter`].
    pub fn enter_vmsa(&mut self, spa: Spa) -> Result<(), EntryRefused> {
        let mut efer = [0; size_of::<u64>()];
        self.memory
            .read(Spa(spa.0 | VMSA_EFER), Encryption::Private, &mut efer);
        enter(&mut self.rmp, self.guest, spa, u64::from_le_bytes(efer))
    }

    /// The exit of the vCPU that runs from the VMSA.
    pub fn leave_vmsa(&mut self, spa: Spa) {
        leave(&mut self.rmp, spa);
    }

    fn update_to(&self, page: GpaPage, state: PageState) -> RmpUpdate {
        match state {
            PageState::Private => RmpUpdate::to_guest(self.guest, page.gpa(), page.size()),
            PageState::Shared => RmpUpdate::to_host(page.size()),
        }
    }
}
