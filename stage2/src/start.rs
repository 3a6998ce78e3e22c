//! The order of things in stage2.

use core::arch::asm;
use core::convert::Infallible;

use monitor::accept::claim;
use monitor::cpuid::CpuidTable;
use monitor::fatal::{self, Fatal};
use monitor::{ghcb_client, negotiate, psc};
use protocols::addr::{Gpa, GpaRange, PAGE_4K, PageSize};
use protocols::boot::layout::{
    BOOT_GHCB, C_BIT, CPUID_PAGE, IMAGE_HEADER_PAGE, KERNEL_AREA, PAYLOAD_BASE,
};
use protocols::boot::{Extent, HandOff, ImageHeader};
use protocols::ghcb::{Ghcb, PscOperation, RampartReason};
use protocols::snp::{MSR_SEV_STATUS, SevStatus};
use zerocopy::{FromBytes, IntoBytes};

use crate::host::Machine;
use crate::layout::OWN_BASE;
use crate::memory::{KernelArea, launched, touch_kernel_area};
use crate::{cbit, console, exceptions, instructions, load};

/// Called by the entry code, on stage2's own stack.
pub(crate) extern "C" fn stage2_main() -> ! {
    exceptions::load();
    let mut machine = Machine::new();
    let Err(fatal) = boot(&mut machine);
    let mut ghcb = Ghcb::zeroed();
    if !machine.has_ghcb() {
        fatal::end(&mut machine, None, fatal);
    }
    console::line(
        &mut machine,
        &mut ghcb,
        format_args!("stage2: terminating: {fatal}"),
    );
    fatal::end(&mut machine, Some(&mut ghcb), fatal)
}

/// The boot up to the kernel's first instruction.
fn boot(machine: &mut Machine) -> Result<Infallible, Fatal> {
    // The processor and the launch: what is private is proved before anything is believed.
    let host = negotiate::sev_info(machine)?;
    let cpuid = cpuid_page()?;
    negotiate::agree_on_c_bit(C_BIT, cpuid.c_bit(), host.c_bit)?;
    cbit::prove()?;

    // The hypervisor: a GHCB as soon as may be, because only it can carry the mask of features
    // that are not supported.
    let features = negotiate::hypervisor_features(machine)?;
    let boot_ghcb = Gpa::new(BOOT_GHCB);
    psc::change_by_msr(machine, boot_ghcb, PscOperation::SHARED)?;
    ghcb_client::register(machine, boot_ghcb)?;
    machine.use_ghcb();
    let ghcb = &mut Ghcb::zeroed();
    let sev_status = sev_status();
    negotiate::check_sev_status(sev_status)?;
    console::line(
        machine,
        ghcb,
        format_args!(
            "stage2: C-bit {C_BIT}, GHCB protocol {}, hypervisor features {:#x}, SEV_STATUS {:#x}",
            host.version,
            features.bits(),
            sev_status.bits()
        ),
    );

    // The kernel's memory.
    let header = image_header()?;
    let pages = KERNEL_AREA.pages(PageSize::Size2M);
    psc::change(machine, ghcb, pages.clone(), PscOperation::PRIVATE)?;
    for page in pages {
        let _ = claim(machine, page)?;
    }
    if cpuid.needs_eviction() {
        touch_kernel_area();
    }
    // SAFETY: every page of the area was claimed above; this is the only call.
    let mut area = unsafe { KernelArea::new_zeroed() };

    // The kernel.
    let malformed = |_| Fatal::new(RampartReason::KernelPayloadMalformed);
    let (kernel, elf) = load::kernel(&header.kernel, &mut area).map_err(malformed)?;
    let tables = load::address_space(&kernel, elf, &mut area).map_err(malformed)?;
    let (hand_off_gpa, page) = area
        .take_front(PAGE_4K)
        .ok_or(Fatal::new(RampartReason::KernelPayloadMalformed))?;
    let pvalidates = machine.pvalidates;
    console::line(
        machine,
        ghcb,
        format_args!(
            "stage2: {} KiB validated with {} PVALIDATEs, kernel of {} KiB at {:#x}",
            KERNEL_AREA.len() / 1024,
            pvalidates,
            kernel.image.len / 1024,
            kernel.image.gpa
        ),
    );
    let hand_off = HandOff {
        magic: HandOff::MAGIC,
        version: HandOff::VERSION,
        c_bit: C_BIT,
        ghcb_protocol: u32::from(host.version),
        reserved: 0,
        hypervisor_features: features.bits(),
        sev_status: sev_status.bits(),
        boot_ghcb: BOOT_GHCB,
        page_table_root: tables.root(),
        kernel: kernel.image,
        free: Extent::new(
            area.front().get(),
            KERNEL_AREA.end().get() - area.front().get(),
        ),
        launch_used_end: launch_used_end(&header),
        exits: machine.exits,
        pvalidates,
        image: header,
    };
    let _ = hand_off.write_to_prefix(page);
    // SAFETY: the tables map the kernel, the hand-off and this code's own page; the kernel does
    // not return.
    unsafe { jump(tables.cr3(), kernel.entry, OWN_BASE + hand_off_gpa) }
}

/// Copies the CPUID page and checks it.
fn cpuid_page() -> Result<CpuidTable, Fatal> {
    CpuidTable::new(copy(CPUID_PAGE).ok_or(Fatal::INTERNAL)?)
}

fn image_header() -> Result<ImageHeader, Fatal> {
    let malformed = Fatal::new(RampartReason::ImageHeaderMalformed);
    let header: ImageHeader = copy(IMAGE_HEADER_PAGE).ok_or(malformed)?;
    match header.check() {
        Ok(_) => Ok(header),
        Err(_) => Err(malformed),
    }
}

/// Copies a structure out of the launch area.
fn copy<T: FromBytes>(gpa: u64) -> Option<T> {
    let range = GpaRange::new(Gpa::new(gpa), size_of::<T>() as u64)?;
    T::read_from_bytes(launched(range)?).ok()
}

/// First byte behind what the launch loaded.
fn launch_used_end(header: &ImageHeader) -> u64 {
    [header.kernel, header.firmware]
        .iter()
        .filter_map(|payload| payload.range())
        .fold(PAYLOAD_BASE, |end, range| end.max(range.end().get()))
}

fn sev_status() -> SevStatus {
    // SAFETY: SEV_STATUS exists in every SEV guest and is read without an intercept.
    SevStatus::from_bits_retain(unsafe { instructions::rdmsr(MSR_SEV_STATUS) })
}

/// Loads the kernel's page tables and jumps to its entry point with the hand-off in RDI.
///
/// # Safety
/// The tables must map this function at the address that it runs at, and `entry` as executable.
unsafe fn jump(cr3: u64, entry: u64, hand_off: u64) -> ! {
    // SAFETY: the caller vouches for the tables. No stack is used after the switch.
    unsafe {
        asm!("mov cr3, {cr3}", "jmp {entry}", cr3 = in(reg) cr3, entry = in(reg) entry,
             in("rdi") hand_off, options(noreturn, nostack));
    }
}
