//! What the user expects of a guest, by names.

use std::str::FromStr;

use der::DateTime;
use protocols::snp::{GuestPolicy, PlatformInfo, TcbParts};
use vtpm::crypto::hash::HashAlg;

use crate::hex;

/// Which launch digest is expected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Digest {
    /// That of expected.json.
    #[default]
    OfEvidence,
    /// This one.
    Is([u8; 48]),
    /// Nobody cares.
    Any,
}

/// How far the evidence is to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Scope {
    /// The report with its certificates.
    Report,
    /// And nonce and manifest.
    Manifest,
    /// And the TPM's quote and the event log.
    #[default]
    All,
}

/// What is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demands {
    /// How far the evidence is to go.
    pub scope: Scope,
    /// Whether the emulated machine's root is trusted.
    pub allow_test_root: bool,
    /// The time at which certificates have to be valid.
    pub now: Option<DateTime>,
    /// The launch digest.
    pub digest: Digest,
    /// Policy bits that are allowed although they are refused otherwise.
    pub allow_policy: GuestPolicy,
    /// Policy bits that have to be set.
    pub require_policy: GuestPolicy,
    /// Policy bits that must not be set, beside DEBUG and MIGRATE_MA.
    pub forbid_policy: GuestPolicy,
    /// The level that the report was asked for at.
    pub vmpl: u32,
    /// The least TCB version, part by part.
    pub min_tcb: TcbParts,
    /// Whether a least TCB version was given.
    pub has_min_tcb: bool,
    /// Facts of the platform that have to be.
    pub require_platform: PlatformInfo,
    /// Facts of the platform that must not be.
    pub forbid_platform: PlatformInfo,
    /// The least version of the report.
    pub min_report_version: u32,
    /// The chip.
    pub chip: Option<[u8; 64]>,
    /// SHA-384 of the ID key.
    pub id_key: Option<[u8; 48]>,
    /// SHA-384 of the author key.
    pub author_key: Option<[u8; 48]>,
    /// What the host said at the launch.
    pub host_data: Option<[u8; 32]>,
    /// PCR values.
    pub pcrs: Vec<PcrDemand>,
}

impl Default for Demands {
    fn default() -> Self {
        Self {
            scope: Scope::All,
            allow_test_root: false,
            now: None,
            digest: Digest::OfEvidence,
            allow_policy: GuestPolicy::empty(),
            require_policy: GuestPolicy::empty(),
            forbid_policy: GuestPolicy::empty(),
            vmpl: 0,
            min_tcb: TcbParts::default(),
            has_min_tcb: false,
            require_platform: PlatformInfo::empty(),
            forbid_platform: PlatformInfo::empty(),
            min_report_version: 0,
            chip: None,
            id_key: None,
            author_key: None,
            host_data: None,
            pcrs: Vec::new(),
        }
    }
}

/// Policy bits by name.
pub const POLICY: [(&str, GuestPolicy); 9] = [
    ("smt", GuestPolicy::SMT),
    ("migrate-ma", GuestPolicy::MIGRATE_MA),
    ("debug", GuestPolicy::DEBUG),
    ("single-socket", GuestPolicy::SINGLE_SOCKET),
    ("cxl", GuestPolicy::CXL_ALLOW),
    ("aes-256-xts", GuestPolicy::MEM_AES_256_XTS),
    ("rapl-disable", GuestPolicy::RAPL_DISABLE),
    ("ciphertext-hiding", GuestPolicy::CIPHERTEXT_HIDING),
    ("page-swap-disable", GuestPolicy::PAGE_SWAP_DISABLE),
];

/// Facts of the platform by name.
pub const PLATFORM: [(&str, PlatformInfo); 7] = [
    ("smt", PlatformInfo::SMT_EN),
    ("tsme", PlatformInfo::TSME_EN),
    ("ecc", PlatformInfo::ECC_EN),
    ("rapl-disabled", PlatformInfo::RAPL_DIS),
    ("ciphertext-hiding", PlatformInfo::CIPHERTEXT_HIDING),
    ("alias-check", PlatformInfo::ALIAS_CHECK_COMPLETE),
    ("tio", PlatformInfo::TIO_EN),
];

fn named<T: Copy>(list: &[(&str, T)], name: &str) -> Result<T, String> {
    let found = list.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = list.iter().map(|(name, _)| *name).collect();
        format!("unknown; there are: {}", names.join(", "))
    })
}

/// A policy bit by its name.
///
/// # Errors
/// The names that there are.
pub fn policy_bit(name: &str) -> Result<GuestPolicy, String> {
    named(&POLICY, name)
}

/// A fact of the platform by its name.
///
/// # Errors
/// The names that there are.
pub fn platform_bit(name: &str) -> Result<PlatformInfo, String> {
    named(&PLATFORM, name)
}

/// The names of bits that are set.
pub(crate) fn names<T: Copy>(list: &[(&str, T)], is_set: impl Fn(T) -> bool) -> String {
    let set = list.iter().filter(|(_, bit)| is_set(*bit));
    let set: Vec<_> = set.map(|(name, _)| *name).collect();
    set.join(", ")
}

/// Where a part of a TCB version is.
type Part = fn(&mut TcbParts) -> &mut u8;

/// One part of a least TCB version: `snp=8`.
#[derive(Clone, Copy, Debug)]
pub struct TcbDemand {
    part: Part,
    least: u8,
}

impl TcbDemand {
    /// Puts the part into a least TCB version.
    pub fn apply(self, parts: &mut TcbParts) {
        *(self.part)(parts) = self.least;
    }
}

impl FromStr for TcbDemand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, least) = text.split_once('=').ok_or("not NAME=NUMBER")?;
        let parts: [(&str, Part); 5] = [
            ("fmc", |parts| &mut parts.fmc),
            ("bootloader", |parts| &mut parts.boot_loader),
            ("tee", |parts| &mut parts.tee),
            ("snp", |parts| &mut parts.snp),
            ("microcode", |parts| &mut parts.microcode),
        ];
        Ok(Self {
            part: named(&parts, name)?,
            least: least.parse().map_err(|error| format!("{error}"))?,
        })
    }
}

/// A PCR that has to have a value: `sha256:7=HEX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrDemand {
    /// The bank.
    pub bank: HashAlg,
    /// The PCR.
    pub pcr: usize,
    /// The value.
    pub value: Vec<u8>,
}

/// Banks by name.
pub const BANKS: [(&str, HashAlg); 4] = [
    ("sha1", HashAlg::Sha1),
    ("sha256", HashAlg::Sha256),
    ("sha384", HashAlg::Sha384),
    ("sha512", HashAlg::Sha512),
];

/// A bank's name.
pub fn bank_name(alg: HashAlg) -> &'static str {
    let found = BANKS.iter().find(|(_, known)| *known == alg);
    found.map_or("?", |(name, _)| name)
}

impl FromStr for PcrDemand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "not BANK:PCR=HEX";
        let (place, value) = text.split_once('=').ok_or(form)?;
        let (bank, pcr) = place.split_once(':').ok_or(form)?;
        let bank = named(&BANKS, bank)?;
        let value = hex::parse(value).filter(|value| value.len() == bank.digest_size());
        Ok(Self {
            bank,
            pcr: pcr.parse().map_err(|error| format!("{error}"))?,
            value: value.ok_or("a value of another size than the bank's")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_are_read_by_name() {
        let mut parts = TcbParts::default();
        "snp=8".parse::<TcbDemand>().unwrap().apply(&mut parts);
        "microcode=115"
            .parse::<TcbDemand>()
            .unwrap()
            .apply(&mut parts);
        assert_eq!((parts.snp, parts.microcode, parts.tee), (8, 115, 0));
        assert!("snp=256".parse::<TcbDemand>().is_err());
        assert!(
            "psp=1"
                .parse::<TcbDemand>()
                .unwrap_err()
                .contains("bootloader")
        );
        assert_eq!(policy_bit("debug"), Ok(GuestPolicy::DEBUG));
        assert!(platform_bit("x").unwrap_err().contains("ciphertext-hiding"));
        let pcr: PcrDemand = format!("sha256:7={}", "0a".repeat(32)).parse().unwrap();
        assert_eq!(
            (pcr.bank, pcr.pcr, pcr.value),
            (HashAlg::Sha256, 7, vec![10; 32])
        );
        assert!("sha256:7=00".parse::<PcrDemand>().is_err());
    }
}
