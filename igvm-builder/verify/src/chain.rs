//! The certificates: ARK, ASK and the key that signs reports (AMD publication 57230).

use std::fmt;

use der::{DateTime, Decode, Encode};
use protocols::snp::{CertificateKind, TcbLayout, TcbParts, TcbVersion, certificates};
use rsa::RsaPublicKey;
use rsa::pkcs8::DecodePublicKey;
use rsa::pss::{Signature, VerifyingKey};
use rsa::signature::Verifier;
use sha2::Sha384;
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints;

use crate::claim::{Claims, Failure, Id, refuted, unproven};
use crate::evidence::Evidence;
use crate::hex;
use crate::report::Report;
use crate::roots::{self, Root};

/// RSASSA-PSS.
const PSS: &str = "1.2.840.113549.1.1.10";
/// The arc of AMD's extensions.
const AMD: &str = "1.3.6.1.4.1.3704.1";
/// Bytes of a chip's ID in a certificate: all, and from Turin on.
const CHIP_IDS: [usize; 2] = [64, 8];

/// A chain that could be read.
pub struct Chain {
    ark: Certificate,
    ask: Certificate,
    vek: Certificate,
    /// Whether the report's key is one that a cloud provider loaded.
    is_vlek: bool,
}

impl Chain {
    /// The key that signs reports.
    pub fn key(&self) -> Option<p384::ecdsa::VerifyingKey> {
        let info = self.vek.tbs_certificate().subject_public_key_info();
        p384::ecdsa::VerifyingKey::from_public_key_der(&info.to_der().ok()?).ok()
    }

    /// What the key is called.
    pub fn key_name(&self) -> &'static str {
        if self.is_vlek { "VLEK" } else { "VCEK" }
    }
}

/// Looks at the chain, and says what becomes of its claims.
pub fn check(
    evidence: &Evidence,
    report: Option<&Report>,
    allow_test_root: bool,
    now: Option<DateTime>,
    claims: &mut Claims,
) -> Option<Chain> {
    let chain = match read(evidence, report) {
        Ok(chain) => chain,
        Err(failure) => {
            claims.add(Id::ChainFormat, Err(failure));
            for id in [
                Id::ChainRoot,
                Id::ChainSignatures,
                Id::ChainValidity,
                Id::ChainKey,
            ] {
                claims.add(id, unproven("there is no chain to look at"));
            }
            return None;
        }
    };
    let name = chain.key_name();
    claims.add(Id::ChainFormat, Ok(format!("an ARK, an ASK and a {name}")));
    claims.add(Id::ChainRoot, root(&chain, allow_test_root));
    claims.add(Id::ChainSignatures, signatures(&chain));
    claims.add(Id::ChainValidity, validity(&chain, now));
    claims.add(
        Id::ChainKey,
        match report {
            Some(report) => belongs(&chain, report),
            None => unproven("the report cannot be read"),
        },
    );
    Some(chain)
}

/// DER or PEM.
fn certificate(what: &str, bytes: &[u8]) -> Result<Certificate, Failure> {
    let bad =
        |error: der::Error| Failure::Refuted(format!("the {what} is no certificate: {error}"));
    if bytes.starts_with(b"-----BEGIN") {
        let mut all = Certificate::load_pem_chain(bytes).map_err(bad)?;
        return match (all.pop(), all.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => refuted(format!("the file of the {what} has not one certificate")),
        };
    }
    let certificate = Certificate::from_der(bytes).map_err(bad)?;
    match certificate.to_der() {
        Ok(der) if der == bytes => Ok(certificate),
        _ => refuted(format!("the {what} is not encoded as DER demands")),
    }
}

fn read(evidence: &Evidence, report: Option<&Report>) -> Result<Chain, Failure> {
    let mut found: [Option<Certificate>; 4] = [const { None }; 4];
    let kinds = [
        (CertificateKind::ARK, "ARK", &evidence.ark),
        (CertificateKind::ASK, "ASK", &evidence.ask),
        (CertificateKind::VCEK, "VCEK", &evidence.vcek),
        (CertificateKind::VLEK, "VLEK", &evidence.vlek),
    ];
    for entry in certificates(evidence.certs.as_deref().unwrap_or(&[0; 24])) {
        let Ok((kind, bytes)) = entry else {
            return refuted("the certificate table names bytes that are not there, or has no end");
        };
        for ((known, what, _), place) in kinds.iter().zip(&mut found) {
            if kind == *known && place.replace(certificate(what, bytes)?).is_some() {
                return refuted(format!("the certificate table has two of {what}"));
            }
        }
    }
    for ((_, what, file), place) in kinds.iter().zip(&mut found) {
        if let Some(bytes) = file {
            *place = Some(certificate(what, bytes)?);
        }
    }
    let [ark, ask, vcek, vlek] = found;
    let is_vlek = report.map_or(vcek.is_none() && vlek.is_some(), Report::is_by_vlek);
    let vek = if is_vlek { vlek } else { vcek };
    let Some(vek) = vek else {
        let name = if is_vlek { "VLEK" } else { "VCEK" };
        return unproven(format!(
            "there is no certificate of the {name}: the host gave none, and none was named"
        ));
    };
    let above = |of: &Certificate, what| match roots::authority(of.tbs_certificate().issuer()) {
        Some(certificate) => Ok(certificate),
        None => unproven(format!(
            "there is no certificate of the {what}, and \"{}\" is not built in",
            of.tbs_certificate().issuer()
        )),
    };
    let ask = ask.map_or_else(|| above(&vek, "ASK"), Ok)?;
    let ark = ark.map_or_else(|| above(&ask, "ARK"), Ok)?;
    Ok(Chain {
        ark,
        ask,
        vek,
        is_vlek,
    })
}

fn root(chain: &Chain, allow_test_root: bool) -> Result<String, Failure> {
    match roots::find(&chain.ark) {
        Some(Root::Amd(product)) => Ok(format!("it is AMD's root key for {product}")),
        Some(Root::Test) if allow_test_root => Ok(
            "it is the TEST root of the emulated machine, which was allowed: nothing here says \
             anything of real hardware"
                .into(),
        ),
        Some(Root::Test) => refuted(
            "it is the test root of the emulated machine, whose private key anybody can compute; \
             --allow-test-root trusts it all the same",
        ),
        None => refuted(format!(
            "\"{}\" is none of AMD's root keys",
            chain.ark.tbs_certificate().subject()
        )),
    }
}

/// Why `of` is not certified by `by`.
fn uncertified(of: &Certificate, by: &Certificate) -> Option<&'static str> {
    let (lower, upper) = (of.tbs_certificate(), by.tbs_certificate());
    if lower.issuer() != upper.subject() {
        return Some("names another issuer");
    }
    let constraints = upper.get_extension::<BasicConstraints>();
    if !constraints.is_ok_and(|found| found.is_some_and(|(_, basic)| basic.ca)) {
        return Some("has an issuer that is no authority");
    }
    if of.signature_algorithm() != lower.signature()
        || of.signature_algorithm().oid.to_string() != PSS
    {
        return Some("is not signed with RSASSA-PSS");
    }
    let info = upper.subject_public_key_info().to_der();
    let key = info.map(|info| RsaPublicKey::from_public_key_der(&info));
    let (Ok(Ok(key)), Ok(signed)) = (key, lower.to_der()) else {
        return Some("has an issuer without an RSA key");
    };
    let signature = of.signature().as_bytes().map(Signature::try_from);
    let is_signed = signature.is_some_and(|signature| {
        signature.is_ok_and(|signature| {
            VerifyingKey::<Sha384>::new(key)
                .verify(&signed, &signature)
                .is_ok()
        })
    });
    (!is_signed).then_some("has a signature that is not its issuer's")
}

fn signatures(chain: &Chain) -> Result<String, Failure> {
    let name = chain.key_name();
    for (what, of, by) in [
        ("ARK", &chain.ark, &chain.ark),
        ("ASK", &chain.ask, &chain.ark),
        (name, &chain.vek, &chain.ask),
    ] {
        if let Some(why) = uncertified(of, by) {
            return refuted(format!("the {what} {why}"));
        }
    }
    Ok(format!(
        "the ARK certifies itself and the ASK, the ASK the {name}: RSASSA-PSS with SHA-384"
    ))
}

fn validity(chain: &Chain, now: Option<DateTime>) -> Result<String, Failure> {
    let Some(now) = now else {
        return unproven("the time is not known");
    };
    let mut until: Option<DateTime> = None;
    for (what, certificate) in [
        ("ARK", &chain.ark),
        ("ASK", &chain.ask),
        (chain.key_name(), &chain.vek),
    ] {
        let validity = certificate.tbs_certificate().validity();
        let (from, to) = (
            validity.not_before.to_date_time(),
            validity.not_after.to_date_time(),
        );
        if now < from {
            return refuted(format!(
                "the {what} is valid from {from} on, and it is {now}"
            ));
        }
        if now > to {
            return refuted(format!("the {what} was valid until {to}, and it is {now}"));
        }
        until = Some(until.map_or(to, |least| least.min(to)));
    }
    let until = until.map_or_else(String::new, |until| until.to_string());
    Ok(format!(
        "at {now} all are valid, the first to expire does on {until}"
    ))
}

/// What the key's certificate says it is for.
struct Subject {
    layout: TcbLayout,
    tcb: TcbVersion,
    chip: Option<Vec<u8>>,
}

fn extension<'a>(certificate: &'a Certificate, arc: &str) -> Option<&'a [u8]> {
    let extensions = certificate.tbs_certificate().extensions()?;
    let oid = format!("{AMD}.{arc}");
    let found = extensions.iter().find(|one| one.extn_id.to_string() == oid);
    Some(found?.extn_value.as_bytes())
}

fn subject(certificate: &Certificate) -> Result<Subject, &'static str> {
    let number = |arc| match extension(certificate, arc) {
        Some(bytes) => u8::from_der(bytes)
            .map(Some)
            .map_err(|_| "it has a version that is no byte"),
        None => Ok(None),
    };
    let needed = |arc| number(arc)?.ok_or("it lacks a part of the TCB version");
    let fmc = number("3.9")?;
    let layout = match fmc {
        Some(_) => TcbLayout::Turin,
        None => TcbLayout::Milan,
    };
    for arc in ["3.4", "3.5", "3.6", "3.7"] {
        if number(arc)?.unwrap_or_default() != 0 {
            return Err("it has a part of the TCB version that has no name yet");
        }
    }
    let parts = TcbParts {
        fmc: fmc.unwrap_or_default(),
        boot_loader: needed("3.1")?,
        tee: needed("3.2")?,
        snp: needed("3.3")?,
        microcode: needed("3.8")?,
    };
    Ok(Subject {
        layout,
        tcb: TcbVersion::from_parts(parts, layout),
        chip: extension(certificate, "4").map(<[u8]>::to_vec),
    })
}

/// A TCB version in words.
pub struct Tcb(pub TcbVersion, pub TcbLayout);

impl fmt::Display for Tcb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.parts(self.1);
        if self.1 == TcbLayout::Turin {
            write!(f, "FMC {}, ", parts.fmc)?;
        }
        write!(
            f,
            "boot loader {}, TEE {}, SNP {}, microcode {}",
            parts.boot_loader, parts.tee, parts.snp, parts.microcode
        )
    }
}

fn belongs(chain: &Chain, report: &Report) -> Result<String, Failure> {
    let name = chain.key_name();
    let subject = match subject(&chain.vek) {
        Ok(subject) => subject,
        Err(why) => return refuted(format!("the {name} does not say whose it is: {why}")),
    };
    if report
        .family_layout()
        .is_some_and(|layout| layout != subject.layout)
    {
        return refuted(format!(
            "the {name} is of another generation of processors than the report"
        ));
    }
    let reported = report.raw.reported_tcb;
    if reported != subject.tcb {
        return refuted(format!(
            "the {name} is for {}, the report names {}",
            Tcb(subject.tcb, subject.layout),
            Tcb(reported, subject.layout)
        ));
    }
    let tcb = Tcb(reported, subject.layout);
    if chain.is_vlek {
        return Ok(format!(
            "the VLEK is for {tcb}; it stands for a provider, not for a chip"
        ));
    }
    let Some(chip) = subject.chip.filter(|chip| CHIP_IDS.contains(&chip.len())) else {
        return refuted("the VCEK does not name a chip");
    };
    if report.raw.chip_id == [0; 64] {
        return Ok(format!(
            "the VCEK is for {tcb}; the host keeps the chip's ID out of reports"
        ));
    }
    let (named, rest) = report.raw.chip_id.split_at(chip.len());
    if named != chip || rest.iter().any(|&byte| byte != 0) {
        return refuted(format!(
            "the VCEK is of chip {}…, the report of chip {}…",
            hex::short(&chip),
            hex::short(named)
        ));
    }
    Ok(format!(
        "the VCEK is of chip {}…, and for {tcb}",
        hex::short(&chip)
    ))
}

/// The layout of TCB versions that the key's certificate has.
pub fn layout(chain: &Chain) -> TcbLayout {
    match extension(&chain.vek, "3.9") {
        Some(_) => TcbLayout::Turin,
        None => TcbLayout::Milan,
    }
}
