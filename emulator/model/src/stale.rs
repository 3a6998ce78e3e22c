//! Translations that processors may still have cached after the RMP has changed.
//!
//! A processor checks the RMP when it loads a translation, and not again (APM
//! volume 2, section 15.36.5). Whoever takes a right away has to flush, with
//! INVLPGB and TLBSYNC where other processors run the guest, before it counts on
//! it. The rest of this crate forbids at once; this is the ledger of what silicon
//! might still allow.

use alloc::vec::Vec;

use protocols::addr::Gpa;
use protocols::snp::{Rights, Vmpl};

use crate::entry::RmpEntry;

/// The most processors that are told apart.
pub const MAX_PROCESSORS: usize = 64;

/// INVLPGB's RAX: only translations of this virtual address.
const VA_VALID: u64 = 1 << 0;
/// Only translations of this process context.
const PCID_VALID: u64 = 1 << 1;
/// Global translations, too.
const INCLUDE_GLOBAL: u64 = 1 << 3;
/// Only the last step of a translation.
const FINAL_ONLY: u64 = 1 << 4;

/// A page that other processors may reach with rights that it has no more.
#[derive(Clone, Copy, Debug)]
struct Stale {
    /// Who changed the RMP.
    by: usize,
    start: u64,
    end: u64,
    /// What a cached translation allows.
    had: Rights,
    /// An INVLPGB of this processor names it, and its TLBSYNC is still to come.
    under_way: Option<usize>,
}

/// What a lower level could still do against the RMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlooked {
    /// The level above goes on as if the page were out of reach.
    Page(Gpa),
    /// The page became a VMSA while it could be written.
    Vmsa(Gpa),
}

/// The ledger.
#[derive(Clone, Debug, Default)]
pub struct StaleTranslations {
    /// Bit N: processor N has run a level below VMPL0.
    ran: u64,
    pages: Vec<Stale>,
    vmsa: Option<(usize, Gpa)>,
}

impl StaleTranslations {
    /// A processor runs a level below VMPL0, and caches from now on.
    pub fn runs_lower_level(&mut self, processor: usize) {
        self.ran |= bit(processor);
    }

    /// PVALIDATE or RMPADJUST on `by` has changed a page's entry. The processor's
    /// own translations of the page are dropped by the instruction.
    pub fn changed(&mut self, by: usize, before: &RmpEntry, after: &RmpEntry) {
        let start = before.gpa().get();
        let end = start + before.size().bytes();
        let (had, has) = (reachable(before), reachable(after));
        self.pages.retain(|stale| {
            let same = stale.start < end && start < stale.end;
            !(same && has.contains(stale.had))
        });
        let is_new_vmsa = after.is_vmsa() && !before.is_vmsa();
        if is_new_vmsa && self.pages.iter().any(|s| s.start < end && start < s.end) {
            self.vmsa = Some((by, Gpa::new(start)));
        }
        if self.ran & !bit(by) != 0 && !has.contains(had) {
            self.pages.push(Stale {
                by,
                start,
                end,
                had,
                under_way: None,
            });
        }
    }

    /// INVLPGB on `by` with this RAX. It names all that the guest has cached, or it
    /// is as if it had not been.
    pub fn invlpgb(&mut self, by: usize, rax: u64) {
        let narrow = VA_VALID | PCID_VALID | FINAL_ONLY;
        if rax & narrow == 0 && rax & INCLUDE_GLOBAL != 0 {
            for stale in &mut self.pages {
                stale.under_way = Some(by);
            }
        }
    }

    /// TLBSYNC on `by`: what its INVLPGBs named is gone everywhere.
    pub fn tlbsync(&mut self, by: usize) {
        self.pages.retain(|stale| stale.under_way != Some(by));
    }

    /// What `by` has overlooked when it goes on to run a lower level.
    pub fn overlooked(&mut self, by: usize) -> Option<Overlooked> {
        if let Some((_, gpa)) = self.vmsa.take_if(|(maker, _)| *maker == by) {
            return Some(Overlooked::Vmsa(gpa));
        }
        self.pages
            .iter()
            .find(|stale| stale.by == by)
            .map(|stale| Overlooked::Page(Gpa::new(stale.start)))
    }
}

fn bit(processor: usize) -> u64 {
    debug_assert!(processor < MAX_PROCESSORS);
    1 << (processor % MAX_PROCESSORS)
}

/// What levels below VMPL0 can do with the page.
fn reachable(entry: &RmpEntry) -> Rights {
    if !entry.is_validated() {
        return Rights::empty();
    }
    let rights = [Vmpl::VMPL1, Vmpl::VMPL2, Vmpl::VMPL3]
        .iter()
        .fold(Rights::empty(), |all, &level| all | entry.rights(level));
    if entry.is_vmsa() {
        rights & Rights::READ
    } else {
        rights
    }
}

#[cfg(test)]
mod tests;
