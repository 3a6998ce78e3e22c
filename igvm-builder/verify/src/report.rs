//! The attestation report (SEV-SNP firmware ABI, ATTESTATION_REPORT).

use p384::ecdsa::Signature;
use p384::ecdsa::signature::Verifier;
use protocols::snp::{
    AttestationReport, GuestPolicy, KeyInfo, PlatformInfo, SigningKey, TcbLayout,
};
use zerocopy::FromBytes;

use crate::chain::{Chain, Tcb};
use crate::claim::{Claims, Failure, Id, refuted, unasked, unproven};
use crate::demands::{Demands, Digest, PLATFORM, POLICY, names};
use crate::evidence::{Evidence, Expected};
use crate::hex;

/// What a migration agent's report ID is when there is none.
const NO_MIGRATION_AGENT: [u8; 32] = [0xff; 32];

/// A report of a version that is known.
pub struct Report {
    /// Its fields.
    pub raw: AttestationReport,
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// In words, what is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let size = size_of::<AttestationReport>();
        let raw = AttestationReport::read_from_bytes(bytes)
            .map_err(|_| format!("{} bytes are no report, which has {size}", bytes.len()))?;
        if !(2..=5).contains(&raw.version) {
            return Err(format!(
                "version {} is not known; versions 2 to 5 are",
                raw.version
            ));
        }
        if raw.signature_algorithm != AttestationReport::ECDSA_P384_SHA384 {
            return Err(format!(
                "signature algorithm {} is not known; 1, ECDSA on P-384 with SHA-384, is",
                raw.signature_algorithm
            ));
        }
        let unused = |number: &[u8; 72]| number.iter().skip(48).any(|&byte| byte != 0);
        let signature = &raw.signature;
        if unused(&signature.r) || unused(&signature.s) || signature.reserved != [0; 368] {
            return Err("what has to be zero beside the signature is not".into());
        }
        Ok(Self { raw })
    }

    /// Whether a key signed it that a cloud provider loaded.
    pub fn is_by_vlek(&self) -> bool {
        self.raw.key_info.signing_key() == SigningKey::VLEK
    }

    /// The layout of TCB versions by the processor's family, which reports name from
    /// version 3 on.
    pub fn family_layout(&self) -> Option<TcbLayout> {
        if self.raw.version < 3 {
            return None;
        }
        TcbLayout::of_family(self.raw.cpuid_family)
    }

    /// Whether this key signed it.
    fn is_signed_by(&self, key: &p384::ecdsa::VerifyingKey) -> bool {
        let number = |bytes: &[u8; 72]| -> Option<[u8; 48]> {
            let mut number = *bytes.first_chunk()?;
            number.reverse();
            Some(number)
        };
        let signature = number(&self.raw.signature.r)
            .zip(number(&self.raw.signature.s))
            .and_then(|(r, s)| Signature::from_scalars(r, s).ok());
        signature.is_some_and(|signature| key.verify(self.raw.signed(), &signature).is_ok())
    }
}

/// Says whether there is a report.
pub fn read(evidence: &Evidence, claims: &mut Claims) -> Option<Report> {
    let Some(bytes) = &evidence.report else {
        claims.add(Id::ReportFormat, unproven("there is no report"));
        return None;
    };
    let report = Report::read(bytes);
    let found = match &report {
        Ok(report) => Ok(format!("version {}", report.raw.version)),
        Err(why) => refuted(why.clone()),
    };
    claims.add(Id::ReportFormat, found);
    report.ok()
}

/// Says what becomes of the claims about the report.
pub fn check(
    report: Option<&Report>,
    chain: Option<&Chain>,
    evidence: &Evidence,
    demands: &Demands,
    claims: &mut Claims,
) {
    let Some(report) = report else {
        for id in [
            Id::ReportSignature,
            Id::ReportVersion,
            Id::ReportMeasurement,
            Id::ReportPolicy,
            Id::ReportMigration,
            Id::ReportVmpl,
            Id::ReportTcb,
            Id::ReportPlatform,
            Id::ReportChip,
            Id::ReportKeys,
            Id::ReportHostData,
        ] {
            claims.add(id, unproven("the report cannot be read"));
        }
        return;
    };
    let expected = evidence.expected.as_deref().map(expected).transpose();
    claims.add(Id::ReportSignature, signature(report, chain));
    claims.add(Id::ReportVersion, version(report, demands));
    claims.add(
        Id::ReportMeasurement,
        measurement(report, &expected, demands),
    );
    claims.add(Id::ReportPolicy, policy(report, &expected, demands));
    claims.add(Id::ReportMigration, migration(report));
    claims.add(Id::ReportVmpl, vmpl(report, demands));
    claims.add(Id::ReportTcb, tcb(report, chain, demands));
    claims.add(Id::ReportPlatform, platform(report, demands));
    claims.add(Id::ReportChip, chip(report, demands));
    claims.add(Id::ReportKeys, keys(report, demands));
    claims.add(Id::ReportHostData, host_data(report, demands));
}

fn signature(report: &Report, chain: Option<&Chain>) -> Result<String, Failure> {
    let info = report.raw.key_info;
    if info.signing_key() == SigningKey::NONE || info.0 & KeyInfo::MASK_CHIP_KEY != 0 {
        return refuted("the host has this chip's reports left unsigned");
    }
    let Some(chain) = chain else {
        return unproven("there is no chain to look at");
    };
    let name = chain.key_name();
    match chain.key() {
        None => refuted(format!("the {name} is no key on P-384")),
        Some(key) if report.is_signed_by(&key) => {
            Ok(format!("by the {name}, ECDSA on P-384 with SHA-384"))
        }
        Some(_) => refuted(format!(
            "the signature is not the {name}'s, or the report was changed"
        )),
    }
}

fn version(report: &Report, demands: &Demands) -> Result<String, Failure> {
    let (is, least) = (report.raw.version, demands.min_report_version);
    match least {
        0 => unasked(format!("it is version {is}")),
        _ if is >= least => Ok(format!("version {is}, at least {least} is demanded")),
        _ => refuted(format!("version {is}, and at least {least} is demanded")),
    }
}

/// expected.json, or why not.
fn expected(json: &[u8]) -> Result<([u8; 48], Expected), String> {
    let expected: Expected =
        serde_json::from_slice(json).map_err(|error| format!("expected.json: {error}"))?;
    let digest = hex::exactly(&expected.launch_digest)
        .map_err(|why| format!("expected.json: launch_digest: {why}"))?;
    Ok((digest, expected))
}

type MaybeExpected = Result<Option<([u8; 48], Expected)>, String>;

fn measurement(
    report: &Report,
    expected: &MaybeExpected,
    demands: &Demands,
) -> Result<String, Failure> {
    let is = report.raw.measurement;
    let (digest, image) = match (&demands.digest, expected) {
        (Digest::Any, _) => return unasked(format!("the launch digest is {}", hex::all(&is))),
        (Digest::Is(digest), _) => (*digest, None),
        (Digest::OfEvidence, Err(why)) => return unproven(why.clone()),
        (Digest::OfEvidence, Ok(None)) => {
            let is = hex::all(&is);
            return unproven(format!("no expected launch digest was given; it is {is}"));
        }
        (Digest::OfEvidence, Ok(Some((digest, expected)))) => (*digest, expected.image.clone()),
    };
    let image = image.map_or_else(String::new, |image| format!(" of {image}"));
    let (is_hex, digest_hex) = (hex::all(&is), hex::all(&digest));
    if is == digest {
        Ok(format!(
            "the launch digest is the expected one{image}: {is_hex}"
        ))
    } else {
        refuted(format!(
            "the launch digest is {is_hex}, expected was{image} {digest_hex}"
        ))
    }
}

fn policy(report: &Report, expected: &MaybeExpected, demands: &Demands) -> Result<String, Failure> {
    let policy = GuestPolicy::from_bits_retain(report.raw.policy);
    let bits = policy.bits();
    let text = |set: GuestPolicy| names(&POLICY, |bit| set.contains(bit));
    let dangerous = GuestPolicy::DEBUG | GuestPolicy::MIGRATE_MA;
    let forbidden = (dangerous - demands.allow_policy) | demands.forbid_policy;
    let (wrong, missing) = (policy & forbidden, demands.require_policy - policy);
    if !wrong.is_empty() {
        let why = if wrong.contains(GuestPolicy::DEBUG) {
            "; with debug the host can read and change all of the guest's memory"
        } else {
            ""
        };
        return refuted(format!("policy {bits:#x} allows {}{why}", text(wrong)));
    }
    if !missing.is_empty() {
        return refuted(format!("policy {bits:#x} lacks {}", text(missing)));
    }
    let launched = match expected {
        Ok(Some((_, expected))) if demands.digest == Digest::OfEvidence => &expected.policy,
        _ => &None,
    };
    if let Some(text) = launched {
        let digits = text.trim_start_matches("0x");
        let Ok(launched) = u64::from_str_radix(digits, 16) else {
            return unproven("expected.json: policy: not a number with 0x");
        };
        if (launched ^ bits) & !demands.allow_policy.bits() != 0 {
            return refuted(format!("policy {bits:#x}, expected was {launched:#x}"));
        }
    }
    let set = text(policy);
    let set = if set.is_empty() { "nothing" } else { &set };
    Ok(format!(
        "policy {bits:#x} has {set} set, of what has a name"
    ))
}

fn migration(report: &Report) -> Result<String, Failure> {
    let agent = report.raw.report_id_ma;
    if agent == NO_MIGRATION_AGENT {
        Ok("there is none".into())
    } else {
        let agent = hex::short(&agent);
        refuted(format!(
            "the guest is bound to the migration agent {agent}…"
        ))
    }
}

fn vmpl(report: &Report, demands: &Demands) -> Result<String, Failure> {
    let (is, wanted) = (report.raw.vmpl, demands.vmpl);
    if is == wanted {
        return Ok(format!("VMPL{is}"));
    }
    refuted(format!(
        "it was asked for at VMPL{is}, not VMPL{wanted}: {}",
        if is > wanted {
            "a less privileged level speaks here, which could say anything of the SVSM"
        } else {
            "a more privileged level speaks here"
        }
    ))
}

fn tcb(report: &Report, chain: Option<&Chain>, demands: &Demands) -> Result<String, Failure> {
    let of_chain = || chain.map(crate::chain::layout);
    let Some(layout) = report.family_layout().or_else(of_chain) else {
        return unproven("the layout of the TCB version is not known without the VCEK");
    };
    let tcb = report.raw.reported_tcb;
    let text = Tcb(tcb, layout);
    if !demands.has_min_tcb {
        return unasked(format!("it is {text}"));
    }
    let (is, least) = (tcb.parts(layout), demands.min_tcb);
    let older: Vec<_> = [
        ("FMC", is.fmc, least.fmc),
        ("boot loader", is.boot_loader, least.boot_loader),
        ("TEE", is.tee, least.tee),
        ("SNP", is.snp, least.snp),
        ("microcode", is.microcode, least.microcode),
    ]
    .into_iter()
    .filter(|(_, is, least)| is < least)
    .map(|(name, is, least)| format!("{name} is {is}, demanded is {least}"))
    .collect();
    if older.is_empty() {
        Ok(text.to_string())
    } else {
        refuted(older.join("; "))
    }
}

fn platform(report: &Report, demands: &Demands) -> Result<String, Failure> {
    let platform = PlatformInfo::from_bits_retain(report.raw.platform_info);
    let text = |set: PlatformInfo| names(&PLATFORM, |bit| set.contains(bit));
    let (missing, wrong) = (
        demands.require_platform - platform,
        platform & demands.forbid_platform,
    );
    if !missing.is_empty() {
        return refuted(format!("the platform lacks {}", text(missing)));
    }
    if !wrong.is_empty() {
        return refuted(format!("the platform has {}", text(wrong)));
    }
    let has = text(platform);
    let has = if has.is_empty() { "nothing" } else { &has };
    if demands.require_platform.is_empty() && demands.forbid_platform.is_empty() {
        return unasked(format!("it has {has}"));
    }
    Ok(format!("it has {has}"))
}

fn chip(report: &Report, demands: &Demands) -> Result<String, Failure> {
    let is = hex::all(&report.raw.chip_id);
    match demands.chip {
        None => unasked(format!("it is {is}")),
        Some(chip) if chip == report.raw.chip_id => Ok(is),
        Some(_) => refuted(format!("it is {is}")),
    }
}

fn keys(report: &Report, demands: &Demands) -> Result<String, Failure> {
    let raw = &report.raw;
    let mut told = Vec::new();
    for (what, is, wanted) in [
        ("ID key", raw.id_key_digest, demands.id_key),
        ("author key", raw.author_key_digest, demands.author_key),
    ] {
        let text = match is == [0; 48] {
            true => format!("no {what}"),
            false => format!("{what} {}", hex::all(&is)),
        };
        if wanted.is_some_and(|wanted| wanted != is) {
            return refuted(format!("{text}, which is not the demanded one"));
        }
        told.push(text);
    }
    let told = told.join(", ");
    match (demands.id_key, demands.author_key) {
        (None, None) => unasked(told),
        _ => Ok(told),
    }
}

fn host_data(report: &Report, demands: &Demands) -> Result<String, Failure> {
    let is = hex::all(&report.raw.host_data);
    match demands.host_data {
        None => unasked(format!("they are {is}")),
        Some(wanted) if wanted == report.raw.host_data => Ok(is),
        Some(_) => refuted(format!("they are {is}")),
    }
}
