//! The guest's launch: what the monitor needs of this kernel for it. The steps are kept apart from
//! their callers (`inline(never)`), so that their buffers do not add up on the boot stack.

use monitor::fatal::Fatal;
use monitor::guest::Guest;
use monitor::hashed_firmware;
use monitor::launch::{Inputs, launch as launch_guest};
use monitor::platform::GuestMemory;
use monitor::vcpu::Vcpu;
use protocols::addr::{GpaPage, GpaRange, PAGE_4K};
use protocols::boot::HandOff;
use protocols::boot::layout::SECRETS_PAGE;
use protocols::ghcb::{Ghcb, RampartReason};
use protocols::snp::SecretsPage;

use crate::boot::Memory;
use crate::console::log;
use crate::exception::CPUID;
use crate::mm::hand_off::{launched, launched_bytes};
use crate::mm::map_memory::MapMemory;
use crate::mm::transfer::Transfer;
use crate::platform::{self, KernelPlatform};
use crate::unpack::{Unpacked, unpack};

/// Places the guest firmware and makes its first vCPU, in a VMSA at `vmsa`. With `transfer` the host
/// gives the firmware.
#[inline(never)]
pub(crate) fn launch(
    platform: &mut KernelPlatform,
    ghcb: &mut Ghcb,
    guest: &mut Guest<MapMemory>,
    hand_off: &HandOff,
    memory: &Memory,
    vmsa: GpaPage,
    transfer: Option<Transfer>,
) -> Result<Vcpu, Fatal> {
    let cpuid = CPUID.get().ok_or(Fatal::INTERNAL)?;
    let secrets: SecretsPage =
        launched(SECRETS_PAGE).ok_or(Fatal::new(RampartReason::SecretsPageMalformed))?;
    let inputs = Inputs {
        rom: memory.rom,
        firmware: memory.firmware.whole,
        secrets: &secrets,
        cpuid,
        // As many as can be served, which may be fewer than the host has.
        vp_count: u32::try_from(guest.vcpus.count()).map_err(|_| Fatal::INTERNAL)?,
        vmsa,
    };
    let place = |platform: &mut KernelPlatform, ghcb: &mut Ghcb, rom| match transfer {
        Some(transfer) => fetch_firmware(platform, ghcb, transfer, hand_off, rom),
        None => unpack_firmware(platform, hand_off, rom),
    };
    let vcpu = launch_guest(platform, ghcb, guest, &inputs, place)?;
    log!(
        "guest firmware at {}, {} PVALIDATEs in all, guest at {}",
        memory.rom,
        platform::pvalidates(),
        guest.policy.guest
    );
    log!(
        "guest memory {} MiB, calling area {}, VMSA {}, APIC ID {}: starting it",
        guest.memory.total() >> 20,
        vcpu.calling_area,
        vcpu.vmsa,
        vcpu.apic_id
    );
    Ok(vcpu)
}

/// Gets the guest firmware from the host to its place, which no level below VMPL0 can reach yet, and
/// takes it if it is the one that the measured header names.
#[inline(never)]
fn fetch_firmware(
    platform: &mut KernelPlatform,
    ghcb: &mut Ghcb,
    mut transfer: Transfer,
    hand_off: &HandOff,
    rom: GpaRange,
) -> Result<(), Fatal> {
    let hash = &hand_off.image.firmware_sha384;
    let mut piece = [0; PAGE_4K as usize];
    hashed_firmware::place(platform, ghcb, &mut transfer, rom, hash, &mut piece)?;
    log!(
        "guest firmware from the host: {} KiB with the image's hash",
        rom.len() >> 10
    );
    Ok(())
}

/// Unpacks the guest firmware to its place, which no level below VMPL0 can reach yet.
#[inline(never)]
fn unpack_firmware(
    platform: &mut KernelPlatform,
    hand_off: &HandOff,
    rom: GpaRange,
) -> Result<(), Fatal> {
    let malformed = Fatal::new(RampartReason::FirmwarePayloadMalformed);
    let payload = hand_off.image.firmware;
    let packed = payload.range().and_then(launched_bytes).ok_or(malformed)?;
    let mut at = rom.start();
    let unpacked = unpack(packed, &mut |bytes: &[u8]| -> Result<(), Fatal> {
        let end = at.checked_add(bytes.len() as u64).ok_or(malformed)?;
        if end > rom.end() {
            return Err(malformed);
        }
        platform.write(at, bytes)?;
        at = end;
        Ok(())
    })?;
    match unpacked {
        // Exactly what the measured header says, or the reset vector is in the wrong place.
        Unpacked::Whole if at == rom.end() => Ok(()),
        Unpacked::OutOfMemory => Err(Fatal::new(RampartReason::OutOfMemory)),
        _ => Err(malformed),
    }
}
