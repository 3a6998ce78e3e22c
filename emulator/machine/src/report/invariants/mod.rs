//! What must hold at the end of every run, whatever the host did: the oracle of
//! the scenarios. Asked for it, the machine looks in the middle of a run as well.

mod keys;
mod page_map;
pub(crate) mod steps;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem::offset_of;

use protocols::boot::layout::GUEST_SECRETS_PAGE;
use protocols::snp::{Rights, SecretsPage, Vmpl};
use snp_model::entry::RmpEntry;
use snp_model::psp::message::Page;
use snp_model::psp::witness::Witness;
use snp_model::stale::Overlooked;
use snp_model::types::Spa;

use super::console::println;
use crate::host::memory::Memory;
use crate::mem::phys;
use crate::psp::keys::vmpcks;

/// Violations that are printed; there can be one for every page.
const MAX_PRINTED: usize = 8;

/// The invariants, and what is known of violations.
#[derive(Default)]
pub(crate) struct Invariants {
    /// The firmware's own memory `[start, end)`, in which no lower level has a right.
    own: Vec<(u64, u64)>,
    /// The lowest level that ran: the largest number. None: VMPL0 alone.
    lowest_level: Option<u8>,
    steps: Option<steps::Steps>,
    /// Reads guest messages along, from the first on.
    witness: Option<Witness>,
    violations: Vec<String>,
}

impl Invariants {
    /// Invariants that are checked after each `every` VMGEXITs too, if it is given.
    pub(crate) fn new(every: Option<u64>) -> Self {
        Self {
            steps: every.map(steps::Steps::new),
            ..Self::default()
        }
    }

    /// Names the firmware's own memory.
    pub(crate) fn set_own(&mut self, own: Vec<(u64, u64)>) {
        self.own = own;
    }

    fn is_own(&self, gpa: u64) -> bool {
        self.own.iter().any(|own| own.0 <= gpa && gpa < own.1)
    }

    /// A level below VMPL0 is entered. The first time, the guest's secrets page
    /// has what the firmware says of its range, which may be more than the image
    /// brings, while something else that the image brings may be the guest's.
    /// Later the page is the guest's to change.
    pub(crate) fn lower_level_enters(&mut self, memory: &mut Memory, vcpu: usize, level: u8) {
        self.check_translations(memory, vcpu);
        let first = self.lowest_level.is_none();
        self.lowest_level = self.lowest_level.max(Some(level));
        if !first {
            return;
        }
        self.check_guest_keys(memory, 0, usize::MAX);
        let Some(page) = memory.spa(GUEST_SECRETS_PAGE) else {
            return;
        };
        let field = |offset: usize| phys::read::<u64>(page + offset as u64);
        let start = field(offset_of!(SecretsPage, svsm_base));
        let end = start.saturating_add(field(offset_of!(SecretsPage, svsm_size)));
        if start < end {
            self.own.retain(|own| start < own.1 && own.0 < end);
            for own in &mut self.own {
                *own = (own.0.min(start), own.1.max(end));
            }
        }
    }

    /// VMPL0 has done what it was asked for on this vCPU: no other one has a
    /// translation left that allows what it has taken away.
    fn check_translations(&mut self, memory: &mut Memory, vcpu: usize) {
        match memory.translations.overlooked(vcpu) {
            Some(Overlooked::Page(gpa)) => self.violated(format_args!(
                "rights to the page at {:#x} were taken away, and other processors' \
                 translations were not flushed",
                gpa.get()
            )),
            Some(Overlooked::Vmsa(gpa)) => self.violated(format_args!(
                "the page at {:#x} became a VMSA while other processors could write it",
                gpa.get()
            )),
            None => {}
        }
        memory.translations.runs_lower_level(vcpu);
    }

    /// A level makes a guest request with this page.
    pub(crate) fn message_sent(&mut self, level: u8, page: &Page) {
        let witness = self.witness.get_or_insert_with(|| Witness::new(vmpcks()));
        let level = Vmpl::new(level).unwrap_or(Vmpl::VMPL3);
        if let Err(seen) = witness.sent(level, page) {
            self.violated(format_args!("{seen}"));
        }
    }

    /// The secure processor has answered a guest request with this page.
    pub(crate) fn message_answered(&mut self, page: &Page) {
        if let Some(witness) = &mut self.witness {
            witness.answered(page);
        }
    }

    /// Keys that VMPL0 had derived.
    fn derived(&self) -> &[[u8; 32]] {
        self.witness.as_ref().map_or(&[], Witness::derived)
    }

    /// Notes a violation that was seen in the middle of a run.
    pub(crate) fn violated(&mut self, what: fmt::Arguments<'_>) {
        if self.violations.len() < MAX_PRINTED {
            self.violations.push(format!("{what}"));
        }
    }

    /// Whether a violation is known already: the run need not go on.
    pub(crate) fn is_violated(&self) -> bool {
        !self.violations.is_empty()
    }

    /// Checks everything, and prints what came of it. True: all holds.
    pub(crate) fn check(&mut self, memory: &Memory) -> bool {
        self.check_rmp(memory);
        self.check_keys(memory);
        for violation in &self.violations {
            println!("INVARIANT VIOLATED: {violation}");
        }
        let holds = self.violations.is_empty();
        if let Some(steps) = &self.steps {
            println!("invariant: looked {steps}");
        }
        if holds {
            println!("invariant: ok, {}", Own(&self.own));
        }
        self.tell_of_key(memory);
        holds
    }

    fn check_rmp(&mut self, memory: &Memory) {
        self.check_rights(memory);
        self.check_double_validation(memory);
    }

    fn check_rights(&mut self, memory: &Memory) {
        let wrong: Vec<_> = memory
            .assigned()
            .filter_map(|(_, entry)| {
                let (start, end) = gpa_range(&entry);
                let owned = self.own.iter().any(|own| start < own.1 && own.0 < end);
                let most = match (owned, entry.is_vmsa()) {
                    (true, _) => Rights::empty(),
                    // A guest may read the VMSAs that it has made, and OVMF does.
                    (false, true) => Rights::READ,
                    (false, false) => Rights::all(),
                };
                (!most.contains(lower_rights(&entry))).then_some((start, entry.is_vmsa()))
            })
            .take(MAX_PRINTED)
            .collect();
        for (gpa, vmsa) in wrong {
            let kind = if vmsa { "VMSA" } else { "firmware's own page" };
            self.violated(format_args!(
                "a level below VMPL0 has a right to the {kind} at {gpa:#x}"
            ));
        }
    }

    /// An honest host's pages are where they always were, so only those elsewhere
    /// can make two of one.
    fn check_double_validation(&mut self, memory: &Memory) {
        let asid = memory.asid();
        let mut elsewhere: BTreeMap<u64, Spa> = BTreeMap::new();
        for (spa, entry) in memory.assigned() {
            let start = entry.gpa().get();
            if entry.asid() != Some(asid) || !entry.is_validated() {
                continue;
            }
            let home = memory.home(start);
            if home == Some(spa.0) {
                continue;
            }
            let twice = elsewhere.insert(start, spa).is_some()
                || home.is_some_and(|home| is_validated_for(memory, home, start));
            if twice {
                self.double_validation(start);
            }
        }
    }

    /// Notes that two validated system pages are behind one guest page.
    pub(crate) fn double_validation(&mut self, gpa: u64) {
        self.violated(format_args!(
            "two validated system pages for the guest page {gpa:#x}"
        ));
    }
}

/// Whether the system page is a validated one of the guest at `gpa`.
pub(crate) fn is_validated_for(memory: &Memory, spa: u64, gpa: u64) -> bool {
    let asid = memory.asid();
    let entry = memory.rmp_entry(spa);
    entry.asid() == Some(asid) && entry.is_validated() && entry.gpa_of(Spa(spa)).get() == gpa
}

fn lower_rights(entry: &RmpEntry) -> Rights {
    [Vmpl::VMPL1, Vmpl::VMPL2, Vmpl::VMPL3]
        .iter()
        .fold(Rights::empty(), |rights, &vmpl| rights | entry.rights(vmpl))
}

fn gpa_range(entry: &RmpEntry) -> (u64, u64) {
    let start = entry.gpa().get();
    (start, start + entry.size().bytes())
}

/// The ranges whose rights were checked, so that one sees when there are none.
struct Own<'a>(&'a [(u64, u64)]);

impl fmt::Display for Own<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no firmware below the guest");
        }
        f.write_str("firmware's own memory")?;
        self.0
            .iter()
            .try_for_each(|(start, end)| write!(f, " [{start:#x}, {end:#x})"))
    }
}
