//! What the guest orders, copied once and checked; and where it goes, which is looked at again
//! before anything is written.

use protocols::addr::GpaRange;
use protocols::ovmf::Guid;
use protocols::snp::AttestationReport;
use protocols::svsm::{
    ATTEST_REQUEST_ALIGN, AttestBuffer, AttestServices, AttestSingleService, AttestationCall,
    ResultCode,
};
use zerocopy::{FromZeros, IntoBytes};

use crate::error::CallError;
use crate::guest::Guest;
use crate::platform::{CERTIFICATE_BYTES, MapStorage, Platform};
use crate::svsm::request::Arguments;

/// Bytes of a nonce: neither fewer nor more, as Linux has it.
///
/// REPORT_DATA is a digest of the nonce and, right behind it, the manifest. Were the nonce's length
/// the guest's choice, the end of a nonce could pass for the head of a manifest (threat 56).
pub(super) const NONCE: usize = 64;
/// Bytes of a report.
const REPORT: usize = size_of::<AttestationReport>();

/// A request.
pub(super) struct Order {
    services: AttestServices,
    /// The one service that is asked for, and the version of its manifest.
    pub(super) service: Option<(Guid, u32)>,
    /// What makes the report fresh.
    pub(super) nonce: [u8; NONCE],
}

/// Where the answers go.
pub(super) struct Places {
    pub(super) report: GpaRange,
    pub(super) manifest: GpaRange,
    /// `None` when there are none to be written.
    pub(super) certificates: Option<GpaRange>,
}

/// How long the answers are.
#[derive(Clone, Copy)]
pub(super) struct Lengths {
    manifest: usize,
    /// `None` as long as the host has not said.
    pub(super) certificates: Option<usize>,
}

impl Lengths {
    pub(super) const fn new(manifest: usize) -> Self {
        Self {
            manifest,
            certificates: None,
        }
    }

    /// Puts them where the guest looks for them.
    pub(super) fn tell(self, arguments: &mut Arguments) {
        arguments.rcx = self.manifest as u64;
        if let Some(len) = self.certificates {
            arguments.rdx = len as u64;
        }
        arguments.r8 = REPORT as u64;
    }
}

impl Order {
    /// Copies the request and its nonce.
    ///
    /// # Errors
    /// UNSUPPORTED_CALL; INVALID_PARAMETER for a request or nonce that crosses a page's end or has a
    /// wrong form; INVALID_ADDRESS where they may not be.
    pub(super) fn copy<P: Platform + ?Sized, S: MapStorage>(
        guest: &Guest<S>,
        platform: &mut P,
        call: AttestationCall,
        gpa: u64,
    ) -> Result<Self, CallError> {
        let invalid = CallError::Result(ResultCode::INVALID_PARAMETER);
        let mut request = AttestSingleService::new_zeroed();
        let single = match call {
            AttestationCall::SERVICES => false,
            AttestationCall::SINGLE_SERVICE => true,
            _ => return Err(ResultCode::UNSUPPORTED_CALL.into()),
        };
        let bytes = match single {
            false => request.services.as_mut_bytes(),
            true => request.as_mut_bytes(),
        };
        if !gpa.is_multiple_of(ATTEST_REQUEST_ALIGN) {
            return Err(invalid);
        }
        let place = guest.check_structure(gpa, bytes.len() as u64)?;
        platform.read(place.start(), bytes)?;
        let services = request.services;
        let well_formed = services.is_well_formed()
            && request.reserved == 0
            && usize::from(services.nonce.size) == NONCE;
        if !well_formed {
            return Err(invalid);
        }
        let mut nonce = [0; NONCE];
        let place = guest.check_structure(services.nonce.gpa, NONCE as u64)?;
        platform.read(place.start(), &mut nonce)?;
        Ok(Self {
            services,
            service: single.then_some((request.service, request.manifest_version)),
            nonce,
        })
    }

    /// Whether the guest wants certificates.
    pub(super) fn wants_certificates(&self) -> bool {
        self.services.certificates.size != 0
    }

    /// Whether everything fits, as far as it is known.
    ///
    /// # Errors
    /// INVALID_PARAMETER when a buffer is too small; the lengths are told then.
    pub(super) fn fit(
        &self,
        lengths: Lengths,
        arguments: &mut Arguments,
    ) -> Result<(), ResultCode> {
        let fits = |buffer: AttestBuffer, len: usize| buffer.size as usize >= len;
        let all_fit = fits(self.services.report, REPORT)
            && fits(self.services.manifest, lengths.manifest)
            && lengths
                .certificates
                .is_none_or(|len| fits(self.services.certificates, len));
        match all_fit {
            true => Ok(()),
            false => {
                lengths.tell(arguments);
                Err(ResultCode::INVALID_PARAMETER)
            }
        }
    }

    /// Where what has these lengths goes. As long as the certificates' is not known, they may take
    /// as much room as there is for them.
    ///
    /// # Errors
    /// INVALID_PARAMETER for a buffer that is misaligned or too small; INVALID_ADDRESS for one where
    /// the guest has no ordinary memory.
    pub(super) fn places<S: MapStorage>(
        &self,
        guest: &Guest<S>,
        lengths: Lengths,
    ) -> Result<Places, ResultCode> {
        let room = CERTIFICATE_BYTES.min(self.services.certificates.size as usize);
        let place = |buffer: AttestBuffer, len: usize| {
            guest.check_buffer(buffer.gpa, buffer.size.into(), len as u64)
        };
        Ok(Places {
            report: place(self.services.report, REPORT)?,
            manifest: place(self.services.manifest, lengths.manifest)?,
            certificates: match lengths.certificates.unwrap_or(room) {
                0 => None,
                len => Some(place(self.services.certificates, len)?),
            },
        })
    }
}

/// Writes pieces, one after the other, to a place that is as long.
pub(super) fn write<P: Platform + ?Sized>(
    platform: &mut P,
    place: GpaRange,
    pieces: &[&[u8]],
) -> Result<(), CallError> {
    let mut at = place.start();
    for piece in pieces {
        platform.write(at, piece)?;
        at = at
            .checked_add(piece.len() as u64)
            .ok_or(ResultCode::INVALID_ADDRESS)?;
    }
    Ok(())
}
