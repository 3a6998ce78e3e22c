//! What is served beside the core protocol: made at boot, before the guest runs.

use alloc::vec::Vec;

use monitor::cpuid::CpuidTable;
use monitor::fatal::Fatal;
use monitor::guest_message::ChannelError;
use monitor::services::{Services, TpmService};
use monitor::sync::Lock;
use protocols::boot::layout::{MEMORY_MAP_PAGE, VP_COUNT_PAGE};
use protocols::boot::{ImageFlags, ImageHeader, MAX_ENTRIES_IN_PAGE, MemoryMapEntry, VpCount};
use protocols::snp::GuestFields;
use zerocopy::IntoBytes;
use zeroize::Zeroizing;

use crate::attestation::OpenAttestation;
use crate::console::log;
use crate::ghcb::Transport;
use crate::mm::hand_off::launched;
use crate::tpm::{self, Plan};

/// What the key from the secure processor is bound to: another image or another policy gets another
/// one, and so does another chip.
const IDENTITY: GuestFields = GuestFields::GUEST_POLICY.union(GuestFields::MEASUREMENT);

/// The services that the image's header asks for, as far as there can be any.
///
/// # Errors
/// [`Fatal`] when the host does not play along.
#[inline(never)]
pub(crate) fn make(
    cpuid: &CpuidTable,
    image: &ImageHeader,
    mut attestation: OpenAttestation,
) -> Result<Services, Fatal> {
    let wanted = image.image_flags().contains(ImageFlags::TPM);
    // Why no keys are held was said when it was found.
    let tpm = match attestation.keys_for.filter(|_| wanted) {
        Some(report_id) => make_tpm(cpuid, image, &mut attestation, &report_id)?,
        None => None,
    };
    Ok(Services {
        attestation: Some(Lock::new(attestation.service)),
        tpm,
    })
}

/// The TPM, if there can be one; the log says why not.
fn make_tpm(
    cpuid: &CpuidTable,
    image: &ImageHeader,
    attestation: &mut OpenAttestation,
    report_id: &[u8; 32],
) -> Result<Option<TpmService>, Fatal> {
    let key = match attestation.service.derived_key(&mut Transport, IDENTITY) {
        Ok(key) => key,
        Err(ChannelError::Fatal(fatal)) => return Err(fatal),
        Err(error) => {
            log!("no TPM, for want of a key of the secure processor: {error}");
            return Ok(None);
        }
    };
    let persistent = image
        .image_flags()
        .contains(ImageFlags::PERSISTENT_IDENTITY);
    let seed = persistent.then(|| tpm::endorsement_seed(&key));
    // The key is the same at each boot and unknown to the host, the report's ID the other way round.
    let mut secrets = Zeroizing::new([0; 64]);
    let (first, second) = secrets.split_at_mut(32);
    first.copy_from_slice(&*key);
    second.copy_from_slice(report_id);

    let memory_map = memory_map();
    let vp_count: VpCount = launched(VP_COUNT_PAGE).ok_or(Fatal::INTERNAL)?;
    let parameters: [(&[u8; 16], &[u8]); 2] = [
        (b"RampartMemoryMap", memory_map.as_bytes()),
        (b"RampartVpCount\0\0", vp_count.as_bytes()),
    ];
    let plan = Plan {
        secrets: &*secrets,
        seed: seed.as_deref(),
        measured: image.measured_into().map(|pcr| (pcr, &parameters[..])),
    };
    match tpm::make(cpuid, &plan) {
        Ok(service) => {
            let identity = if persistent { "the image's" } else { "a new" };
            log!("TPM with {identity} identity");
            Ok(Some(service))
        }
        Err(reason) => {
            log!("no TPM: {reason}");
            Ok(None)
        }
    }
}

/// The entries of the host's memory map that are used: up to the first of no pages.
fn memory_map() -> Vec<MemoryMapEntry> {
    let page: Option<[MemoryMapEntry; MAX_ENTRIES_IN_PAGE]> = launched(MEMORY_MAP_PAGE);
    page.iter()
        .flatten()
        .take_while(|entry| !entry.is_end())
        .copied()
        .collect()
}
