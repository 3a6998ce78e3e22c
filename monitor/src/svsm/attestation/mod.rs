//! Protocol 1, attestation, version 1: reports of VMPL0 over the guest's nonce and what the services
//! say of themselves.

use alloc::boxed::Box;

use protocols::snp::{AttestationReport, GuestFields, ReportResponse};
use protocols::svsm::{AttestationCall, ResultCode};
use zerocopy::FromZeros;
use zeroize::Zeroizing;

use super::request::Arguments;
use crate::error::CallError;
use crate::guest_message::{Channel, ChannelError};
use crate::platform::{Host, MapStorage, Platform};
use crate::shared::Shared;
use crate::sync::Lock;
use crate::vcpu::OutOfMemory;

/// The service: VMPL0's channel to the secure processor, and room for what comes back.
#[derive(Debug)]
pub struct Attestation {
    channel: Channel,
    answer: Box<ReportResponse>,
}

impl Attestation {
    /// The service on a channel of VMPL0.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new(channel: Channel) -> Result<Self, OutOfMemory> {
        Ok(Self {
            channel,
            answer: ReportResponse::new_box_zeroed().map_err(|_| OutOfMemory)?,
        })
    }

    /// The firmware's own report, over zeros. It is handed out to nobody: it says what the firmware
    /// was launched with ([`keys`](crate::keys)).
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn own_report<H: Host + ?Sized>(
        &mut self,
        host: &mut H,
    ) -> Result<&AttestationReport, ChannelError> {
        self.channel
            .report(host, &[0; 64], None, &mut self.answer)?;
        Ok(&self.answer.report)
    }

    /// A key that the chip derives for VMPL0; see [`Channel::derived_key`].
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn derived_key<H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        fields: GuestFields,
    ) -> Result<Zeroizing<[u8; 32]>, ChannelError> {
        self.channel.derived_key(host, fields)
    }
}

/// Serves a call of the attestation protocol.
///
/// # Errors
/// The result for the guest, or the end of the virtual machine.
pub(crate) fn call<P: Platform + ?Sized, S: MapStorage>(
    _shared: &Shared<S>,
    _platform: &mut P,
    _attestation: &Lock<Attestation>,
    _call: AttestationCall,
    _arguments: &mut Arguments,
) -> Result<(), CallError> {
    Err(ResultCode::UNSUPPORTED_CALL.into())
}
