//! Claims, what became of each, and the verdict that they make.

use std::fmt;

use serde::Serialize;

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It follows from the evidence.
    Proven,
    /// The evidence says otherwise.
    Refuted,
    /// It cannot be told: evidence is missing, or what it rests on is not proven.
    Unproven,
    /// Nobody asked.
    Unasked,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Proven => "proven",
            Self::Refuted => "REFUTED",
            Self::Unproven => "unproven",
            Self::Unasked => "unasked",
        })
    }
}

macro_rules! claims {
    ($($variant:ident = $id:literal on [$($base:ident)*] $text:literal;)*) => {
        /// What can be claimed. The order is that of the proof.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Id {
            $(#[doc = $text] $variant,)*
        }

        impl Id {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the output.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// The claim in words.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What it rests on: without that, it is not proven.
            pub const fn rests_on(self) -> &'static [Self] {
                match self { $(Self::$variant => &[$(Self::$base,)*],)* }
            }
        }
    };
}

claims! {
    ReportFormat = "report.format" on []
        "The report is well-formed and of a version that is known";
    ChainFormat = "chain.format" on []
        "The certificates can be read";
    ChainRoot = "chain.root" on [ChainFormat]
        "The chain begins with a root key that is trusted";
    ChainSignatures = "chain.signatures" on [ChainRoot]
        "Each key of the chain is certified by the one above it";
    ChainValidity = "chain.validity" on [ChainSignatures]
        "No certificate is expired or not yet valid";
    ChainKey = "chain.key" on [ChainSignatures ReportFormat]
        "The signing key is that of the chip and the TCB version that the report names";
    ReportSignature = "report.signature" on [ReportFormat ChainSignatures ChainValidity ChainKey]
        "The report is signed by that key";
    ReportVersion = "report.version" on [ReportSignature]
        "The report is of no older version than demanded";
    ReportMeasurement = "report.measurement" on [ReportSignature]
        "The guest was launched from the expected image";
    ReportPolicy = "report.policy" on [ReportSignature]
        "The guest's policy allows nothing that it must not";
    ReportMigration = "report.migration" on [ReportSignature]
        "No migration agent can read the guest's memory";
    ReportVmpl = "report.vmpl" on [ReportSignature]
        "The report was asked for at the expected VMPL";
    ReportTcb = "report.tcb" on [ReportSignature]
        "The processor's firmware is at least as new as demanded";
    ReportPlatform = "report.platform" on [ReportSignature]
        "The platform is set up as demanded";
    ReportChip = "report.chip" on [ReportSignature]
        "It is the demanded chip";
    ReportKeys = "report.keys" on [ReportSignature]
        "The ID block was signed by the demanded keys";
    ReportHostData = "report.host-data" on [ReportSignature]
        "The host's data are the demanded ones";
    ReportData = "report.data" on [ReportSignature]
        "The report was made for this nonce and this manifest";
    ManifestFormat = "manifest.format" on [ReportData]
        "The services manifest can be read";
    ManifestVtpm = "manifest.vtpm" on [ManifestFormat ReportMeasurement ReportPolicy ReportMigration ReportVmpl]
        "The measured firmware vouches for a vTPM with this endorsement key";
    EkSame = "ek.same" on [ManifestVtpm]
        "The endorsement key of the challenge is that of the manifest";
    AkActivation = "ak.activation" on [EkSame]
        "The attestation key lives in the TPM of that endorsement key";
    AkAttributes = "ak.attributes" on [AkActivation]
        "The attestation key signs what its TPM made and cannot leave it";
    QuoteSignature = "quote.signature" on [AkActivation AkAttributes]
        "The quote is signed by that attestation key";
    QuoteNonce = "quote.nonce" on [QuoteSignature]
        "The quote was made for this nonce";
    QuotePcrs = "quote.pcrs" on [QuoteSignature QuoteNonce]
        "The PCR values are the quoted ones";
    PcrValues = "pcr.values" on [QuotePcrs]
        "The PCRs have the demanded values";
    LogFormat = "log.format" on []
        "The event log can be read";
    LogReplay = "log.replay" on [LogFormat QuotePcrs]
        "The event log explains every quoted PCR";
    LogNames = "log.names" on [LogReplay]
        "What the events say about themselves is what was measured, where a log can show that";
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One claim and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// Which.
    pub id: Id,
    /// What became of it.
    pub status: Status,
    /// The claim in words.
    pub claim: &'static str,
    /// Why it is so.
    pub why: String,
}

/// What all claims come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All that was asked is proven.
    Verified,
    /// Something is refuted.
    Refuted,
    /// Nothing is refuted, and something could not be told.
    Incomplete,
}

impl Outcome {
    /// The exit status of the program.
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Refuted => 1,
            Self::Incomplete => 3,
        }
    }
}

/// The claims in the order of the proof.
#[derive(Clone, Debug, Default)]
pub struct Claims(Vec<Claim>);

impl Claims {
    /// Which firmware it is.
    const FIRMWARE: Id = Id::ReportMeasurement;

    /// Records a claim; a proof that rests on something unproven is none.
    pub fn add(&mut self, id: Id, found: Result<String, Failure>) {
        let (status, why) = match found {
            Ok(why) => match self.missing_base(id) {
                None => (Status::Proven, why),
                Some(base) => {
                    let base = base.name();
                    let why = format!("{why}; but this rests on {base}, which is not proven");
                    (Status::Unproven, why)
                }
            },
            Err(Failure::Refuted(why)) => (Status::Refuted, why),
            Err(Failure::Unproven(why)) => (Status::Unproven, why),
            Err(Failure::Unasked(why)) => (Status::Unasked, why),
        };
        self.0.push(Claim {
            id,
            status,
            claim: id.text(),
            why,
        });
    }

    fn missing_base(&self, id: Id) -> Option<Id> {
        let is_open = |base: &&Id| match self.status(**base) {
            Some(Status::Proven) => false,
            // Nothing that firmware says counts if it could be any firmware.
            Some(Status::Unasked) => **base == Self::FIRMWARE,
            Some(Status::Refuted | Status::Unproven) | None => true,
        };
        id.rests_on().iter().find(is_open).copied()
    }

    /// What became of a claim; None if it was not looked at.
    pub fn status(&self, id: Id) -> Option<Status> {
        let found = self.0.iter().find(|claim| claim.id == id);
        found.map(|claim| claim.status)
    }

    /// The claims.
    pub fn as_slice(&self) -> &[Claim] {
        &self.0
    }

    /// What they come to.
    pub fn outcome(&self) -> Outcome {
        let has = |status| self.0.iter().any(|claim| claim.status == status);
        if has(Status::Refuted) {
            Outcome::Refuted
        } else if has(Status::Unproven) || !has(Status::Proven) {
            Outcome::Incomplete
        } else {
            Outcome::Verified
        }
    }
}

/// Why a claim is not proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The evidence says otherwise.
    Refuted(String),
    /// It cannot be told.
    Unproven(String),
    /// Nobody asked.
    Unasked(String),
}

/// The evidence says otherwise.
pub(crate) fn refuted<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Refuted(why.into()))
}

/// It cannot be told.
pub(crate) fn unproven<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Unproven(why.into()))
}

/// Nobody asked.
pub(crate) fn unasked<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Unasked(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_is_explained_and_rests_on_earlier_ones() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify.md");
        let text = std::fs::read_to_string(path).unwrap();
        for (index, id) in Id::ALL.iter().enumerate() {
            assert!(text.contains(&format!("`{}`", id.name())), "{}", id.name());
            for base in id.rests_on() {
                let place = Id::ALL.iter().position(|other| other == base);
                assert!(place.unwrap() < index, "{}", id.name());
            }
        }
    }

    #[test]
    fn a_claim_is_not_proven_without_what_it_rests_on() {
        let mut claims = Claims::default();
        claims.add(Id::ChainFormat, Ok("read".into()));
        claims.add(Id::ChainRoot, refuted("none"));
        claims.add(Id::ChainSignatures, Ok("signed".into()));
        assert_eq!(claims.status(Id::ChainSignatures), Some(Status::Unproven));
        assert_eq!(claims.outcome(), Outcome::Refuted);
        assert_eq!(Claims::default().outcome(), Outcome::Incomplete);
    }
}
