//! Attestation reports (SNP firmware ABI, MSG_REPORT_REQ).

use p384::ecdsa::Signature;
use p384::ecdsa::signature::{Signer, Verifier};
use protocols::snp::{
    AttestationReport, FirmwareStatus, KeyInfo, KeySelect, PlatformInfo, ReportRequest,
    ReportSignature, SigningKey, Vmpl,
};
use zerocopy::FromZeros;

use super::chip::{Chip, ReportVersion};
use super::guest::Guest;

/// The level that a request names, if the holder of the key of `own` may name it:
/// its own or a less privileged one.
pub(super) fn level(own: Vmpl, named: u32) -> Option<Vmpl> {
    let named = Vmpl::new(u8::try_from(named).ok()?)?;
    (named >= own).then_some(named)
}

/// The report that the holder of the key of `own` gets.
///
/// # Errors
/// INVALID_PARAM for a level above its own or none, reserved bytes, or an unknown
/// key; INVALID_KEY for a VLEK, which is never loaded.
pub fn make(
    chip: &Chip,
    guest: &Guest,
    own: Vmpl,
    request: &ReportRequest,
) -> Result<AttestationReport, FirmwareStatus> {
    let vmpl = level(own, request.vmpl).ok_or(FirmwareStatus::INVALID_PARAM)?;
    if request.reserved != [0; 24] {
        return Err(FirmwareStatus::INVALID_PARAM);
    }
    match request.key_select {
        KeySelect::ANY | KeySelect::VCEK => {}
        KeySelect::VLEK => return Err(FirmwareStatus::INVALID_KEY),
        _ => return Err(FirmwareStatus::INVALID_PARAM),
    }
    let mut report = unsigned(chip, guest, vmpl, request.report_data);
    if !chip.config.mask_chip_key {
        report.signature = sign(chip, &report).ok_or(FirmwareStatus::INVALID_KEY)?;
    }
    Ok(report)
}

fn unsigned(chip: &Chip, guest: &Guest, vmpl: Vmpl, report_data: [u8; 64]) -> AttestationReport {
    let mut report = AttestationReport::new_zeroed();
    report.policy = guest.policy.bits();
    report.vmpl = vmpl.get().into();
    report.signature_algorithm = AttestationReport::ECDSA_P384_SHA384;
    report.current_tcb = chip.current_tcb;
    report.report_data = report_data;
    report.measurement = guest.measurement;
    report.host_data = guest.host_data;
    report.report_id = guest.report_id;
    // There is no migration agent.
    report.report_id_ma = [0xff; 32];
    report.reported_tcb = chip.reported_tcb();
    if !chip.config.mask_chip_id {
        report.chip_id = chip.id;
    }
    report.committed_tcb = chip.committed_tcb;
    report.current = chip.current;
    report.committed = chip.committed;
    report.launch_tcb = guest.launch_tcb;
    let author = guest.id_block.and_then(|block| block.author_key_digest);
    if let Some(block) = guest.id_block {
        report.guest_svn = block.guest_svn;
        report.family_id = block.family_id;
        report.image_id = block.image_id;
        report.id_key_digest = block.id_key_digest;
        report.author_key_digest = author.unwrap_or([0; 48]);
    }
    let (masked, key) = match chip.config.mask_chip_key {
        true => (KeyInfo::MASK_CHIP_KEY, SigningKey::NONE),
        false => (0, SigningKey::VCEK),
    };
    let author = author.map_or(0, |_| KeyInfo::AUTHOR_KEY_EN);
    report.key_info = KeyInfo::new(masked | author, key);
    fill_version(&mut report, chip, guest);
    report
}

/// What depends on the report's version.
fn fill_version(report: &mut AttestationReport, chip: &Chip, guest: &Guest) {
    let first = PlatformInfo::SMT_EN
        | PlatformInfo::TSME_EN
        | PlatformInfo::ECC_EN
        | PlatformInfo::RAPL_DIS
        | PlatformInfo::CIPHERTEXT_HIDING;
    let (version, platform) = match chip.report_version {
        ReportVersion::V2 => (2, first),
        ReportVersion::V3 => (3, first | PlatformInfo::ALIAS_CHECK_COMPLETE),
        ReportVersion::V5 => (
            5,
            first | PlatformInfo::ALIAS_CHECK_COMPLETE | PlatformInfo::TIO_EN,
        ),
    };
    report.version = version;
    report.platform_info = (chip.platform & platform).bits();
    if version >= 3 {
        report.cpuid_family = chip.processor.family;
        report.cpuid_model = chip.processor.model;
        report.cpuid_stepping = chip.processor.stepping;
    }
    if version >= 5 {
        report.launch_mit_vector = guest.launch_mit_vector;
        report.current_mit_vector = chip.mit_vector;
    }
}

/// A number as the ABI has it: little-endian.
pub(crate) fn little_endian(number: &[u8]) -> [u8; 72] {
    let mut out = [0; 72];
    for (to, from) in out.iter_mut().zip(number.iter().rev()) {
        *to = *from;
    }
    out
}

fn sign(chip: &Chip, report: &AttestationReport) -> Option<ReportSignature> {
    let signature: Signature = chip.vcek()?.try_sign(report.signed()).ok()?;
    let (r, s) = signature.split_bytes();
    Some(ReportSignature {
        r: little_endian(&r),
        s: little_endian(&s),
        reserved: [0; 368],
    })
}

/// The number in a field of the ABI, if it is one of P-384's size.
pub(crate) fn number(bytes: &[u8; 72]) -> Option<[u8; 48]> {
    let (number, zeros) = bytes.split_first_chunk::<48>()?;
    let mut number = *number;
    number.reverse();
    zeros.iter().all(|&byte| byte == 0).then_some(number)
}

/// The signature, if its numbers can be one's.
pub(crate) fn signature(from: &ReportSignature) -> Option<Signature> {
    number(&from.r)
        .zip(number(&from.s))
        .and_then(|(r, s)| Signature::from_scalars(r, s).ok())
}

/// Whether a report is signed by this key. It says nothing about whose key that is.
pub fn is_signed_by(report: &AttestationReport, key: &p384::ecdsa::VerifyingKey) -> bool {
    signature(&report.signature)
        .is_some_and(|signature| key.verify(report.signed(), &signature).is_ok())
}
