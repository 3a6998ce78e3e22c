//! Messages of the guest's own level to the secure processor, by the key in its secrets page. The
//! SVSM has no part in them but that it left the key there.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Tag};
use protocols::addr::PAGE_4K;
use protocols::boot::layout::GUEST_SECRETS_PAGE;
use protocols::ghcb::GuestRequestResult;
use protocols::snp::{
    AttestationReport, CertificateEntry, CertificateKind, FirmwareStatus, GUEST_MESSAGE_TAG,
    GuestMessageHeader, GuestMessageInfo, GuestPolicy, KeyRequest, KeyResponse, MessageType,
    ReportRequest, ReportResponse, SecretsPage, VMPCK_SIZE, Vmpl,
};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::arch::layout::MESSAGES;
use crate::arch::memory;
use crate::check::{Check, Failure, Outcome, check, holds, same};
use crate::console::println;
use crate::{host, svsm};

pub(crate) const CHECKS: &[Check] = &[
    check("guest_request/a report of the own level", report),
    check(
        "guest_request/a report of VMPL0 is refused",
        report_of_vmpl0,
    ),
    check(
        "guest_request/a message sent twice is answered once",
        replay,
    ),
    check(
        "guest_request/a message under another key's number is refused",
        other_key,
    ),
    check("guest_request/a derived key stays the same", derived_key),
    check("guest_request/certificates need room", certificates),
    check("guest_request/pages that are none", unusable_pages),
];

const REQUEST: u64 = MESSAGES;
const RESPONSE: u64 = MESSAGES + PAGE_4K;
const DATA: u64 = MESSAGES + 2 * PAGE_4K;

/// REPORT_DATA.
const NONCE: [u8; 64] = *b"Sixty-four bytes that come back in a report, and nowhere else...";

/// Sequence number of the last answer: the checks are the only ones who send messages.
static ANSWERED: AtomicU64 = AtomicU64::new(0);

fn cipher(level: Vmpl) -> Aes256Gcm {
    let keys = GUEST_SECRETS_PAGE + offset_of!(SecretsPage, vmpck) as u64;
    let key: [u8; VMPCK_SIZE] = memory::read(keys + level.index() as u64 * VMPCK_SIZE as u64);
    Aes256Gcm::new(&key.into())
}

/// Writes a message into the request page, encrypted with the key of the own level.
fn put<T: FromBytes + IntoBytes + Immutable>(
    sequence: u64,
    info: GuestMessageInfo,
    payload: &mut T,
) {
    let nonce = GuestMessageHeader::nonce(sequence).into();
    let body = payload.as_mut_bytes();
    let made = cipher(svsm::level()).encrypt_inout_detached(&nonce, info.as_bytes(), body.into());
    let mut header = GuestMessageHeader {
        tag: [0; 32],
        sequence,
        reserved_0x28: 0,
        info,
    };
    for (to, from) in header.tag.iter_mut().zip(made.into_iter().flatten()) {
        *to = from;
    }
    memory::write(REQUEST, &header);
    memory::write(REQUEST + size_of_val(&header) as u64, payload);
    memory::fill(RESPONSE, PAGE_4K, 0);
}

/// Reads the answer, if its tag is right and its header is the only one that it may have.
fn take<T: FromBytes + IntoBytes>(kind: MessageType) -> Result<T, Failure> {
    let level = svsm::level();
    let header: GuestMessageHeader = memory::read(RESPONSE);
    let mut payload: T = memory::read(RESPONSE + size_of_val(&header) as u64);
    let sequence = ANSWERED.load(Ordering::SeqCst) + 2;
    same("sequence number of the answer", header.sequence, sequence)?;
    let info = GuestMessageInfo::new(kind.answer(), 1, size_of::<T>() as u16, level);
    holds("header of the answer", header.info == info)?;
    let (tag, rest) = header.tag.split_at(GUEST_MESSAGE_TAG);
    holds(
        "rest of the tag is zero",
        rest.iter().all(|byte| *byte == 0),
    )?;
    let opened = Tag::try_from(tag).is_ok_and(|tag| {
        let nonce = GuestMessageHeader::nonce(sequence).into();
        let body = payload.as_mut_bytes().into();
        let cipher = cipher(level);
        let done = cipher.decrypt_inout_detached(&nonce, info.as_bytes(), body, &tag);
        done.is_ok()
    });
    holds("tag of the answer", opened)?;
    ANSWERED.store(sequence, Ordering::SeqCst);
    Ok(payload)
}

/// Exits for the message that lies in the request page.
fn send(want: GuestRequestResult, data: Option<(u64, u64)>) -> Result<Option<u64>, Failure> {
    let answer = host::guest_request(REQUEST, RESPONSE, data);
    let (result, pages) = answer.unwrap_or((GuestRequestResult(u64::MAX), None));
    same("result of the request", result.0, want.0)?;
    Ok(pages)
}

fn prepare<T: FromBytes + IntoBytes + Immutable>(kind: MessageType, payload: &mut T) {
    let info = GuestMessageInfo::new(kind, 1, size_of::<T>() as u16, svsm::level());
    put(ANSWERED.load(Ordering::SeqCst) + 1, info, payload);
}

fn report_request(vmpl: Vmpl) -> ReportRequest {
    let mut request = ReportRequest::new_zeroed();
    request.report_data = NONCE;
    request.vmpl = vmpl.get().into();
    request
}

const fn failed(status: FirmwareStatus) -> GuestRequestResult {
    GuestRequestResult::new(0, status.0)
}

#[inline(never)]
fn report() -> Outcome {
    let level = svsm::level();
    prepare(MessageType::REPORT_REQ, &mut report_request(level));
    send(GuestRequestResult::SUCCESS, None)?;
    let response: ReportResponse = take(MessageType::REPORT_REQ)?;
    let (version, policy) = (response.report.version, response.report.policy);
    println!("report of version {version}, policy {policy:#x}");
    is_ours(&response)
}

fn is_ours(response: &ReportResponse) -> Outcome {
    let report = &response.report;
    same("status", response.status.0, FirmwareStatus::SUCCESS.0)?;
    same("size", response.size, size_of::<AttestationReport>() as u32)?;
    holds("version", [2, 3, 5].contains(&report.version))?;
    same("level", report.vmpl, svsm::level().get())?;
    let policy = GuestPolicy::from_bits_retain(report.policy);
    holds("policy", policy.contains(GuestPolicy::MUST_BE_ONE))?;
    holds("report data", report.report_data == NONCE)?;
    holds("measurement", report.measurement != [0; 48])?;
    holds("signature", report.signature.r[..48] != [0; 48])
}

#[inline(never)]
fn report_of_vmpl0() -> Outcome {
    prepare(MessageType::REPORT_REQ, &mut report_request(Vmpl::VMPL0));
    send(GuestRequestResult::SUCCESS, None)?;
    let response: ReportResponse = take(MessageType::REPORT_REQ)?;
    let refused = ReportResponse::refused(FirmwareStatus::INVALID_PARAM);
    same("status", response.status.0, refused.status.0)?;
    holds("nothing else is in the answer", response == refused)
}

#[inline(never)]
fn replay() -> Outcome {
    prepare(MessageType::REPORT_REQ, &mut report_request(svsm::level()));
    send(GuestRequestResult::SUCCESS, None)?;
    let _first: ReportResponse = take(MessageType::REPORT_REQ)?;
    send(failed(FirmwareStatus::INVALID_PARAM), None)?;
    Ok(())
}

#[inline(never)]
fn other_key() -> Outcome {
    for level in Vmpl::ALL {
        if level == svsm::level() {
            continue;
        }
        // Numbers before the one that is due are refused for themselves: VMPL0 has used some.
        let mut due = None;
        for sequence in (1..64).step_by(2) {
            let mut request = report_request(Vmpl::VMPL3);
            let size = size_of_val(&request) as u16;
            let info = GuestMessageInfo::new(MessageType::REPORT_REQ, 1, size, level);
            put(sequence, info, &mut request);
            let (result, _) = host::guest_request(REQUEST, RESPONSE, None)
                .unwrap_or((GuestRequestResult(u64::MAX), None));
            if result == failed(FirmwareStatus::BAD_MEASUREMENT) {
                due = Some(sequence);
                break;
            }
            same("result", result.0, failed(FirmwareStatus::INVALID_PARAM).0)?;
        }
        let expected = level == Vmpl::VMPL0 || due == Some(1);
        holds("the number that is due", due.is_some() && expected)?;
    }
    Ok(())
}

/// One key, by a message of version 1.
#[inline(never)]
fn key(vmpl: u32) -> Result<KeyResponse, Failure> {
    let mut request = [0; KeyRequest::SIZE_V1];
    let at = offset_of!(KeyRequest, vmpl);
    request[at..at + 4].copy_from_slice(&vmpl.to_le_bytes());
    prepare(MessageType::KEY_REQ, &mut request);
    send(GuestRequestResult::SUCCESS, None)?;
    take(MessageType::KEY_REQ)
}

fn derived_key() -> Outcome {
    let [one, two] = [key(3)?, key(3)?];
    same("status", one.status.0, FirmwareStatus::SUCCESS.0)?;
    holds("there is a key", one.key != [0; 32])?;
    holds("the same key", one == two)?;
    let other = key(svsm::level().get().into())?;
    holds("another level's key", other.key != one.key)?;
    let refused = key(0)?;
    same(
        "status for VMPL0",
        refused.status.0,
        FirmwareStatus::INVALID_PARAM.0,
    )
}

#[inline(never)]
fn certificates() -> Outcome {
    prepare(MessageType::REPORT_REQ, &mut report_request(svsm::level()));
    let too_few = GuestRequestResult::new(GuestRequestResult::HOST_INVALID_LENGTH, 0);
    let needed = send(too_few, Some((DATA, 0)))?.unwrap_or_default();
    holds("so many pages are needed", (1..=4).contains(&needed))?;
    memory::fill(DATA, needed * PAGE_4K, u64::MAX);
    // The secure processor has not seen the message: it goes out as it is.
    send(GuestRequestResult::SUCCESS, Some((DATA, needed)))?;
    is_ours(&take(MessageType::REPORT_REQ)?)?;
    certificates_are_there(needed)
}

/// The table's first certificate lies in the pages, and is a sequence in DER.
fn certificates_are_there(pages: u64) -> Outcome {
    let entry: CertificateEntry = memory::read(DATA);
    holds(
        "the chip's certificate",
        entry.kind == CertificateKind::VCEK,
    )?;
    let (offset, length) = (u64::from(entry.offset), u64::from(entry.length));
    holds(
        "it is in the pages",
        length > 4 && offset + length <= pages * PAGE_4K,
    )?;
    let [tag, form, high, low]: [u8; 4] = memory::read(DATA + offset);
    same(
        "it is a sequence",
        u16::from_be_bytes([tag, form]),
        0x3082u16,
    )?;
    same(
        "its length",
        u64::from(u16::from_be_bytes([high, low])) + 4,
        length,
    )
}

#[inline(never)]
fn unusable_pages() -> Outcome {
    let malformed = |request, response, data| {
        holds(
            "it is malformed",
            host::guest_request(request, response, data).is_none(),
        )
    };
    malformed(REQUEST, REQUEST, None)?;
    malformed(REQUEST + 8, RESPONSE, None)?;
    malformed(REQUEST, RESPONSE + 1, None)?;
    malformed(REQUEST, GUEST_SECRETS_PAGE, None)?;
    malformed(u64::MAX - 0xfff, RESPONSE, None)?;
    malformed(REQUEST, RESPONSE, Some((GUEST_SECRETS_PAGE, 4)))?;
    malformed(REQUEST, RESPONSE, Some((DATA + 8, 4)))
}
