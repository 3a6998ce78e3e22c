//! Arbitrary sequences: a guest that calls anything with anything, and a host that
//! is honest or hostile, monitor and model together.

use core::mem::offset_of;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use protocols::addr::{Gpa, GpaPage, PAGE_4K, PageSize};
use protocols::ghcb::ExitCode;
use protocols::snp::{Rights, RmpAttributes, SevFeatures, Vmpl, Vmsa};
use protocols::svsm::{DepositHeader, PvalidateEntry, PvalidateHeader};
use snp_model::access::Encryption::Private;
use snp_model::host::RmpUpdate;
use snp_model::system::PageState as Assigned;
use snp_model::types::Spa;
use zerocopy::IntoBytes;

use super::request::Next;
use crate::fatal::Fatal;
use crate::page_map::PageState;
use crate::testing::World;

const LOWER: [Vmpl; 3] = [Vmpl::VMPL1, Vmpl::VMPL2, Vmpl::VMPL3];
/// Where the firmware keeps something that no guest may see.
const SECRET: u64 = World::FIRMWARE + 0x60_0000;
/// System memory that no guest page is mapped to at the start.
const SPARE: u64 = 0x8000_0000;

#[derive(Clone, Debug)]
enum Step {
    /// The guest calls with these registers.
    Call {
        rax: u64,
        rcx: u64,
        rdx: u64,
        r8: u64,
    },
    /// The guest writes a list and calls PVALIDATE.
    Pvalidate {
        list: u64,
        next: u16,
        entries: Vec<(u64, u64)>,
    },
    /// The guest writes a list and calls DEPOSIT_MEM.
    Deposit {
        list: u64,
        entries: Vec<(u64, u64)>,
    },
    /// The guest takes deposits back.
    Withdraw(u64),
    /// The guest writes a VMSA, good or not, and calls CREATE_VCPU.
    Create {
        vmsa: u64,
        area: u64,
        apic_id: u64,
        vmpl: u8,
    },
    /// The guest deletes a VMSA.
    Delete(u64),
    /// The guest gives VMPL3 rights of its own.
    Share(u64),
    /// VMPL0 is entered without a request.
    Spurious(u32),
    /// The host does as asked: private, or shared.
    PageState(u64, bool, bool),
    /// The host splits a page.
    Psmash(u64),
    /// The host runs, and leaves, whatever VMSA is there.
    Enter(u64),
    Leave(u64),
    /// Hostile: another system page behind a guest page, assigned to it.
    Replace(u64, u64),
    /// The same, and the guest is made to validate or rescind the address.
    Double(u64, u64, u64),
    /// Hostile: two guest pages change places.
    Swap(u64, u64),
    /// Hostile: the firmware's secret behind a guest page.
    Steal(u64),
    /// Hostile: a page goes, without a word.
    Take(u64),
}

/// Addresses that mean something, most of them.
fn address() -> impl Strategy<Value = u64> {
    let page = |start: u64, count: u64| (0..count).prop_map(move |n| start + n * PAGE_4K);
    prop_oneof![
        8 => page(World::SMALL, 5),
        4 => page(World::LARGE, 4),
        4 => page(World::PENDING, 4),
        2 => Just(World::PENDING),
        2 => Just(World::LARGE),
        1 => page(World::FIRMWARE, 4),
        1 => Just(World::VMSA),
        1 => Just(World::FIRMWARE - PAGE_4K),
        1 => Just(World::RAM),
        1 => Just(World::WINDOW),
        3 => page(0x9_f000, 3),
        1 => any::<u64>(),
        1 => (page(World::SMALL, 12), 0u64..PAGE_4K).prop_map(|(page, offset)| page + offset),
        1 => page(World::SMALL, 12).prop_map(|page| page | 1 << 51),
    ]
}

fn entry() -> impl Strategy<Value = (u64, u64)> {
    let flags = prop_oneof![4 => 0u64..16, 1 => 0u64..4096];
    (address(), flags)
}

fn guest_step() -> impl Strategy<Value = Step> {
    let word = || prop_oneof![3 => address(), 1 => 0u64..4, 1 => any::<u64>()];
    let rax = prop_oneof![6 => 0u64..9, 1 => (0u64..6, 0u64..9).prop_map(|(p, c)| p << 32 | c), 1 => any::<u64>()];
    let list = || prop_oneof![3 => Just(World::CALLING_AREA + 8), 2 => address()];
    prop_oneof![
        3 => (rax, word(), word(), word()).prop_map(|(rax, rcx, rdx, r8)| Step::Call { rax, rcx, rdx, r8 }),
        6 => (list(), prop_oneof![5 => Just(0u16), 1 => 0u16..4], prop::collection::vec(entry(), 0..5))
            .prop_map(|(list, next, entries)| Step::Pvalidate { list, next, entries }),
        3 => (list(), prop::collection::vec((address(), prop_oneof![5 => 0u64..2, 1 => 0u64..4096]), 1..4))
            .prop_map(|(list, entries)| Step::Deposit { list, entries }),
        1 => list().prop_map(Step::Withdraw),
        3 => (address(), address(), 0u64..3, prop_oneof![4 => Just(2u8), 1 => 0u8..4])
            .prop_map(|(vmsa, area, apic_id, vmpl)| Step::Create { vmsa, area, apic_id, vmpl }),
        2 => address().prop_map(Step::Delete),
        1 => address().prop_map(Step::Share),
        1 => prop_oneof![Just(World::BSP), Just(World::AP), Just(World::LAUNCHED)].prop_map(Step::Spurious),
    ]
}

fn honest_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => guest_step(),
        1 => address().prop_map(Step::Psmash),
        1 => address().prop_map(Step::Enter),
        1 => address().prop_map(Step::Leave),
    ]
}

fn hostile_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => honest_step(),
        1 => (address(), any::<bool>(), any::<bool>()).prop_map(|(a, s, l)| Step::PageState(a, s, l)),
        1 => (address(), 0u64..16).prop_map(|(a, n)| Step::Replace(a, n)),
        2 => (address(), 0u64..16, 0u64..16).prop_map(|(a, n, f)| Step::Double(a, n, f)),
        1 => (address(), address()).prop_map(|(a, b)| Step::Swap(a, b)),
        3 => address().prop_map(Step::Steal),
        1 => address().prop_map(Step::Take),
    ]
}

impl World {
    /// The guest writes at its own level, if it may.
    fn guest_writes(&mut self, gpa: u64, bytes: &[u8]) -> bool {
        self.machine
            .system
            .write(Vmpl::VMPL2, Private, Gpa::new(gpa), bytes)
            .is_ok()
    }

    /// The guest calls, if its vCPU can run.
    fn guest_calls(&mut self, rax: u64, rcx: u64, rdx: u64, r8: u64) -> Result<(), Fatal> {
        // A VMSA that the guest makes for its own vCPU takes the startup VMSA's place.
        let Some(vcpu) = self.shared.lock().vcpus.current(World::BSP) else {
            return Ok(());
        };
        let writes = [
            (offset_of!(Vmsa, rax), rax),
            (offset_of!(Vmsa, rcx), rcx),
            (offset_of!(Vmsa, rdx), rdx),
            (offset_of!(Vmsa, r8), r8),
            (offset_of!(Vmsa, guest_exit_code), ExitCode::VMGEXIT.0),
        ];
        for (offset, value) in writes {
            let at = Gpa::new(vcpu.vmsa.get() + offset as u64);
            let bytes = value.to_le_bytes();
            if self
                .machine
                .system
                .write(Vmpl::VMPL0, Private, at, &bytes)
                .is_err()
            {
                return Ok(());
            }
        }
        if !self.guest_writes(vcpu.calling_area.get(), &[1]) {
            return Ok(());
        }
        if self.serve(World::BSP)? == Next::Park {
            assert!(!vcpu.startup, "the startup vCPU always has a VMSA");
            return Ok(());
        }
        let result = self.field(World::BSP, offset_of!(Vmsa, rax));
        let known = [0, 1, 2, 3, 4, 5, 6].map(|code| 0x8000_0000 + code);
        let core = [1, 2, 3, 6, 0x10, 0x11].map(|code| 0x8000_1000 + code);
        assert!(
            result == 0 || known.contains(&result) || core.contains(&result),
            "{result:#x}"
        );
        Ok(())
    }

    fn page_of(gpa: u64, large: bool) -> Option<GpaPage> {
        let size = if large {
            PageSize::Size2M
        } else {
            PageSize::Size4K
        };
        GpaPage::new(Gpa::new(gpa).page_base(size), size)
    }

    /// Puts the system page at `spa` behind `gpa` and assigns it to the guest there.
    fn replace(&mut self, gpa: u64, spa: u64) {
        let Some(page) = Self::page_of(gpa, false) else {
            return;
        };
        let update = RmpUpdate::to_guest(self.machine.system.guest(), page.gpa(), page.size());
        if self.machine.system.rmpupdate(Spa(spa), update).is_ok() {
            self.machine.system.map(page, Spa(spa));
        }
    }

    fn apply(&mut self, step: &Step) -> Result<(), Fatal> {
        match *step {
            Step::Call { rax, rcx, rdx, r8 } => self.guest_calls(rax, rcx, rdx, r8)?,
            Step::Pvalidate {
                list,
                next,
                ref entries,
            } => {
                let mut header = PvalidateHeader::new(entries.len() as u16);
                header.next = next;
                let entries: Vec<PvalidateEntry> = entries
                    .iter()
                    .map(|(gpa, flags)| PvalidateEntry(gpa ^ flags))
                    .collect();
                self.guest_writes(list, header.as_bytes());
                self.guest_writes(list.wrapping_add(8), entries.as_bytes());
                self.guest_calls(1, list, 0, 0)?;
            }
            Step::Deposit { list, ref entries } => {
                let header = DepositHeader::new(entries.len() as u16);
                let entries: Vec<u64> = entries.iter().map(|(gpa, bits)| gpa ^ bits).collect();
                self.guest_writes(list, header.as_bytes());
                self.guest_writes(list.wrapping_add(8), entries.as_bytes());
                self.guest_calls(4, list, 0, 0)?;
            }
            Step::Withdraw(list) => self.guest_calls(5, list, 0, 0)?,
            Step::Create {
                vmsa,
                area,
                apic_id,
                vmpl,
            } => {
                let level = Vmpl::new(vmpl).unwrap();
                let content = Vmsa::reset_vector(level, SevFeatures::SNP);
                self.guest_writes(vmsa, content.as_bytes());
                self.guest_calls(2, vmsa, area, apic_id)?;
            }
            Step::Delete(vmsa) => self.guest_calls(3, vmsa, 0, 0)?,
            Step::Share(gpa) => {
                let size = PageSize::Size4K;
                let attributes = RmpAttributes::new(Vmpl::VMPL3, Rights::all(), false);
                let _ = self
                    .machine
                    .system
                    .rmpadjust(Vmpl::VMPL2, Gpa::new(gpa), size, attributes);
            }
            Step::Spurious(apic_id) => {
                let _ = self.serve(apic_id)?;
            }
            Step::PageState(gpa, shared, large) => {
                let state = if shared {
                    Assigned::Shared
                } else {
                    Assigned::Private
                };
                if let Some(page) = Self::page_of(gpa, large) {
                    let _ = self.machine.system.page_state_change(page, state);
                }
            }
            Step::Psmash(gpa) => {
                let region = Gpa::new(gpa).page_base(PageSize::Size2M);
                if let Some(spa) = self.machine.system.translate(region) {
                    let _ = self.machine.system.psmash(spa.page_base(PageSize::Size2M));
                }
            }
            Step::Enter(gpa) | Step::Leave(gpa) => {
                let page = Gpa::new(gpa).page_base(PageSize::Size4K);
                let Some(spa) = self.machine.system.translate(page) else {
                    return Ok(());
                };
                if matches!(step, Step::Enter(_)) {
                    let _ = self.machine.system.enter_vmsa(spa);
                } else {
                    self.machine.system.leave_vmsa(spa);
                }
            }
            Step::Replace(gpa, n) => self.replace(gpa, SPARE + n * PAGE_4K),
            Step::Double(gpa, n, flags) => {
                self.replace(gpa, SPARE + n * PAGE_4K);
                let list = World::CALLING_AREA + 8;
                let entries = [(gpa & !0xfff, flags & !3)].to_vec();
                self.apply(&Step::Pvalidate {
                    list,
                    next: 0,
                    entries,
                })?;
            }
            Step::Swap(a, b) => {
                if let (Some(a), Some(b)) = (Self::page_of(a, false), Self::page_of(b, false)) {
                    self.machine.system.swap(a.gpa(), b.gpa());
                }
            }
            Step::Steal(gpa) => {
                let secret = Spa(SECRET).page_base(PageSize::Size2M);
                let _ = self.machine.system.psmash(secret);
                self.replace(gpa, SECRET);
            }
            Step::Take(gpa) => {
                if let Some(page) = Self::page_of(gpa, false) {
                    self.machine.system.unmap(page);
                }
            }
        }
        Ok(())
    }

    /// System pages that the steps can reach.
    fn system_pages() -> impl Iterator<Item = Spa> {
        let region = |start: u64, bytes: u64| (start..start + bytes).step_by(PAGE_4K as usize);
        region(0x9_f000, 0x3000)
            .chain(region(World::SMALL, 0x10_000))
            .chain(region(World::LARGE, 0x8000))
            .chain(region(World::PENDING, 0x8000))
            .chain(region(World::FIRMWARE - PAGE_4K, 0x8000))
            .chain(region(World::VMSA, PAGE_4K))
            .chain(region(SECRET, 0x8000))
            .chain(region(SPARE, 0x1_0000))
            .chain(region(World::WINDOW, 0x4000))
            .map(Spa)
    }

    /// What holds whatever host and guest do.
    fn check_safety(&mut self) {
        let firmware = World::FIRMWARE..World::FIRMWARE + World::FIRMWARE_SIZE;
        let mut validated: BTreeMap<u64, Spa> = BTreeMap::new();
        for spa in Self::system_pages() {
            let entry = self.machine.system.rmp().entry(spa);
            if !entry.is_assigned() {
                continue;
            }
            let gpa = entry.gpa_of(spa).get();
            let rights = LOWER.map(|level| entry.rights(level));
            let page = Self::page_of(gpa, false).unwrap();
            let given = self.shared.lock().pages.covers_deposit(page.range());
            let most = match (firmware.contains(&gpa) || given, entry.is_vmsa()) {
                (true, _) => Rights::empty(),
                (false, true) => Rights::READ,
                (false, false) => Rights::all(),
            };
            assert!(
                rights.iter().all(|rights| most.contains(*rights)),
                "rights {rights:?} to {gpa:#x} at {spa:?}"
            );
            if entry.is_validated()
                && let Some(other) = validated.insert(gpa, spa)
            {
                panic!("{gpa:#x} is valid at {other:?} and {spa:?}");
            }
            let secret = (SECRET & 0xfff) | (gpa & !0xfff);
            let mut bytes = [0; 8];
            for level in LOWER {
                let at = Gpa::new(secret);
                if self
                    .machine
                    .system
                    .read(level, Private, at, &mut bytes)
                    .is_ok()
                {
                    assert_ne!(&bytes, b"firmware", "the secret is at {gpa:#x}");
                }
            }
        }
    }

    /// What holds beside that while the host is honest: the map is the truth, and
    /// so is the registry.
    fn check_truth(&mut self) {
        for apic_id in [World::BSP, World::AP, World::LAUNCHED] {
            let seat = self.shared.seat(apic_id).unwrap().take();
            let current = self.shared.lock().vcpus.current(apic_id);
            assert_eq!(*seat, current, "the seat of {apic_id}");
        }
        for spa in Self::system_pages().filter(|spa| spa.0 < SPARE || spa.0 >= World::WINDOW) {
            let entry = self.machine.system.rmp().entry(spa);
            let page = Self::page_of(spa.0, false).unwrap();
            let known = self.shared.lock().pages.state(page) == Some(PageState::Valid);
            assert_eq!(known, entry.is_validated(), "{spa:?}");
            let given = self.shared.lock().pages.covers_deposit(page.range());
            assert!(known || !given, "{spa:?}");
            let live = self.shared.lock().vcpus.find(page.gpa()).is_some();
            assert_eq!(live, entry.is_vmsa(), "{spa:?}");
            if known && !live && !given && self.shared.lock().memory.is_guest(page.range()) {
                for level in [Vmpl::VMPL1, Vmpl::VMPL2] {
                    assert_eq!(entry.rights(level), Rights::all(), "{spa:?}");
                }
            }
        }
    }
}

fn world() -> World {
    let mut world = World::new();
    world.shared.lock().policy.evict = false;
    world.poke(SECRET, b"firmware");
    for page in [0x9_f000, 0xa_0000, 0xa_1000] {
        world.private(World::page_of(page, false).unwrap());
    }
    world
}

proptest! {
    #![proptest_config(crate::testing::cases(192))]

    #[test]
    fn with_an_honest_host_the_map_is_the_truth(
        steps in prop::collection::vec(honest_step(), 1..24),
    ) {
        let mut world = world();
        for step in &steps {
            if world.apply(step).is_err() {
                // An honest host gives no reason to end but one: a page asked for
                // that was never made private.
                break;
            }
            world.check_safety();
            world.check_truth();
        }
        world.check_safety();
    }

    #[test]
    fn threat_01_threat_02_threat_03_threat_44_with_a_hostile_host_nothing_leaks(
        steps in prop::collection::vec(hostile_step(), 1..32),
    ) {
        let mut world = world();
        for step in &steps {
            let end = world.apply(step);
            world.check_safety();
            if end.is_err() {
                break;
            }
        }
    }
}
