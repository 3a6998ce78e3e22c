//! The way to the secure processor, opened at boot: the pages for it, VMPL0's key, and the
//! firmware's own report.

use alloc::boxed::Box;

use monitor::fatal::Fatal;
use monitor::guest_message::{Channel, ChannelError};
use monitor::keys::may_hold_keys;
use monitor::svsm::attestation::Attestation;
use protocols::ghcb::{Ghcb, RampartReason};
use protocols::snp::Vmpl;

use crate::console::log;
use crate::ghcb::Transport;
use crate::mm::message_pages::{Messages, take_key};
use crate::mm::space::KernelSpace;

/// The service of attestation, and what it has found out.
pub(crate) struct OpenAttestation {
    /// The service. It may be that it has lost its key already.
    pub service: Attestation,
    /// If the firmware may hold keys for the guest (threat 60): the ID of its own report, another one
    /// at each launch.
    pub keys_for: Option<[u8; 32]>,
}

/// Opens the channel and reads the firmware's own report. The log says why no keys are held. `guest`
/// is the guest's level.
///
/// # Errors
/// [`Fatal`] when the host does not play along, or memory is short.
#[inline(never)]
pub(crate) fn open(
    ghcb: &mut Ghcb,
    space: &mut KernelSpace,
    guest: Vmpl,
) -> Result<OpenAttestation, Fatal> {
    let out_of_memory = |_| Fatal::new(RampartReason::OutOfMemory);
    let pages = Box::new(Messages::share(space, ghcb)?);
    let channel = take_key(space, guest, |key| Channel::new(key, Vmpl::VMPL0, pages))?
        .map_err(out_of_memory)?;
    let mut service = Attestation::new(channel).map_err(out_of_memory)?;
    let keys_for = read_own_report(&mut service)?;
    Ok(OpenAttestation { service, keys_for })
}

#[inline(never)]
fn read_own_report(service: &mut Attestation) -> Result<Option<[u8; 32]>, Fatal> {
    match service.own_report(&mut Transport) {
        Ok(report) => {
            let allowed = may_hold_keys(report);
            log!(
                "own report: version {}, policy {:#x}",
                report.version,
                report.policy
            );
            if let Err(refused) = allowed {
                log!("no keys are held: {refused}");
            }
            Ok(allowed.is_ok().then_some(report.report_id))
        }
        Err(ChannelError::Fatal(fatal)) => Err(fatal),
        Err(error) => {
            log!("no keys are held, for want of an own report: {error}");
            Ok(None)
        }
    }
}
