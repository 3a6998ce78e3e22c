//! The secure processor as a running guest sees it: it answers guest messages (SNP
//! firmware ABI, SNP_GUEST_REQUEST).
//!
//! A guest encrypts a request with the key of its level, the host hands it over as
//! it is, and the answer comes back the same way. The host can drop, repeat or swap
//! messages, and nothing else: [`message`] has the encryption, [`SecureProcessor`]
//! the sequence numbers. Reports are signed with ECDSA on P-384 ([`report`]), by a key
//! that [`chip`] derives as hardware does: from a secret of the chip and a TCB version.
//!
//! # What it answers
//!
//! MSG_REPORT_REQ, MSG_KEY_REQ and MSG_TSC_INFO_REQ. There is no migration agent and
//! no VLEK. Every other message is refused, MSG_CPUID_REQ as well, which this
//! secure processor does not have.
//!
//! # Where the ABI's public text leaves a choice (?)
//!
//! * A wrong sequence number is INVALID_PARAM, before the tag is looked at. That the
//!   number must be one more than the last is public (Linux, virt/coco/sev-guest.rst);
//!   which status says so is not, so no guest may rest on it.
//! * A message that is authentic but of an unknown type, version or size is
//!   INVALID_PARAM, and its sequence number is not used up.
//! * GUEST_SVN, TCB_VERSION and LAUNCH_MIT_VECTOR of MSG_KEY_REQ are checked whether
//!   they are selected or not.
//! * MSG_TSC_INFO_REQ without a secure TSC is answered UNSUPPORTED.
//! * How keys are derived is AMD's secret; [`derived_key`] says how it is done here.

pub mod chip;
pub mod derived_key;
pub mod emulated;
pub mod guest;
pub mod message;
pub mod report;
pub mod witness;

use alloc::boxed::Box;
use core::mem::size_of;

use protocols::snp::{
    FirmwareStatus, GuestMessageHeader, GuestMessageInfo, KeyRequest, KeyResponse, MessageType,
    ReportRequest, ReportResponse, TscInfoRequest, TscInfoResponse, VMPCK_SIZE, Vmpl,
};
use zerocopy::{FromZeros, IntoBytes, TryFromBytes};

use chip::Chip;
use guest::Guest;
use message::Page;

/// A VM platform communication key.
pub type Vmpck = [u8; VMPCK_SIZE];

/// The secure processor of one chip, with one guest.
pub struct SecureProcessor {
    chip: Chip,
    guest: Guest,
    keys: [Vmpck; Vmpl::COUNT],
    /// By key, the sequence number of the last answer.
    counts: [u64; Vmpl::COUNT],
}

/// A request that was refused as a whole: there is no answer, and the sequence
/// number is as it was.
type Refused = FirmwareStatus;

impl SecureProcessor {
    /// A secure processor that gave the guest these keys in its secrets page.
    pub fn new(chip: Chip, guest: Guest, keys: [Vmpck; Vmpl::COUNT]) -> Self {
        Self {
            chip,
            guest,
            keys,
            counts: [0; Vmpl::COUNT],
        }
    }

    /// The sequence number of the last answer under the key of a level.
    pub fn count(&self, vmpl: Vmpl) -> u64 {
        self.counts.get(vmpl.index()).copied().unwrap_or_default()
    }

    /// As if so many messages had been sent under the key of a level.
    pub fn set_count(&mut self, vmpl: Vmpl, count: u64) {
        if let Some(of_level) = self.counts.get_mut(vmpl.index()) {
            *of_level = count;
        }
    }

    /// SNP_GUEST_REQUEST: takes the message in `request` and leaves its answer in
    /// `response`, which changes only on success. A request that is answered may
    /// still have failed, by the status in its answer.
    pub fn guest_request(&mut self, request: &Page, response: &mut Page) -> FirmwareStatus {
        match self.answer(request) {
            Ok(page) => {
                *response = *page;
                FirmwareStatus::SUCCESS
            }
            Err(status) => status,
        }
    }

    fn answer(&mut self, request: &Page) -> Result<Box<Page>, Refused> {
        let header = message::header(request);
        let vmpl = Vmpl::new(header.info.vmpck).ok_or(FirmwareStatus::INVALID_PARAM)?;
        let count = self.count(vmpl);
        let expected = count.checked_add(1).ok_or(FirmwareStatus::AEAD_OFLOW)?;
        let next = count.checked_add(2).ok_or(FirmwareStatus::AEAD_OFLOW)?;
        let [key, ..] = self.keys.get(vmpl.index()..).unwrap_or_default() else {
            return Err(FirmwareStatus::INVALID_PARAM);
        };
        if !is_well_formed(&header) || header.sequence != expected {
            return Err(FirmwareStatus::INVALID_PARAM);
        }
        // Pages are large for the stacks of a machine without an operating system.
        let mut plain = Box::new(*request);
        let payload =
            message::open(key, &mut plain).map_err(|_| FirmwareStatus::BAD_MEASUREMENT)?;
        let (info, mut page) = (header.info, Box::new([0; size_of::<Page>()]));
        let answer = |bytes: &[u8], page: &mut Page| {
            let size = u16::try_from(bytes.len()).unwrap_or_default();
            let (kind, version) = (info.message_type.answer(), info.message_version);
            let info = GuestMessageInfo::new(kind, version, size, vmpl);
            message::seal(key, next, info, bytes, page).map_err(|_| FirmwareStatus::INVALID_PARAM)
        };
        match (info.message_type, info.message_version) {
            (MessageType::REPORT_REQ, 1) => {
                let response = self.report(vmpl, exactly(payload)?);
                answer(response.as_bytes(), &mut page)?;
            }
            (MessageType::KEY_REQ, version @ (1 | 2)) => {
                let response = self.derived_key(vmpl, version, key_request(version, payload)?);
                answer(response.as_bytes(), &mut page)?;
            }
            (MessageType::TSC_INFO_REQ, 1) => {
                let response = self.tsc_info(exactly(payload)?);
                answer(response.as_bytes(), &mut page)?;
            }
            _ => return Err(FirmwareStatus::INVALID_PARAM),
        }
        self.set_count(vmpl, next);
        Ok(page)
    }

    fn report(&self, vmpl: Vmpl, request: ReportRequest) -> ReportResponse {
        match report::make(&self.chip, &self.guest, vmpl, &request) {
            Ok(report) => ReportResponse {
                size: size_of_val(&report) as u32,
                report,
                ..ReportResponse::refused(FirmwareStatus::SUCCESS)
            },
            Err(status) => ReportResponse::refused(status),
        }
    }

    fn derived_key(&self, vmpl: Vmpl, version: u8, request: KeyRequest) -> KeyResponse {
        match derived_key::derive(&self.chip, &self.guest, vmpl, version, &request) {
            Ok(key) => KeyResponse {
                key,
                ..KeyResponse::refused(FirmwareStatus::SUCCESS)
            },
            Err(status) => KeyResponse::refused(status),
        }
    }

    fn tsc_info(&self, request: TscInfoRequest) -> TscInfoResponse {
        if request != TscInfoRequest::new_zeroed() {
            return TscInfoResponse::refused(FirmwareStatus::INVALID_PARAM);
        }
        let Some(tsc) = self.guest.secure_tsc else {
            return TscInfoResponse::refused(FirmwareStatus::UNSUPPORTED);
        };
        TscInfoResponse {
            tsc_scale: tsc.scale,
            tsc_offset: tsc.offset,
            tsc_factor: tsc.factor,
            ..TscInfoResponse::refused(FirmwareStatus::SUCCESS)
        }
    }
}

/// Whether everything that has only one right value has it.
fn is_well_formed(header: &GuestMessageHeader) -> bool {
    let GuestMessageInfo {
        message_type,
        message_version,
        message_size,
        vmpck,
        ..
    } = header.info;
    let Some(vmpl) = Vmpl::new(vmpck) else {
        return false;
    };
    let only = GuestMessageInfo::new(message_type, message_version, message_size, vmpl);
    header.info == only && header.reserved_0x28 == 0
}

/// The payload as a structure, if it has its size.
fn exactly<T: TryFromBytes>(payload: &[u8]) -> Result<T, Refused> {
    T::try_read_from_bytes(payload).map_err(|_| FirmwareStatus::INVALID_PARAM)
}

/// The shorter request of version 1 is one without mitigations.
fn key_request(version: u8, payload: &[u8]) -> Result<KeyRequest, Refused> {
    if version > 1 {
        return exactly(payload);
    }
    let short: [u8; KeyRequest::SIZE_V1] = exactly(payload)?;
    let mut request = KeyRequest::new_zeroed();
    for (to, from) in request.as_mut_bytes().iter_mut().zip(short) {
        *to = from;
    }
    Ok(request)
}

impl core::fmt::Debug for SecureProcessor {
    /// Leaves the keys out, as the real one would.
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("SecureProcessor")
            .field("guest", &self.guest)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
