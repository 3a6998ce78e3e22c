//! The test chain of the emulated machine: ARK, ASK and VCEK, as a certificate table.
//!
//! It has the form of AMD's chain (VCEK Certificate and KDS Interface Specification,
//! publication 57230): the same three roles, RSA-4096 keys that sign with RSASSA-PSS and
//! SHA-384, and in the VCEK's certificate the extensions that say which chip and which TCB
//! version its P-384 key belongs to. What is not AMD's are the names: each says that it is a
//! test.
//!
//! All private keys follow from this source, so the chain is the same in every build,
//! and its signatures prove nothing.
#![forbid(unsafe_code)]

mod key;
mod profile;

use der::{DateTime, Encode};
use protocols::snp::{CertificateEntry, CertificateKind};
use rsa::pss;
use sha2::Sha384;
use snp_model::psp::chip::{Chip, Processor, ReportVersion};
use snp_model::psp::emulated;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{EncodePublicKey, SubjectPublicKeyInfo};
use x509_cert::time::{Time, Validity};
use zerocopy::IntoBytes;

use key::{Authority, Stream};
use profile::Profile;

/// Why no certificate was made.
pub type Error = x509_cert::builder::Error;

/// CPUID leaf 1, EAX, of the processor that the machine runs on: QEMU's EPYC-Milan.
const MILAN: u32 = 0x00a0_0f11;

/// The chain, each certificate in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The root, signed by itself.
    pub ark: Vec<u8>,
    /// Signed by the root.
    pub ask: Vec<u8>,
    /// Of the key that signs reports; signed by the ASK.
    pub vcek: Vec<u8>,
}

/// The chip that the chain is for. Versions of reports are not in it.
pub fn chip() -> Chip {
    emulated::chip(Processor::from_cpuid(MILAN), ReportVersion::V3)
}

/// Makes the chain of the emulated machine.
///
/// # Errors
/// None that any input could bring about: what the builder says of wrong names or keys.
pub fn chain() -> Result<Chain, Error> {
    chain_of(&chip())
}

/// Makes the chain for another chip, or for another TCB version of it.
///
/// # Errors
/// As [`chain`]; a chip whose layout of TCB versions is unknown counts as Turin.
pub fn chain_of(chip: &Chip) -> Result<Chain, Error> {
    let (ark, ask) = (Authority::ARK.key()?, Authority::ASK.key()?);
    let (ark_public, ask_public) = (ark.as_ref().to_public_key(), ask.as_ref().to_public_key());
    let vcek = chip.vcek_public().ok_or(Error::MissingAttributes)?;
    Ok(Chain {
        ark: certificate(1, Profile::ark()?, &ark_public, &ark)?,
        ask: certificate(2, Profile::ask()?, &ask_public, &ark)?,
        vcek: certificate(3, Profile::vcek(chip)?, &vcek, &ask)?,
    })
}

impl Chain {
    /// The certificate table of an extended guest request.
    pub fn table(&self) -> Vec<u8> {
        let parts = [
            (CertificateKind::VCEK, &self.vcek),
            (CertificateKind::ASK, &self.ask),
            (CertificateKind::ARK, &self.ark),
        ];
        let end = CertificateEntry {
            kind: CertificateKind([0; 16]),
            offset: 0,
            length: 0,
        };
        let mut offset = (parts.len() + 1) * size_of_val(&end);
        let mut table = Vec::new();
        for (kind, certificate) in parts {
            let entry = CertificateEntry {
                kind,
                offset: offset as u32,
                length: certificate.len() as u32,
            };
            table.extend_from_slice(entry.as_bytes());
            offset += certificate.len();
        }
        table.extend_from_slice(end.as_bytes());
        for (_, certificate) in parts {
            table.extend_from_slice(certificate);
        }
        table
    }
}

fn certificate(
    serial: u8,
    profile: Profile,
    of: &impl EncodePublicKey,
    by: &pss::SigningKey<Sha384>,
) -> Result<Vec<u8>, Error> {
    let validity = Validity::new(
        Time::from(DateTime::new(2026, 1, 1, 0, 0, 0)?),
        Time::from(DateTime::new(2049, 12, 31, 23, 59, 59)?),
    );
    let of = SubjectPublicKeyInfo::from_key(of)?;
    let made = CertificateBuilder::new(profile, SerialNumber::from(serial), validity, of)?
        .build_with_rng::<_, pss::Signature, _>(by, &mut Stream::new("salt"))?;
    Ok(made.to_der()?)
}

#[cfg(test)]
mod tests;
