//! The boot, in order. Each line of [`boot`] is a step of the design's third section. The steps are
//! kept apart (`inline(never)`), so that their buffers do not add up on the boot stack.

use core::convert::Infallible;

use monitor::cpuid::CpuidTable;
use monitor::fatal::Fatal;
use monitor::guest::Guest;
use monitor::memory::{GuestMemoryMap, ImageRanges, parse_ram};
use monitor::negotiate::guest_features;
use monitor::page_map::{Layout, PageMap};
use monitor::pages::PagePolicy;
use monitor::ranges::RangeList;
use monitor::sizing::FirmwareMemory;
use monitor::vcpu::Registry;
use protocols::addr::{Gpa, GpaPage, GpaRange};
use protocols::boot::layout::{CPUID_PAGE, MEMORY_MAP_PAGE, VP_COUNT_PAGE};
use protocols::boot::{HandOff, MAX_ENTRIES_IN_PAGE, MemoryMapEntry, VpCount};
use protocols::ghcb::{Ghcb, RampartReason};
use protocols::snp::{CpuidPage, SevStatus, Vmpl};

use crate::aps::{self, Aps};
use crate::arch::{cpu, descriptors, exceptions, percpu};
use crate::attestation::{self, OpenAttestation};
use crate::console::log;
use crate::mm::hand_off::{self, launched};
use crate::mm::map_memory::MapMemory;
use crate::mm::space::KernelSpace;
use crate::mm::transfer::Transfer;
use crate::platform::{self, KernelPlatform};
use crate::{exception, fatal, guest, run, services};

/// Called by the entry code with the address of stage2's hand-off.
pub(crate) extern "C" fn kernel_main(hand_off: u64) -> ! {
    percpu::install();
    descriptors::load();
    exceptions::load();
    cpu::enforce_write_protection();
    let Err(end) = boot(hand_off);
    fatal::end(end)
}

/// From the hand-off to the guest's last exit.
#[inline(never)]
fn boot(hand_off: u64) -> Result<Infallible, Fatal> {
    let (hand_off, space) = hand_off::receive(hand_off)?;
    let ghcb = &mut Ghcb::zeroed();
    log!("Rampart {} at VMPL0", env!("CARGO_PKG_VERSION"));
    let cpuid = read_cpuid_page()?;
    let memory = read_memory(&hand_off, cpuid)?;
    let (aps, space) = prepare_aps(ghcb, space, &hand_off, cpuid, &memory)?;
    let (attestation, space) = open_attestation(ghcb, space, &hand_off)?;
    let apic_id = start(ghcb, &hand_off, cpuid, &memory, space, &aps, attestation)?;
    aps.start(ghcb)?;
    run::run(apic_id)
}

/// The other CPUs, ready to be started.
#[inline(never)]
fn prepare_aps(
    ghcb: &mut Ghcb,
    mut space: KernelSpace,
    hand_off: &HandOff,
    cpuid: &CpuidTable,
    memory: &Memory,
) -> Result<(Aps, KernelSpace), Fatal> {
    let aps = Aps::prepare(ghcb, &mut space, hand_off, cpuid, memory)?;
    Ok((aps, space))
}

/// The channel to the secure processor, and what it says of this machine.
#[inline(never)]
fn open_attestation(
    ghcb: &mut Ghcb,
    mut space: KernelSpace,
    hand_off: &HandOff,
) -> Result<(OpenAttestation, KernelSpace), Fatal> {
    let attestation = attestation::open(ghcb, &mut space, guest_vmpl(hand_off)?)?;
    Ok((attestation, space))
}

/// Launches the guest and shares it with all CPUs. Returns the APIC ID of this one.
#[inline(never)]
fn start(
    ghcb: &mut Ghcb,
    hand_off: &HandOff,
    cpuid: &CpuidTable,
    memory: &Memory,
    mut space: KernelSpace,
    aps: &Aps,
    attestation: OpenAttestation,
) -> Result<u32, Fatal> {
    let by_hash = hand_off.image.firmware_is_by_hash();
    let transfer = by_hash.then(|| Transfer::share(&mut space, ghcb));
    let (mut platform, mut guest, vmsa) = set_up(hand_off, cpuid, memory, space, aps)?;
    let services = services::make(cpuid, &hand_off.image, attestation)?;
    let vcpu = guest::launch(
        &mut platform,
        ghcb,
        &mut guest,
        hand_off,
        memory,
        vmsa,
        transfer.transpose()?,
    )?;
    run::share(platform, guest, services)?;
    Ok(vcpu.apic_id)
}

/// What memory there is and whose it is.
pub(crate) struct Memory {
    /// RAM by the host's map, checked.
    pub(crate) ram: RangeList,
    /// The firmware's own.
    pub(crate) firmware: FirmwareMemory,
    /// Where the guest firmware goes.
    pub(crate) rom: GpaRange,
    /// The layout of the page map.
    pub(crate) layout: Layout,
    /// How many processors the host says that there are.
    pub(crate) vp_count: u32,
}

/// Checks the CPUID page and keeps a copy, which is CPUID from here on.
#[inline(never)]
fn read_cpuid_page() -> Result<&'static CpuidTable, Fatal> {
    /// EDX of leaf 0x80000001: 1 GiB pages.
    const PAGE_1G: u32 = 1 << 26;
    let page: CpuidPage = launched(CPUID_PAGE).ok_or(Fatal::INTERNAL)?;
    let table = CpuidTable::new(page)?;
    if table.cpuid(0x8000_0001, 0).edx & PAGE_1G == 0 {
        return Err(Fatal::new(RampartReason::NoHugePages));
    }
    Ok(exception::CPUID.call_once(|| table))
}

/// Reads the host's memory map and lays the firmware's range into it.
#[inline(never)]
fn read_memory(hand_off: &HandOff, cpuid: &CpuidTable) -> Result<Memory, Fatal> {
    let malformed = Fatal::new(RampartReason::MemoryMapMalformed);
    let entries: [MemoryMapEntry; MAX_ENTRIES_IN_PAGE] =
        launched(MEMORY_MAP_PAGE).ok_or(malformed)?;
    let ram = parse_ram(&entries, cpuid.physical_limit())?;
    let vp_count: VpCount = launched(VP_COUNT_PAGE).ok_or(malformed)?;
    if !aps::can_serve(vp_count.get()) {
        return Err(Fatal::new(RampartReason::VcpuCountMalformed));
    }
    let rom_size = u64::from(hand_off.image.firmware.unpacked);
    let rom = GpaRange::new(Gpa::new(hand_off.image.firmware_gpa), rom_size)
        .filter(|range| !range.is_empty())
        .ok_or(Fatal::new(RampartReason::FirmwarePayloadMalformed))?;
    let layout = Layout::new(&ram, rom);
    let firmware = FirmwareMemory::new(layout.frames(), vp_count.get()).ok_or(malformed)?;
    log!(
        "{} MiB of RAM in {} ranges, {} vCPUs, firmware range {}: {} KiB kept, and {} KiB for the page map",
        ram.total() >> 20,
        ram.as_slice().len(),
        vp_count.get(),
        firmware.whole,
        (firmware.whole.len() - firmware.page_map.len()) >> 10,
        firmware.page_map.len() >> 10
    );
    Ok(Memory {
        ram,
        firmware,
        rom,
        layout,
        vp_count: vp_count.get(),
    })
}

/// The monitor's state and mechanisms, with an empty page map, and the page for the guest's first
/// VMSA.
#[inline(never)]
fn set_up(
    hand_off: &HandOff,
    cpuid: &CpuidTable,
    memory: &Memory,
    mut space: KernelSpace,
    aps: &Aps,
) -> Result<(KernelPlatform, Guest<MapMemory>, GpaPage), Fatal> {
    let out_of_memory = |_| Fatal::new(RampartReason::OutOfMemory);
    let top = memory
        .ram
        .iter()
        .fold(memory.rom.end(), |top, range| top.max(range.end()));
    let mut window = space
        .map_guest(top.get(), memory.firmware.whole)
        .map_err(out_of_memory)?;
    let vmsa = space.vmsa_frame(&mut window).map_err(out_of_memory)?;

    let storage = MapMemory::new(memory.firmware.page_map, space, cpuid.needs_eviction())
        .map_err(|_| Fatal::new(RampartReason::PageMapMemory))?;
    let image = ImageRanges {
        firmware: memory.firmware.whole,
        window: memory.rom,
    };
    let status = SevStatus::from_bits_retain(hand_off.sev_status);
    let guest = Guest {
        memory: GuestMemoryMap::new(&memory.ram, image)?,
        pages: PageMap::new(memory.layout.clone(), storage),
        vcpus: Registry::new(&aps.apic_ids(cpuid.apic_id())?)
            .map_err(|_| Fatal::new(RampartReason::OutOfMemory))?,
        policy: PagePolicy {
            guest: guest_vmpl(hand_off)?,
            evict: cpuid.needs_eviction(),
        },
        sev_features: guest_features(status).bits(),
    };
    platform::count_pvalidates(hand_off.pvalidates);
    Ok((KernelPlatform::new(window), guest, vmsa))
}

/// The level of the guest, as the measured header says.
fn guest_vmpl(hand_off: &HandOff) -> Result<Vmpl, Fatal> {
    hand_off
        .image
        .check()
        .map_err(|_| Fatal::new(RampartReason::ImageHeaderMalformed))
}
