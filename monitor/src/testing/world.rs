//! A guest with one vCPU at VMPL2, RAM of 64 MiB, some of it validated.

use core::mem::offset_of;

use protocols::addr::{Gpa, GpaPage, GpaRange, PAGE_4K, PageSize};
use protocols::boot::params::{MemoryMapEntry, MemoryMapType};
use protocols::ghcb::ExitCode;
use protocols::snp::{Rights, SevFeatures, Vmpl, Vmsa};
use protocols::svsm::{CoreCall, PvalidateEntry, PvalidateHeader, Request, ResultCode};
use snp_model::access::Encryption::Private;
use snp_model::system::PageState;
use zerocopy::IntoBytes;

use super::{FrameStore, Machine};
use crate::accept::{Claimed, accept_range, claim, grant_range};
use crate::fatal::Fatal;
use crate::guest::Guest;
use crate::memory::{GuestMemoryMap, ImageRanges, parse_ram};
use crate::page_map::{Layout, PageMap};
use crate::pages::PagePolicy;
use crate::platform::Rmp;
use crate::services::Services;
use crate::shared::{Server, Shared};
use crate::svsm::request::{Arguments, Next, is_waiting, serve};
use crate::vcpu::{Registry, Vcpu};

pub(crate) fn range(start: u64, len: u64) -> GpaRange {
    GpaRange::new(Gpa::new(start), len).unwrap()
}

pub(crate) fn page(gpa: u64) -> GpaPage {
    GpaPage::new_4k(Gpa::new(gpa)).unwrap()
}

pub(crate) fn page_2m(gpa: u64) -> GpaPage {
    GpaPage::new_2m(Gpa::new(gpa)).unwrap()
}

/// What came back from a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) result: ResultCode,
    pub(crate) arguments: Arguments,
}

pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) shared: Shared<FrameStore>,
}

impl World {
    pub(crate) const RAM: u64 = 0x400_0000;
    pub(crate) const FIRMWARE: u64 = 0x200_0000;
    pub(crate) const FIRMWARE_SIZE: u64 = 0xa0_0000;
    pub(crate) const WINDOW: u64 = 0xffc0_0000;
    /// Validated in 4 KiB pages and granted: the calling area is the first.
    pub(crate) const SMALL: u64 = 0x80_0000;
    pub(crate) const SMALL_SIZE: u64 = 0x4_0000;
    pub(crate) const CALLING_AREA: u64 = Self::SMALL;
    /// A validated and granted 2 MiB page.
    pub(crate) const LARGE: u64 = 0x100_0000;
    /// Private by page-state change and not validated, 2 MiB pages up to the firmware.
    pub(crate) const PENDING: u64 = 0x140_0000;
    /// The startup vCPU's VMSA, in the firmware's range.
    pub(crate) const VMSA: u64 = 0x241_0000;
    pub(crate) const BSP: u32 = 0;
    pub(crate) const AP: u32 = 1;
    /// The APIC ID in `cpuid_page`.
    pub(crate) const LAUNCHED: u32 = 5;
    pub(crate) const FEATURES: u64 = 1;

    /// The firmware is up, and nothing of the guest's is there yet.
    pub(crate) fn before_launch() -> Self {
        Self::before_launch_of(&[Self::BSP, Self::AP, Self::LAUNCHED])
    }

    /// The same with vCPUs that have these APIC IDs.
    fn before_launch_of(apic_ids: &[u32]) -> Self {
        let ram = MemoryMapEntry::new(0, Self::RAM >> 12, MemoryMapType::MEMORY);
        let ram = parse_ram(&[ram], 1 << 48).unwrap();
        let window = range(Self::WINDOW, 0x40_0000);
        let image = ImageRanges {
            firmware: range(Self::FIRMWARE, Self::FIRMWARE_SIZE),
            window,
        };
        let layout = Layout::new(&ram, window);
        let frames = FrameStore::new(layout.frames());
        let guest = Guest {
            memory: GuestMemoryMap::new(&ram, image).unwrap(),
            pages: PageMap::new(layout, frames),
            vcpus: Registry::new(apic_ids).unwrap(),
            policy: PagePolicy {
                guest: Vmpl::VMPL2,
                evict: true,
            },
            sev_features: Self::FEATURES,
        };
        let mut world = World {
            machine: Machine::new(),
            shared: Shared::new(guest, Services::none()).unwrap(),
        };
        world.claim(image.firmware);
        world.machine.take_events();
        world
    }

    pub(crate) fn new() -> Self {
        let mut world = Self::before_launch();
        world.open_granted(range(Self::SMALL, Self::SMALL_SIZE));
        world.open_granted(range(Self::LARGE, 0x20_0000));
        for pending in range(Self::PENDING, Self::FIRMWARE - Self::PENDING).pages(PageSize::Size2M)
        {
            world.private(pending);
        }
        world.start();
        world.machine.take_events();
        world
    }

    /// A guest with vCPUs of these APIC IDs, of which the boot vCPU runs, and `pages` granted pages of
    /// 4 KiB from [`PENDING`](Self::PENDING) on.
    pub(crate) fn many(apic_ids: &[u32], pages: u64) -> Self {
        let mut world = Self::before_launch_of(apic_ids);
        world.open_granted(range(Self::CALLING_AREA, PAGE_4K));
        for number in 0..pages {
            world.open_granted(range(Self::PENDING + number * PAGE_4K, PAGE_4K));
        }
        world.start();
        world.machine.take_events();
        world
    }

    /// As [`new`](Self::new), but with 16 small pages and no large one: a world that is made
    /// for each of many orders of events.
    #[cfg(feature = "loom")]
    pub(crate) fn tiny() -> Self {
        let mut world = Self::before_launch();
        world.shared.lock().policy.evict = false;
        world.open_granted(range(Self::SMALL, 0x1_0000));
        for pending in range(Self::PENDING, 0x40_0000).pages(PageSize::Size2M) {
            world.private(pending);
        }
        world.start();
        world
    }

    /// The host gives a page to the guest.
    pub(crate) fn private(&mut self, page: GpaPage) {
        self.machine
            .system
            .page_state_change(page, PageState::Private)
            .unwrap();
    }

    /// The firmware's own memory, as stage2 leaves it: validated, not zeroed.
    fn claim(&mut self, range: GpaRange) {
        for page in range.pages(PageSize::Size2M) {
            self.private(page);
            assert_eq!(claim(&mut self.machine, page), Ok(Claimed::Whole));
            self.shared.lock().pages.mark_valid(page).unwrap();
        }
    }

    fn open_granted(&mut self, range: GpaRange) {
        for page in range.pages(PageSize::Size2M) {
            self.private(page);
        }
        let policy = self.shared.lock().policy;
        accept_range(
            &mut self.machine,
            &mut self.shared.lock().pages,
            policy,
            range,
        )
        .unwrap();
        grant_range(&mut self.machine, policy, range).unwrap();
    }

    fn start(&mut self) {
        let vmsa = page(Self::VMSA);
        let features = SevFeatures::from_bits_retain(Self::FEATURES);
        self.poke(
            Self::VMSA,
            Vmsa::reset_vector(Vmpl::VMPL2, features).as_bytes(),
        );
        self.machine
            .rmpadjust(vmsa, Vmpl::VMPL1, Rights::empty(), true)
            .unwrap();
        let vcpu = Vcpu {
            vmsa: vmsa.gpa(),
            calling_area: Gpa::new(Self::CALLING_AREA),
            apic_id: Self::BSP,
            startup: true,
        };
        self.shared.lock().vcpus.register(vcpu).unwrap();
        self.seat(vcpu);
    }

    /// Gives a vCPU that was registered before the guest ran its seat.
    pub(crate) fn seat(&mut self, vcpu: Vcpu) {
        *self.shared.seat(vcpu.apic_id).unwrap().take() = Some(vcpu);
    }

    /// Writes memory as VMPL0, unrecorded.
    pub(crate) fn poke(&mut self, gpa: u64, bytes: &[u8]) {
        self.machine
            .system
            .write(Vmpl::VMPL0, Private, Gpa::new(gpa), bytes)
            .unwrap();
    }

    /// Reads memory as VMPL0, unrecorded.
    pub(crate) fn peek<const N: usize>(&mut self, gpa: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.machine
            .system
            .read(Vmpl::VMPL0, Private, Gpa::new(gpa), &mut bytes)
            .unwrap();
        bytes
    }

    pub(crate) fn peek_u64(&mut self, gpa: u64) -> u64 {
        u64::from_le_bytes(self.peek(gpa))
    }

    /// Writes what CREATE_VCPU accepts, changed by `change`.
    pub(crate) fn write_vmsa(&mut self, gpa: u64, change: impl Fn(&mut Vmsa)) {
        let features = SevFeatures::from_bits_retain(Self::FEATURES);
        let mut vmsa = Vmsa::reset_vector(Vmpl::VMPL2, features);
        change(&mut vmsa);
        self.poke(gpa, vmsa.as_bytes());
    }

    /// Sets a field of the vCPU's current VMSA.
    pub(crate) fn set_field(&mut self, apic_id: u32, offset: usize, value: u64) {
        let vmsa = self
            .shared
            .lock()
            .vcpus
            .current(apic_id)
            .unwrap()
            .vmsa
            .get();
        self.poke(vmsa + offset as u64, &value.to_le_bytes());
    }

    pub(crate) fn field(&mut self, apic_id: u32, offset: usize) -> u64 {
        let vmsa = self
            .shared
            .lock()
            .vcpus
            .current(apic_id)
            .unwrap()
            .vmsa
            .get();
        self.peek_u64(vmsa + offset as u64)
    }

    /// The guest sets up a call and makes it; the exit has happened.
    pub(crate) fn ask(&mut self, apic_id: u32, rax: u64, arguments: Arguments) {
        for (offset, value) in [
            (offset_of!(Vmsa, rax), rax),
            (offset_of!(Vmsa, rcx), arguments.rcx),
            (offset_of!(Vmsa, rdx), arguments.rdx),
            (offset_of!(Vmsa, r8), arguments.r8),
            (offset_of!(Vmsa, r9), arguments.r9),
            (offset_of!(Vmsa, guest_exit_code), ExitCode::VMGEXIT.0),
        ] {
            self.set_field(apic_id, offset, value);
        }
        let area = self
            .shared
            .lock()
            .vcpus
            .current(apic_id)
            .unwrap()
            .calling_area;
        self.poke(area.get(), &[1]);
    }

    pub(crate) fn serve(&mut self, apic_id: u32) -> Result<Next, Fatal> {
        let mut server = Server::new(&self.shared, apic_id).unwrap();
        serve(&mut server, &mut self.machine)
    }

    /// Whether the vCPU may not rest.
    pub(crate) fn is_waiting(&mut self, apic_id: u32) -> Result<bool, Fatal> {
        let mut server = Server::new(&self.shared, apic_id).unwrap();
        is_waiting(&mut server, &mut self.machine)
    }

    /// A call by the vCPU that has to return to the guest.
    pub(crate) fn call_on(&mut self, apic_id: u32, rax: u64, arguments: Arguments) -> Outcome {
        self.ask(apic_id, rax, arguments);
        assert_eq!(self.serve(apic_id), Ok(Next::Enter));
        let area = self
            .shared
            .lock()
            .vcpus
            .current(apic_id)
            .unwrap()
            .calling_area;
        assert_eq!(self.machine.byte(area), 0, "call_pending is taken");
        Outcome {
            result: ResultCode {
                0: self.field(apic_id, offset_of!(Vmsa, rax)),
            },
            arguments: Arguments {
                rcx: self.field(apic_id, offset_of!(Vmsa, rcx)),
                rdx: self.field(apic_id, offset_of!(Vmsa, rdx)),
                r8: self.field(apic_id, offset_of!(Vmsa, r8)),
                r9: self.field(apic_id, offset_of!(Vmsa, r9)),
            },
        }
    }

    /// A core call by the boot processor: its result.
    pub(crate) fn core(&mut self, call: CoreCall, rcx: u64, rdx: u64, r8: u64) -> ResultCode {
        let arguments = Arguments {
            rcx,
            rdx,
            r8,
            r9: 0,
        };
        self.call_on(Self::BSP, Request::core(call).rax(), arguments)
            .result
    }

    /// Writes a PVALIDATE list and makes the call: result and `next` afterwards.
    pub(crate) fn pvalidate_at(
        &mut self,
        list: u64,
        entries: &[PvalidateEntry],
    ) -> (ResultCode, u16) {
        let header = PvalidateHeader::new(entries.len() as u16);
        self.poke(list, header.as_bytes());
        self.poke(list + 8, entries.as_bytes());
        let result = self.core(CoreCall::PVALIDATE, list, 0, 0);
        (result, u16::from_le_bytes(self.peek(list + 2)))
    }

    /// The same with the list in the calling area's buffer.
    pub(crate) fn pvalidate(&mut self, entries: &[PvalidateEntry]) -> (ResultCode, u16) {
        let area = self
            .shared
            .lock()
            .vcpus
            .current(Self::BSP)
            .unwrap()
            .calling_area
            .get();
        self.pvalidate_at(area + 8, entries)
    }

    /// Whether a level could read the byte.
    pub(crate) fn readable(&mut self, vmpl: Vmpl, gpa: u64) -> bool {
        self.machine
            .system
            .read(vmpl, Private, Gpa::new(gpa), &mut [0])
            .is_ok()
    }

    /// Whether a level could write the byte. The byte becomes 0x55.
    pub(crate) fn writable(&mut self, vmpl: Vmpl, gpa: u64) -> bool {
        self.machine
            .system
            .write(vmpl, Private, Gpa::new(gpa), &[0x55])
            .is_ok()
    }
}
