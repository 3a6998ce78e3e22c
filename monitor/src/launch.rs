//! The launch of the guest: from the packed firmware image to a vCPU at the reset
//! vector, in the order of [`launch`].

use protocols::addr::{Gpa, GpaPage, GpaRange, PageSize};
use protocols::boot::params::VpCount;
use protocols::ghcb::{Ghcb, PscOperation, RampartReason};
use protocols::snp::{SecretsPage, SevFeatures, Vmsa};
use zerocopy::IntoBytes;

use crate::accept::{accept_range, grant_range};
use crate::ap::seal_vmsa;
use crate::cpuid::CpuidTable;
use crate::fatal::Fatal;
use crate::ghcb_client;
use crate::guest::Guest;
use crate::guest_image::{GuestImage, Parameters, TAIL};
use crate::platform::{GuestMemory, MapStorage, Platform};
use crate::psc;
use crate::ranges::MapError;
use crate::vcpu::Vcpu;

/// What a launch needs to know.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Where the guest firmware goes: the window below 4 GiB.
    pub rom: GpaRange,
    /// The firmware's own range, which the guest is told of.
    pub firmware: GpaRange,
    /// The firmware's own secrets page.
    pub secrets: &'a SecretsPage,
    /// The CPUID page.
    pub cpuid: &'a CpuidTable,
    /// The number of processors that the host says.
    pub vp_count: u32,
    /// A page of the firmware's own for the VMSA, 4 KiB, not 2 MiB-aligned.
    pub vmsa: GpaPage,
}

/// Launches the guest; [`run_vmpl`](ghcb_client::run_vmpl) starts it.
///
/// `place` writes the guest firmware's image to `inputs.rom`, which is private,
/// validated and zero by then, and which nobody but VMPL0 can reach.
///
/// # Errors
/// [`Fatal`] for an image that cannot be launched, or a host that does not play
/// along.
pub fn launch<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    ghcb: &mut Ghcb,
    guest: &mut Guest<S>,
    inputs: &Inputs<'_>,
    place: impl FnOnce(&mut P, &mut Ghcb, GpaRange) -> Result<(), Fatal>,
) -> Result<Vcpu, Fatal> {
    open(platform, ghcb, guest, &[inputs.rom])?;
    place(platform, ghcb, inputs.rom)?;
    let image = read_image(platform, inputs.rom)?;
    open_sections(platform, ghcb, guest, &image)?;
    write_pages(platform, guest, &image, inputs)?;
    grant(platform, guest, &image, inputs.rom)?;
    start_vcpu(platform, ghcb, guest, &image, inputs)
}

/// Makes ranges private, validates and zeroes them. No level below VMPL0 has any
/// right to them yet.
fn open<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    ghcb: &mut Ghcb,
    guest: &mut Guest<S>,
    ranges: &[GpaRange],
) -> Result<(), Fatal> {
    let usable = ranges
        .iter()
        .all(|range| range.is_aligned(PageSize::Size4K) && guest.memory.is_guest(*range));
    if !usable {
        return Err(Fatal::new(RampartReason::FirmwareMetadataMalformed));
    }
    let pages = ranges
        .iter()
        .flat_map(|range| range.pages(PageSize::Size2M));
    psc::change(platform, ghcb, pages, PscOperation::PRIVATE)?;
    ranges
        .iter()
        .try_for_each(|range| accept_range(platform, &mut guest.pages, guest.policy, *range))
}

/// Reads the image's tables from a copy of its end.
fn read_image<P: GuestMemory + ?Sized>(
    platform: &mut P,
    rom: GpaRange,
) -> Result<GuestImage, Fatal> {
    let malformed = Fatal::new(RampartReason::FirmwareMetadataMalformed);
    let start = rom.end().get().checked_sub(TAIL as u64).ok_or(malformed)?;
    if start < rom.start().get() {
        return Err(malformed);
    }
    let mut tail = [0; TAIL];
    platform.read(Gpa::new(start), &mut tail)?;
    Ok(GuestImage::parse(&tail)?)
}

/// Opens what the image asks for. A section on memory that is valid already is
/// refused there (threat 5): the ROM, or the firmware's own.
fn open_sections<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    ghcb: &mut Ghcb,
    guest: &mut Guest<S>,
    image: &GuestImage,
) -> Result<(), Fatal> {
    open(platform, ghcb, guest, image.sections.as_slice())
}

/// Writes the pages that the guest firmware finds its surroundings in. The calling
/// area stays as it was opened: zero.
fn write_pages<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    guest: &Guest<S>,
    image: &GuestImage,
    inputs: &Inputs<'_>,
) -> Result<(), Fatal> {
    // The keys of the levels above the guest's are not in the copy (threat 53).
    let secrets = inputs.secrets.for_guest(
        guest.policy.guest,
        inputs.firmware.start().get(),
        inputs.firmware.len(),
        image.calling_area.get(),
    );
    platform.write(image.secrets, secrets.as_bytes())?;
    platform.write(image.cpuid, inputs.cpuid.page().as_bytes())?;
    match image.parameters {
        Some(parameters) => write_parameters(platform, guest, parameters, inputs.vp_count),
        None => Ok(()),
    }
}

fn write_parameters<P: GuestMemory + ?Sized, S: MapStorage>(
    platform: &mut P,
    guest: &Guest<S>,
    parameters: Parameters,
    vp_count: u32,
) -> Result<(), Fatal> {
    let map = guest.memory.for_guest()?;
    let used = map.iter().take_while(|entry| !entry.is_end()).count();
    let entries = map.get(..used).ok_or(Fatal::INTERNAL)?.as_bytes();
    if entries.len() as u64 > parameters.memory_map.len() {
        return Err(MapError::TooFragmented.into());
    }
    platform.write(parameters.memory_map.start(), entries)?;
    platform.write(
        parameters.vp_count.start(),
        VpCount::new(vp_count).as_bytes(),
    )?;
    Ok(())
}

/// Gives the guest its memory: everything that was opened, now that it is filled.
fn grant<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    guest: &Guest<S>,
    image: &GuestImage,
    rom: GpaRange,
) -> Result<(), Fatal> {
    grant_range(platform, guest.policy, rom)?;
    image
        .sections
        .iter()
        .try_for_each(|range| grant_range(platform, guest.policy, range))
}

/// Makes the boot processor's VMSA in a page of the firmware's own, which the
/// guest can neither read nor name, and tells the host to use it.
fn start_vcpu<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    ghcb: &mut Ghcb,
    guest: &mut Guest<S>,
    image: &GuestImage,
    inputs: &Inputs<'_>,
) -> Result<Vcpu, Fatal> {
    let page = inputs.vmsa;
    let suitable = page.size() == PageSize::Size4K
        && !page.gpa().is_aligned(PageSize::Size2M)
        && inputs.firmware.contains_range(page.range());
    if !suitable {
        return Err(Fatal::INTERNAL);
    }
    let features = SevFeatures::from_bits_retain(guest.sev_features);
    let level = guest.policy.guest;
    platform.zero(page)?;
    platform.write(page.gpa(), Vmsa::reset_vector(level, features).as_bytes())?;
    seal_vmsa(platform, page)?;
    let vcpu = Vcpu {
        vmsa: page.gpa(),
        calling_area: image.calling_area,
        apic_id: inputs.cpuid.apic_id(),
        startup: true,
    };
    guest.vcpus.register(vcpu).map_err(|_| Fatal::INTERNAL)?;
    ghcb_client::create_vcpu(platform, ghcb, vcpu.apic_id, level, vcpu.vmsa, features)?;
    Ok(vcpu)
}

#[cfg(test)]
mod tests;
