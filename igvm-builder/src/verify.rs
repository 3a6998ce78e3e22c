//! Checks of an image: its ID block, its policy, and the rules of [`lint`](mod@crate::lint).

use std::fmt;

use p384::ecdsa::VerifyingKey;
use protocols::snp::{IdAuthentication, IdBlock};
use serde::Serialize;

use crate::container::{ContainerError, Image};
use crate::hex;
use crate::id_block::SignedIdBlock;
use crate::keys;
use crate::lint::{Finding, Rule, Weight, lint};
use crate::measure::{KvmHost, measure, measure_with_kvm};
use crate::policy;
use crate::sequence;
use crate::sign;

macro_rules! rules {
    ($($constant:ident $weight:ident $name:literal $reason:literal)*) => {
        $(const $constant: Rule = Rule { name: $name, weight: Weight::$weight, reason: $reason };)*
        /// The rules of this file.
        pub const RULES: &[Rule] = &[$($constant),*];
    };
}
rules! {
    MEASURABLE Error "measurable"
        "the secure processor cannot launch it page by page"
    SIGNED Error "signed"
        "whose image it is was asked for, and only an ID block says so"
    DIGEST Error "id-block-digest"
        "the secure processor refuses a launch that ends with another digest"
    SIGNATURES Error "id-block-signatures"
        "the secure processor refuses the launch"
    POLICY Error "id-block-policy"
        "the secure processor refuses a launch with another policy"
    ID_KEY Error "id-key"
        "somebody else signed the ID block"
    AUTHOR_KEY Error "author-key"
        "somebody else certified the ID key, or nobody did"
    KVM_LAUNCH Error "kvm-launch"
        "QEMU or KVM refuses the launch"
}

/// What the caller knows of the image.
#[derive(Debug, Default)]
pub struct Expected {
    /// An ID block must be there.
    pub signed: bool,
    /// The key that must have signed it.
    pub id_key: Option<VerifyingKey>,
    /// The key that must have certified the ID key.
    pub author_key: Option<VerifyingKey>,
    /// An ID block beside the file; its own counts if there is none.
    pub beside: Option<(IdBlock, IdAuthentication)>,
    /// The launch is QEMU's with KVM; by the file alone if there is none.
    pub host: Option<KvmHost>,
}

/// What came of the checks.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The image's file name.
    pub image: String,
    /// Whether no finding is an error.
    pub good: bool,
    /// The launch digest, if the file has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_digest: Option<String>,
    /// The policy in words.
    pub policy: String,
    /// What the ID block says, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_block: Option<sign::Report>,
    /// The rules that do not hold.
    pub findings: Vec<Finding>,
}

/// Checks the image in `bytes`.
///
/// # Errors
/// [`ContainerError`] for what is no IGVM file.
pub fn verify(name: &str, bytes: &[u8], expected: &Expected) -> Result<Report, ContainerError> {
    let image = Image::parse(bytes)?;
    let mut checks = Checks {
        findings: lint(&image),
    };
    let launch_digest = checks.digest(name, bytes, expected.host);
    let stated = sequence::stated_policy(&image.file);
    let (place, id_block) = match expected.beside {
        Some((block, authentication)) => {
            let beside = SignedIdBlock {
                block,
                authentication,
            };
            (None, Some(beside))
        }
        None => match SignedIdBlock::of_file(&image.file, stated.unwrap_or(0)) {
            Some((index, block)) => (Some(image.place(index)), Some(block)),
            None => (None, None),
        },
    };
    match &id_block {
        Some(signed) => {
            let before = checks.findings.len();
            checks.signed(signed, expected);
            checks.launch(signed, launch_digest.as_deref(), stated);
            for finding in checks.findings.iter_mut().skip(before) {
                finding.place = place;
            }
        }
        None if expected.signed || expected.id_key.is_some() || expected.author_key.is_some() => {
            checks.find(SIGNED, "there is no ID block".into());
        }
        None => {}
    }
    let findings = checks.findings;
    Ok(Report {
        image: name.to_owned(),
        good: findings
            .iter()
            .all(|finding| finding.weight != Weight::Error),
        launch_digest,
        policy: policy::Words(sequence::policy(&image.file)).to_string(),
        id_block: id_block.as_ref().map(sign::Report::of),
        findings,
    })
}

struct Checks {
    findings: Vec<Finding>,
}

impl Checks {
    fn find(&mut self, rule: Rule, found: String) {
        self.findings.push(Finding {
            rule: rule.name,
            weight: rule.weight,
            place: None,
            found,
            reason: rule.reason,
        });
    }

    /// The digest of the launch that is asked about.
    fn digest(&mut self, name: &str, bytes: &[u8], host: Option<KvmHost>) -> Option<String> {
        let measured = match host {
            Some(host) => measure_with_kvm(name, bytes, host),
            None => measure(name, bytes),
        };
        let measurement = measured
            .map_err(|error| self.find(MEASURABLE, error.to_string()))
            .ok()?;
        let refusals = measurement.kvm.iter().flat_map(|kvm| &kvm.refusals);
        let refusals: Vec<_> = refusals.map(ToString::to_string).collect();
        if !refusals.is_empty() {
            self.find(KVM_LAUNCH, refusals.join("; "));
            return None;
        }
        Some(measurement.launch_digest)
    }

    fn signed(&mut self, signed: &SignedIdBlock, expected: &Expected) {
        if let Err(error) = signed.check() {
            self.find(SIGNATURES, error.to_string());
        }
        let auth = &signed.authentication;
        let digest = |key| hex::digits(&keys::digest(key));
        if expected
            .id_key
            .is_some_and(|key| keys::to_wire(&key) != auth.id_key)
        {
            self.find(ID_KEY, format!("the ID key is {}", digest(&auth.id_key)));
        }
        if expected
            .author_key
            .is_some_and(|key| keys::to_wire(&key) != auth.author_key)
        {
            let found = match auth.has_author_key() {
                true => format!("the author key is {}", digest(&auth.author_key)),
                false => "there is no author key".into(),
            };
            self.find(AUTHOR_KEY, found);
        }
    }

    fn launch(&mut self, signed: &SignedIdBlock, digest: Option<&str>, policy: Option<u64>) {
        let named = hex::digits(&signed.block.launch_digest);
        if let Some(digest) = digest.filter(|digest| *digest != named) {
            let found = format!("the ID block names {named}, the launch ends with {digest}");
            self.find(DIGEST, found);
        }
        if policy.is_some_and(|policy| policy != signed.block.policy) {
            let words = policy::Words(signed.block.policy);
            self.find(POLICY, format!("the ID block has the policy {words}"));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = &self.image;
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if let Some(digest) = &self.launch_digest {
            writeln!(f, "launch digest {digest}")?;
        }
        writeln!(f, "policy {}", self.policy)?;
        match &self.id_block {
            Some(block) => write!(f, "{block}")?,
            None => writeln!(f, "no ID block: whose image it is nobody says")?,
        }
        let errors = |weight| {
            self.findings
                .iter()
                .filter(|finding| finding.weight == weight)
                .count()
        };
        let (errors, warnings) = (errors(Weight::Error), errors(Weight::Warning));
        let good = if self.good { "good" } else { "NOT GOOD" };
        writeln!(f, "{image}: {good}, {errors} errors, {warnings} warnings")
    }
}

impl fmt::Display for sign::Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ID block for {}", self.launch_digest)?;
        writeln!(
            f,
            "  guest SVN {}, policy {}",
            self.guest_svn,
            policy::Words(self.policy.0)
        )?;
        writeln!(
            f,
            "  family ID {}, image ID {}",
            self.family_id, self.image_id
        )?;
        writeln!(f, "  ID key {}", self.id_key_digest)?;
        match &self.author_key_digest {
            Some(digest) => writeln!(f, "  author key {digest}"),
            None => writeln!(f, "  no author key"),
        }
    }
}

#[cfg(test)]
mod tests;
