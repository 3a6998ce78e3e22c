//! Evidence made up in memory by the emulated machine's secure processor and the TPM of
//! this tree, and a list of ways to tamper with it, or with any other evidence of the
//! emulated machine. For tests.

mod log;
mod tamper;
mod tpm;

use der::DateTime;
use protocols::ovmf::Guid;
use protocols::snp::{
    AttestationReport, CertificateKind, GuestPolicy, ReportRequest, Vmpl, certificates,
};
use protocols::svsm::{GUID_EVENT_LOG, GUID_SERVICES_MANIFEST, GUID_VTPM_SERVICE};
use sha2::{Digest as _, Sha512};
use snp_model::psp::chip::{Chip, Processor, ReportVersion};
use snp_model::psp::emulated;
use snp_model::psp::guest::{Guest, IdBlock};
use snp_model::psp::report::make;
use vtpm::crypto::hash::HashAlg;
use vtpm::wire::{Marshal, Public, Tpm2bPublic, Unmarshal};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

pub use tamper::{TAMPERED, Tampered};
pub use tpm::{Maker, ak_attributes, ecdsa, rsa, signing};

use crate::challenge::{Challenge, NONCE, SECRET};
use crate::demands::Demands;
use crate::evidence::Evidence;
use crate::hex;

/// The launch digest of the made-up image.
pub const MEASUREMENT: [u8; 48] = [0x5a; 48];
/// SMT allowed, and the bit that has to be one.
pub const POLICY: u64 = 0x3_0000;

/// What a verifier of the emulated machine demands, at a fixed time.
pub fn demands() -> Demands {
    Demands {
        allow_test_root: true,
        now: DateTime::new(2026, 11, 22, 12, 0, 0).ok(),
        ..Demands::default()
    }
}

/// A services manifest with these services.
pub fn manifest(services: &[(Guid, &[u8])]) -> Vec<u8> {
    let mut offset = 24 + 24 * services.len();
    let size = offset + services.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    let mut out = GUID_SERVICES_MANIFEST.0.to_vec();
    out.extend((size as u32).to_le_bytes());
    out.extend((services.len() as u32).to_le_bytes());
    for (guid, bytes) in services {
        out.extend(guid.0);
        out.extend((offset as u32).to_le_bytes());
        out.extend((bytes.len() as u32).to_le_bytes());
        offset += bytes.len();
    }
    services.iter().for_each(|(_, bytes)| out.extend(*bytes));
    out
}

/// Genuine evidence of a guest with the TPM of a seed.
///
/// # Panics
/// When the TPM does not do what it is for.
pub fn evidence(seed: u64) -> Evidence {
    round(&mut Maker::new(seed))
}

/// Genuine evidence of firmware that measures the host's parameters first.
///
/// # Panics
/// When the TPM does not do what it is for.
pub fn evidence_with_parameters(seed: u64) -> Evidence {
    let mut maker = Maker::new(seed);
    let own = maker.measure_parameters();
    let mut evidence = round(&mut maker);
    let services = [
        (GUID_VTPM_SERVICE, &maker.ek.to_bytes()[..]),
        (GUID_EVENT_LOG, &own),
    ];
    evidence.manifest = Some(manifest(&services));
    bind(&mut evidence);
    evidence
}

/// Genuine evidence of one round with a TPM.
///
/// # Panics
/// When the TPM does not do what it is for.
pub fn round(maker: &mut Maker) -> Evidence {
    let (nonce, secret) = ([0x17; NONCE], [0x23; SECRET]);
    let (ek, ak) = (maker.ek.clone(), maker.ak.clone());
    let challenge = Challenge::make(&secret, &ek, &ak).expect("a challenge");
    let answer = maker.activate(&challenge.blob);
    let log = maker.boot();
    let mut evidence = Evidence {
        nonce: Some(nonce.to_vec()),
        manifest: Some(manifest(&[(GUID_VTPM_SERVICE, &ek.to_bytes())])),
        ek: Some(tpm::tpm2b(&ek)),
        ak: Some(tpm::tpm2b(&ak)),
        credential_blob: Some(challenge.blob),
        credential_secret: Some(secret.to_vec()),
        credential_answer: Some(answer),
        log: Some(log),
        expected: Some(
            format!(
                r#"{{"image": "made-up.igvm", "launch_digest": "{}", "policy": "{POLICY:#x}"}}"#,
                hex::all(&MEASUREMENT)
            )
            .into_bytes(),
        ),
        certs: Some(snp_certificates::chain().expect("the test chain").table()),
        ..Evidence::default()
    };
    quoted_again(&mut evidence, maker, &tpm::BANKS, 0..tpm::PCRS);
    let report = report_of(&snp_certificates::chip(), &guest(), Vmpl::VMPL0, [0; 64]);
    evidence.report = Some(report.as_bytes().to_vec());
    bind(&mut evidence);
    evidence
}

/// Puts a quote of these PCRs of these banks into the evidence, for its nonce.
fn quoted_again(
    evidence: &mut Evidence,
    maker: &mut Maker,
    banks: &[HashAlg],
    pcrs: std::ops::Range<usize>,
) {
    let nonce = evidence.nonce.as_deref().expect("a nonce");
    let (quote, signature, values) = maker.quote(nonce, banks, pcrs);
    evidence.quote = Some(quote);
    evidence.signature = Some(signature);
    evidence.pcrs = Some(values);
}

/// The made-up guest.
fn guest() -> Guest {
    Guest {
        policy: GuestPolicy::from_bits_retain(POLICY),
        measurement: MEASUREMENT,
        id_block: None,
        host_data: [0; 32],
        report_id: [7; 32],
        launch_tcb: snp_certificates::chip().current_tcb,
        launch_mit_vector: 0,
        secure_tsc: None,
    }
}

fn report_of(chip: &Chip, guest: &Guest, vmpl: Vmpl, data: [u8; 64]) -> AttestationReport {
    let mut request = ReportRequest::new_zeroed();
    request.vmpl = vmpl.get().into();
    request.report_data = data;
    make(chip, guest, Vmpl::VMPL0, &request).expect("a report")
}

/// What a signed report is made of.
pub struct Signed {
    /// The chip.
    pub chip: Chip,
    /// The guest.
    pub guest: Guest,
    /// The level that asked.
    pub vmpl: Vmpl,
    /// What it asked for.
    pub data: [u8; 64],
}

/// Has the emulated secure processor sign the report of this evidence again, with
/// something else in it: what a dishonest host or guest could have asked it for.
///
/// # Panics
/// When there is no report that the emulated machine could have made.
pub fn sign_again(evidence: &mut Evidence, change: impl FnOnce(&mut Signed)) {
    let bytes = evidence.report.as_deref().expect("a report");
    let old = AttestationReport::read_from_bytes(bytes).expect("a whole report");
    let version = match old.version {
        2 => ReportVersion::V2,
        3 => ReportVersion::V3,
        _ => ReportVersion::V5,
    };
    let mut chip = snp_certificates::chip();
    chip.report_version = version;
    let has_id = old.id_key_digest != [0; 48];
    let mut signed = Signed {
        chip,
        guest: Guest {
            policy: GuestPolicy::from_bits_retain(old.policy),
            measurement: old.measurement,
            id_block: has_id.then_some(IdBlock {
                guest_svn: old.guest_svn,
                family_id: old.family_id,
                image_id: old.image_id,
                id_key_digest: old.id_key_digest,
                author_key_digest: (old.author_key_digest != [0; 48])
                    .then_some(old.author_key_digest),
            }),
            host_data: old.host_data,
            report_id: old.report_id,
            launch_tcb: old.launch_tcb,
            launch_mit_vector: old.launch_mit_vector,
            secure_tsc: None,
        },
        vmpl: u8::try_from(old.vmpl)
            .ok()
            .and_then(Vmpl::new)
            .expect("a level"),
        data: old.report_data,
    };
    change(&mut signed);
    let report = report_of(&signed.chip, &signed.guest, signed.vmpl, signed.data);
    evidence.report = Some(report.as_bytes().to_vec());
}

/// Has the report made for the nonce and the manifest that are there now.
pub fn bind(evidence: &mut Evidence) {
    let digest = Sha512::new()
        .chain_update(evidence.nonce.as_deref().unwrap_or_default())
        .chain_update(evidence.manifest.as_deref().unwrap_or_default())
        .finalize();
    sign_again(evidence, |signed| signed.data = digest.into());
}

/// The public area in a TPM2B_PUBLIC.
pub(crate) fn tpm_public(bytes: Option<&[u8]>) -> Public {
    let public = Tpm2bPublic::from_bytes(bytes.expect("a key"));
    public.expect("a TPM2B_PUBLIC").0
}

/// A chip of the emulated machine's kind with a processor of Turin, which has its TCB
/// version in another order.
pub fn turin() -> Chip {
    emulated::chip(Processor::from_cpuid(0x00b0_0f21), ReportVersion::V5)
}

/// The certificate of a kind in the evidence's table.
pub(crate) fn table_entry(evidence: &Evidence, kind: CertificateKind) -> Option<(usize, usize)> {
    let table = evidence.certs.as_deref()?;
    let found = certificates(table)
        .flatten()
        .find(|(known, _)| *known == kind)?;
    let start = found.1.as_ptr().addr() - table.as_ptr().addr();
    Some((start, found.1.len()))
}
