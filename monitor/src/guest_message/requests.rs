//! What VMPL0 asks the secure processor for.

use protocols::snp::{
    AttestationReport, FirmwareStatus, GuestFields, KeyRequest, KeyResponse, KeySelect,
    MessageType, ReportRequest, ReportResponse,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};
use zeroize::{Zeroize, Zeroizing};

use super::{Channel, ChannelError};
use crate::platform::{CERTIFICATE_BYTES, Host};

/// Version of the messages' formats.
const VERSION: u8 = 1;

/// Bytes of a derived key.
const DERIVED_KEY_SIZE: usize = 32;

impl Channel {
    /// A report of this level over `report_data`, into `answer`. With `certificates` the host is
    /// asked for them too; what it hands out is in there, and `true` is returned.
    ///
    /// # Errors
    /// [`ChannelError`]. [`Senseless`](ChannelError::Senseless) when the report is another than was
    /// asked for.
    pub(crate) fn report<H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        report_data: &[u8; 64],
        certificates: Option<&mut [u8; CERTIFICATE_BYTES]>,
        answer: &mut ReportResponse,
    ) -> Result<bool, ChannelError> {
        let mut request = ReportRequest::new_zeroed();
        request.report_data = *report_data;
        request.vmpl = self.vmpl.get().into();
        let kind = (MessageType::REPORT_REQ, VERSION);
        let handed_out = self.ask(host, kind, &request, certificates.is_some(), answer)?;
        accepted(answer.status)?;
        let report = &answer.report;
        let is_ours = answer.size as usize == size_of::<AttestationReport>()
            && report.report_data == *report_data
            && report.vmpl == request.vmpl;
        if !is_ours {
            return Err(ChannelError::Senseless);
        }
        if let Some(to) = certificates.filter(|_| handed_out) {
            self.pages.read_certificates(to);
        }
        Ok(handed_out)
    }

    /// A key that the chip derives for this level from the VCEK's root and `fields`: the same for
    /// the same guest on the same chip. The versions that could be selected are 0.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn derived_key<H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        fields: GuestFields,
    ) -> Result<Zeroizing<[u8; DERIVED_KEY_SIZE]>, ChannelError> {
        let mut request = KeyRequest::new_zeroed();
        request.root_key_select = KeySelect::VCEK.0 << 1;
        request.fields = fields.bits();
        request.vmpl = self.vmpl.get().into();
        let (request, _) = <[u8; KeyRequest::SIZE_V1]>::read_from_prefix(request.as_bytes())
            .map_err(|_| ChannelError::INTERNAL)?;
        let mut answer = KeyResponse::refused(FirmwareStatus::INVALID_KEY);
        let kind = (MessageType::KEY_REQ, VERSION);
        self.ask(host, kind, &request, false, &mut answer)?;
        accepted(answer.status)?;
        let key = Zeroizing::new(answer.key);
        answer.key.zeroize();
        if *key == [0; DERIVED_KEY_SIZE] {
            return Err(ChannelError::Senseless);
        }
        Ok(key)
    }
}

fn accepted(status: FirmwareStatus) -> Result<(), ChannelError> {
    match status {
        FirmwareStatus::SUCCESS => Ok(()),
        refused => Err(ChannelError::Refused(refused)),
    }
}
