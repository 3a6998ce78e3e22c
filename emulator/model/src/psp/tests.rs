//! The known message was encrypted by OpenSSL, not by this crate.

mod keys;
mod misuse;
mod reports;
mod witness;

use super::chip::{Config, Processor, ReportVersion};
use super::guest::{IdBlock, SecureTsc};
use super::*;
use alloc::format;
use alloc::vec::Vec;
use protocols::snp::{FirmwareVersion, GuestPolicy, PlatformInfo, TcbVersion};
use zerocopy::FromBytes;

const TCB: TcbVersion = TcbVersion(0xd516_0000_0000_0004);
const NEWER: TcbVersion = TcbVersion(0xd617_0000_0000_0004);

fn chip() -> Chip {
    Chip {
        secret: [0x5e; 48],
        id: core::array::from_fn(|at| at as u8 + 1),
        processor: Processor {
            family: 0x19,
            model: 1,
            stepping: 2,
        },
        platform: PlatformInfo::from_bits_retain(0xff),
        current_tcb: NEWER,
        committed_tcb: TCB,
        current: version(29),
        committed: version(21),
        mit_vector: 0b1111,
        report_version: ReportVersion::V5,
        config: Config::default(),
    }
}

fn version(build: u8) -> FirmwareVersion {
    FirmwareVersion {
        build,
        minor: 55,
        major: 1,
        reserved: 0,
    }
}

fn guest() -> Guest {
    Guest {
        policy: GuestPolicy::MUST_BE_ONE | GuestPolicy::SMT,
        measurement: [0x33; 48],
        id_block: Some(IdBlock {
            guest_svn: 7,
            family_id: [0xfa; 16],
            image_id: [0x1a; 16],
            id_key_digest: [0x1d; 48],
            author_key_digest: None,
        }),
        host_data: [0x40; 32],
        report_id: [0x1e; 32],
        launch_tcb: TCB,
        launch_mit_vector: 0b0111,
        secure_tsc: None,
    }
}

fn key_of(vmpl: Vmpl) -> Vmpck {
    [0xc0 + vmpl.get(); 32]
}

fn processor() -> SecureProcessor {
    with(chip(), guest())
}

fn with(chip: Chip, guest: Guest) -> SecureProcessor {
    SecureProcessor::new(chip, guest, Vmpl::ALL.map(key_of))
}

/// A message as a guest makes it, with the number that is due.
fn request(psp: &SecureProcessor, vmpl: Vmpl, kind: MessageType, version: u8, of: &[u8]) -> Page {
    numbered(psp.count(vmpl) + 1, vmpl, kind, version, of)
}

fn numbered(sequence: u64, vmpl: Vmpl, kind: MessageType, version: u8, of: &[u8]) -> Page {
    let info = GuestMessageInfo::new(kind, version, of.len() as u16, vmpl);
    let mut page = [0; size_of::<Page>()];
    message::seal(&key_of(vmpl), sequence, info, of, &mut page).unwrap();
    page
}

/// Sends a request and opens its answer, as a guest does that checks everything.
fn ask(
    psp: &mut SecureProcessor,
    vmpl: Vmpl,
    kind: MessageType,
    version: u8,
    of: &[u8],
) -> Result<Vec<u8>, FirmwareStatus> {
    let sequence = psp.count(vmpl) + 1;
    let page = numbered(sequence, vmpl, kind, version, of);
    let mut response = [0xee; size_of::<Page>()];
    let status = psp.guest_request(&page, &mut response);
    if status != FirmwareStatus::SUCCESS {
        assert_eq!(response, [0xee; size_of::<Page>()]);
        return Err(status);
    }
    let header = message::header(&response);
    let payload = message::open(&key_of(vmpl), &mut response).unwrap();
    let size = payload.len() as u16;
    assert_eq!(header.sequence, sequence + 1);
    assert_eq!(
        header.info,
        GuestMessageInfo::new(kind.answer(), version, size, vmpl)
    );
    Ok(payload.to_vec())
}

fn report_request(vmpl: u32) -> ReportRequest {
    let mut request = ReportRequest::new_zeroed();
    request.report_data = core::array::from_fn(|at| at as u8 ^ 0xa5);
    request.vmpl = vmpl;
    request
}

fn ask_report(psp: &mut SecureProcessor, own: Vmpl, request: &ReportRequest) -> ReportResponse {
    let bytes = ask(psp, own, MessageType::REPORT_REQ, 1, request.as_bytes()).unwrap();
    ReportResponse::read_from_bytes(&bytes).unwrap()
}

fn ask_key(psp: &mut SecureProcessor, own: Vmpl, version: u8, of: &KeyRequest) -> KeyResponse {
    let of = match version {
        1 => &of.as_bytes()[..KeyRequest::SIZE_V1],
        _ => of.as_bytes(),
    };
    let bytes = ask(psp, own, MessageType::KEY_REQ, version, of).unwrap();
    KeyResponse::read_from_bytes(&bytes).unwrap()
}

#[test]
fn every_level_has_a_conversation_of_its_own() {
    let mut psp = processor();
    for round in 0..3u64 {
        for vmpl in Vmpl::ALL {
            assert_eq!(psp.count(vmpl), 2 * round);
            let response = ask_report(&mut psp, vmpl, &report_request(vmpl.get().into()));
            assert_eq!(response.status, FirmwareStatus::SUCCESS);
            assert_eq!(psp.count(vmpl), 2 * round + 2);
        }
    }
}

#[test]
fn a_message_is_what_another_implementation_encrypts() {
    let page = numbered(
        0x0102,
        Vmpl::VMPL2,
        MessageType::TSC_INFO_REQ,
        1,
        b"rampart",
    );
    assert_eq!(page[..16], KNOWN_TAG);
    assert_eq!(page[16..0x20], [0; 16]);
    assert_eq!(page[0x60..0x67], KNOWN_CIPHERTEXT);
    assert_eq!(page[0x67..], [0; 4096 - 0x67]);
    let mut opened = page;
    assert_eq!(
        message::open(&key_of(Vmpl::VMPL2), &mut opened),
        Ok(&b"rampart"[..])
    );
}

#[test]
fn the_secure_tsc_is_told_to_a_guest_that_has_one() {
    let mut psp = processor();
    let none = TscInfoRequest::new_zeroed();
    let tell = |psp: &mut SecureProcessor, of: &TscInfoRequest| {
        let bytes = ask(
            psp,
            Vmpl::VMPL1,
            MessageType::TSC_INFO_REQ,
            1,
            of.as_bytes(),
        )
        .unwrap();
        TscInfoResponse::read_from_bytes(&bytes).unwrap()
    };
    assert_eq!(
        tell(&mut psp, &none),
        TscInfoResponse::refused(FirmwareStatus::UNSUPPORTED)
    );
    psp.guest.secure_tsc = Some(SecureTsc {
        scale: 1 << 32,
        offset: 0x1234,
        factor: 50,
    });
    let told = tell(&mut psp, &none);
    assert_eq!(told.status, FirmwareStatus::SUCCESS);
    assert_eq!(
        (told.tsc_scale, told.tsc_offset, told.tsc_factor),
        (1 << 32, 0x1234, 50)
    );
    let mut not_zero = none;
    not_zero.reserved[127] = 1;
    assert_eq!(
        tell(&mut psp, &not_zero),
        TscInfoResponse::refused(FirmwareStatus::INVALID_PARAM)
    );
}

#[test]
fn no_key_is_printed() {
    let text = format!("{:?} {:?}", processor(), chip());
    for secret in [0x5e, 0xc0, 0xc1, 0xc2, 0xc3] {
        assert!(!text.contains(&format!("{secret}, {secret}")), "{text}");
    }
}

const KNOWN_CIPHERTEXT: [u8; 7] = [0x56, 0xa9, 0x8b, 0x71, 0x21, 0x36, 0xe6];
const KNOWN_TAG: [u8; 16] = [
    0x58, 0x13, 0x5c, 0x65, 0x2a, 0x4f, 0x26, 0x18, 0xa4, 0x45, 0xdb, 0x1c, 0x4f, 0x4f, 0xa3, 0x5f,
];
