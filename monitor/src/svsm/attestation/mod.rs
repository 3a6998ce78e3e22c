//! Protocol 1, attestation, version 1: reports of VMPL0 over the guest's nonce and what the services
//! say of themselves.
//!
//! A request is copied and every buffer that it names is checked before the secure processor is
//! asked. Meanwhile only the service is held, so other vCPUs go on and may change their memory; the
//! buffers are checked again with the guest's state held, and then all is written or nothing.

mod manifest;
mod request;

use alloc::boxed::Box;

use protocols::snp::{AttestationReport, GuestFields, ReportResponse, table_len};
use protocols::svsm::{AttestationCall, ResultCode};
use sha2::{Digest, Sha512};
use zerocopy::{FromZeros, IntoBytes};
use zeroize::Zeroizing;

use super::request::Arguments;
use crate::error::CallError;
use crate::guest_message::{Channel, ChannelError};
use crate::platform::{CERTIFICATE_BYTES, Host, Log, MapStorage, Platform};
use crate::shared::Shared;
use crate::sync::Lock;
use crate::vcpu::OutOfMemory;
use manifest::Manifest;
use request::{Lengths, Order, write};

/// The service: VMPL0's channel to the secure processor, and room for what comes back.
#[derive(Debug)]
pub struct Attestation {
    channel: Channel,
    answer: Box<ReportResponse>,
    certificates: Box<[u8; CERTIFICATE_BYTES]>,
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
            certificates: <[u8; CERTIFICATE_BYTES]>::new_box_zeroed().map_err(|_| OutOfMemory)?,
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

    /// A report over `data`, left in `answer`, and if they are wanted the host's certificates. Says
    /// how many bytes of them there are.
    fn report<P: Host + Log + ?Sized>(
        &mut self,
        platform: &mut P,
        data: &[u8; 64],
        wanted: bool,
    ) -> Result<usize, CallError> {
        let certificates = wanted.then_some(&mut *self.certificates);
        let report = self
            .channel
            .report(platform, data, certificates, &mut self.answer);
        let handed_out = report.map_err(|error| failed(platform, error))?;
        // A table that names bytes which are not there is none at all (threat 55). What the
        // certificates say is the verifier's business.
        let len = table_len(&*self.certificates);
        Ok(len.ok().filter(|_| handed_out).unwrap_or_default())
    }
}

/// What the guest is told when there is no report, and the log when it is news.
fn failed<L: Log + ?Sized>(platform: &mut L, error: ChannelError) -> CallError {
    match error {
        ChannelError::Fatal(fatal) => fatal.into(),
        ChannelError::Closed => ResultCode::ATTESTATION_NO_KEY.into(),
        ChannelError::Busy => ResultCode::ATTESTATION_HOST_BUSY.into(),
        ChannelError::Doubt(_) => {
            platform.log(format_args!("no attestation any more: {error}"));
            ResultCode::ATTESTATION_NO_KEY.into()
        }
        ChannelError::Refused(_) | ChannelError::Senseless => {
            ResultCode::ATTESTATION_REFUSED.into()
        }
    }
}

/// REPORT_DATA: who has the nonce and the manifest can tell.
fn report_data(nonce: &[u8], manifest: &Manifest<'_>) -> [u8; 64] {
    let mut digest = Sha512::new_with_prefix(nonce);
    for piece in manifest.pieces() {
        digest.update(piece);
    }
    digest.finalize().into()
}

/// Serves a call of the attestation protocol. RCX, RDX and R8 become the lengths of manifest,
/// certificates and report, also when a buffer is too small for them.
///
/// # Errors
/// The result for the guest, or the end of the virtual machine.
pub(crate) fn call<P: Platform + ?Sized, S: MapStorage>(
    shared: &Shared<S>,
    platform: &mut P,
    attestation: &Lock<Attestation>,
    call: AttestationCall,
    arguments: &mut Arguments,
) -> Result<(), CallError> {
    let (order, manifest, mut lengths) = {
        let guest = shared.lock();
        let order = Order::copy(&guest, platform, call, arguments.rcx)?;
        let services = shared.services();
        let manifest = match order.service {
            None => Manifest::of_all(services),
            Some((service, version)) => Manifest::of_one(services, service, version),
        };
        let manifest = manifest.ok_or(ResultCode::INVALID_PARAMETER)?;
        let lengths = Lengths::new(manifest.len());
        order.fit(lengths, arguments)?;
        let _ = order.places(&guest, lengths)?;
        (order, manifest, lengths)
    };
    let data = report_data(&order.nonce, &manifest);

    let mut service = attestation.lock();
    let found = service.report(platform, &data, order.wants_certificates())?;
    lengths.certificates = Some(found);
    order.fit(lengths, arguments)?;

    let guest = shared.lock();
    let places = order.places(&guest, lengths)?;
    write(platform, places.report, &[service.answer.report.as_bytes()])?;
    write(platform, places.manifest, &manifest.pieces())?;
    if let (Some(place), Some(table)) = (places.certificates, service.certificates.get(..found)) {
        write(platform, place, &[table])?;
    }
    lengths.tell(arguments);
    Ok(())
}

#[cfg(test)]
mod tests;
