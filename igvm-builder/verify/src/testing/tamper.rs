//! Ways to tamper with evidence, each with the claims that it refutes.

use der::DateTime;
use protocols::snp::{CertificateKind, GuestPolicy, PlatformInfo, TcbVersion, Vmpl};

use vtpm::crypto::ecc::Curve;
use vtpm::crypto::hash::HashAlg;
use vtpm::wire::{Public, Scheme};

use super::{
    Maker, ak_attributes, bind, ecdsa, evidence, manifest, quoted_again, round, rsa, sign_again,
    signing, table_entry,
};
use crate::challenge::Challenge;
use crate::claim::{Claim, Id, Outcome, Status};
use crate::demands::Demands;
use crate::evidence::Evidence;
use crate::log::{Event, read};
use crate::{Verdict, verify};

/// One way. It works on any evidence of the emulated machine with all its files.
pub struct Tampered {
    /// Its name.
    pub name: &'static str,
    /// Every claim that is refuted then, and no other is.
    pub refuted: &'static [Id],
    /// If none is refuted: the first that is not proven then.
    pub unproven: Option<Id>,
    /// Does it.
    pub apply: fn(&mut Evidence, &mut Demands),
}

impl Tampered {
    /// The verdict on evidence that is tampered with in this way.
    ///
    /// # Panics
    /// When the evidence lacks a file, or was not verified before.
    pub fn verdict(&self, evidence: &Evidence, demands: &Demands) -> Verdict {
        let (mut evidence, mut demands) = (evidence.clone(), demands.clone());
        (self.apply)(&mut evidence, &mut demands);
        verify(&evidence, &demands)
    }

    /// What is wrong with such a verdict, if it does not refute what it should, or more.
    pub fn complaint(&self, verdict: &Verdict) -> Option<String> {
        let is_refuted = |claim: &&Claim| claim.status == Status::Refuted;
        let refuted: Vec<Id> = verdict
            .claims
            .iter()
            .filter(is_refuted)
            .map(|claim| claim.id)
            .collect();
        let unproven = || {
            let mut claims = verdict.claims.iter();
            let first = claims.find(|claim| claim.status == Status::Unproven);
            first.map(|claim| claim.id)
        };
        let is_right = refuted == self.refuted
            && match self.unproven {
                None => verdict.outcome == Outcome::Refuted,
                first => verdict.outcome == Outcome::Incomplete && unproven() == first,
            };
        (!is_right).then(|| {
            format!(
                "{}: {:?}, refuted are {refuted:?}, not {:?}, unproven is first {:?}, not {:?}",
                self.name,
                verdict.outcome,
                self.refuted,
                unproven(),
                self.unproven
            )
        })
    }
}

/// The seed of a TPM that is not the guest's.
const FOREIGN: u64 = 0xbad;

fn flip(file: &mut Option<Vec<u8>>, at: usize) {
    let bytes = file.as_mut().expect("the file");
    bytes[at] ^= 1;
}

fn flip_last(file: &mut Option<Vec<u8>>) {
    let last = file.as_ref().expect("the file").len() - 1;
    flip(file, last);
}

/// Flips a bit in the certificate of a kind, as far behind its end.
fn flip_certificate(evidence: &mut Evidence, kind: CertificateKind, from_end: usize) {
    let (start, len) = table_entry(evidence, kind).expect("the certificate");
    flip(&mut evidence.certs, start + len - from_end);
}

/// Writes the log anew with its events changed.
fn events(evidence: &mut Evidence, change: fn(&mut Vec<Event<'_>>)) {
    let bytes = evidence.log.take().expect("a log");
    let mut log = read(&bytes).expect("a log that can be read");
    let head = 32 + u32::from_le_bytes(bytes[28..32].try_into().expect("four bytes")) as usize;
    change(&mut log.events);
    let mut out = bytes[..head].to_vec();
    for event in &log.events {
        out.extend(event.pcr.to_le_bytes());
        out.extend(event.kind.to_le_bytes());
        out.extend((event.digests.len() as u32).to_le_bytes());
        for (alg, digest) in &event.digests {
            out.extend(alg.to_le_bytes());
            out.extend(*digest);
        }
        out.extend((event.data.len() as u32).to_le_bytes());
        out.extend(event.data);
    }
    evidence.log = Some(out);
}

/// The event's index that is measured into a PCR before another with another digest, and
/// that one's.
fn neighbours(events: &[Event<'_>]) -> (usize, usize) {
    let pairs = (0..events.len()).flat_map(|a| (a + 1..events.len()).map(move |b| (a, b)));
    let mut pairs = pairs.filter(|&(a, b)| {
        let (a, b) = (&events[a], &events[b]);
        a.is_measured() && b.is_measured() && a.pcr == b.pcr && a.digests != b.digests
    });
    pairs.next().expect("two events of one PCR")
}

/// Where the quote's clock is.
fn clock(quote: &[u8]) -> usize {
    let sized = |at: usize| at + 2 + usize::from(u16::from_be_bytes([quote[at], quote[at + 1]]));
    sized(sized(6))
}

/// A chain for the chip with another TCB version.
fn older(tcb: u64) -> snp_certificates::Chain {
    let mut chip = snp_certificates::chip();
    chip.config.reported_tcb = Some(TcbVersion(tcb));
    snp_certificates::chain_of(&chip).expect("a chain")
}

/// Puts another TPM in the guest's place: its evidence, with a report that vouches for it.
fn with_tpm(evidence: &mut Evidence, foreign: Evidence) {
    let own = std::mem::replace(evidence, foreign);
    (evidence.report, evidence.certs, evidence.expected) = (own.report, own.certs, own.expected);
    bind(evidence);
}

/// The evidence of a TPM whose attestation key is of this template.
fn with_ak(evidence: &mut Evidence, template: &Public) {
    with_tpm(evidence, round(&mut Maker::with_ak(FOREIGN, template)));
}

macro_rules! tampered {
    ($($name:literal refutes [$($id:ident)*] $(leaves $open:ident)? by $apply:expr;)*) => {
        /// All ways.
        pub const TAMPERED: &[Tampered] = &[$(
            Tampered {
                name: $name,
                refuted: &[$(Id::$id,)*],
                unproven: { let _first: Option<Id> = None; $(let _first = Some(Id::$open);)? _first },
                apply: $apply,
            },
        )*];
    };
}

tampered! {
    "one bit of the report" refutes [ReportSignature] by |e, _| flip(&mut e.report, 0x140);
    "one bit of the report's signature" refutes [ReportSignature] by |e, _| flip(&mut e.report, 0x2a0);
    "one bit beside the report's signature" refutes [ReportFormat] by |e, _| flip_last(&mut e.report);
    "a report of a version of the future" refutes [ReportFormat] by |e, _| {
        e.report.as_mut().expect("a report")[0] = 9;
    };
    "a report that is cut off" refutes [ReportFormat] by |e, _| {
        e.report.as_mut().expect("a report").pop();
    };
    "a report of VMPL2" refutes [ReportVmpl] by |e, _| {
        sign_again(e, |signed| signed.vmpl = Vmpl::VMPL2);
    };
    "another image" refutes [ReportMeasurement] by |e, _| {
        sign_again(e, |signed| signed.guest.measurement[0] ^= 1);
    };
    "a policy with debug" refutes [ReportPolicy] by |e, _| {
        sign_again(e, |signed| signed.guest.policy |= GuestPolicy::DEBUG);
    };
    "a policy with a migration agent" refutes [ReportPolicy] by |e, _| {
        sign_again(e, |signed| signed.guest.policy |= GuestPolicy::MIGRATE_MA);
    };
    "a policy with debug, allowed" refutes [] leaves ManifestVtpm by |e, d| {
        d.allow_policy = GuestPolicy::DEBUG;
        sign_again(e, |signed| signed.guest.policy |= GuestPolicy::DEBUG);
    };
    "a policy with a migration agent, allowed" refutes [] leaves ManifestVtpm by |e, d| {
        d.allow_policy = GuestPolicy::MIGRATE_MA;
        sign_again(e, |signed| signed.guest.policy |= GuestPolicy::MIGRATE_MA);
    };
    "a report of another round" refutes [ReportData] by |e, _| {
        sign_again(e, |signed| signed.data[0] ^= 1);
    };
    "a report that the host left unsigned" refutes [ReportSignature] by |e, _| {
        sign_again(e, |signed| signed.chip.config.mask_chip_key = true);
    };
    "an old nonce" refutes [ReportData QuoteNonce] by |e, _| flip(&mut e.nonce, 0);
    "half a nonce" refutes [ReportData QuoteNonce] by |e, _| {
        e.nonce.as_mut().expect("a nonce").truncate(32);
    };
    "one bit of the manifest's key" refutes [ReportData EkSame AkActivation] by |e, _| {
        flip_last(&mut e.manifest);
    };
    "a manifest of no TPM" refutes [ManifestVtpm] by |e, _| {
        e.manifest = Some(manifest(&[]));
        bind(e);
    };
    "a manifest that is cut off" refutes [ManifestFormat] by |e, _| {
        e.manifest.as_mut().expect("a manifest").pop();
        bind(e);
    };
    "a manifest of another guest" refutes [ReportData EkSame AkActivation] by |e, _| {
        e.manifest = evidence(FOREIGN).manifest;
    };
    "a foreign EK" refutes [EkSame] by |e, _| e.ek = evidence(FOREIGN).ek;
    "a foreign TPM throughout" refutes [ReportData] by |e, _| {
        let foreign = evidence(FOREIGN);
        let own = std::mem::replace(e, foreign);
        (e.report, e.certs, e.expected) = (own.report, own.certs, own.expected);
    };
    "a foreign AK" refutes [AkActivation QuoteSignature] by |e, _| e.ak = evidence(FOREIGN).ak;
    "a foreign AK that quotes" refutes [AkActivation] by |e, _| {
        let foreign = evidence(FOREIGN);
        (e.ak, e.quote, e.signature, e.pcrs) = (foreign.ak, foreign.quote, foreign.signature, foreign.pcrs);
        e.nonce.clone_from(&foreign.nonce);
        e.log = foreign.log;
        bind(e);
    };
    "a foreign AK with a challenge of its own" refutes [AkActivation] by |e, _| {
        // The challenge is made for the guest's EK and the foreign AK: nobody opens it.
        let foreign = Maker::new(FOREIGN);
        let own = evidence(FOREIGN);
        let ek = crate::testing::tpm_public(e.ek.as_deref());
        let secret = e.credential_secret.as_deref().expect("a secret").try_into();
        let challenge = Challenge::new(secret.expect("32 bytes"), &ek, &foreign.ak);
        e.credential_blob = Some(challenge.expect("a challenge").blob);
        (e.ak, e.quote, e.signature, e.pcrs, e.log) = (own.ak, own.quote, own.signature, own.pcrs, own.log);
        e.nonce.clone_from(&own.nonce);
        e.credential_answer = Some(vec![0; 32]);
        bind(e);
    };
    "an AK that signs anything" refutes [AkActivation AkAttributes] by |e, _| {
        // TPM2B size, type, name algorithm, then the attributes; restricted is bit 16.
        flip(&mut e.ak, 2 + 2 + 2 + 1);
    };
    "an AK with a Name of SHA-1" refutes [AkActivation AkAttributes] by |e, _| {
        let mut template = signing(ecdsa(Curve::P256, HashAlg::Sha256), ak_attributes());
        template.name_alg = Some(HashAlg::Sha1);
        with_ak(e, &template);
    };
    "an AK of RSA with 1024 bits" refutes [AkActivation AkAttributes] by |e, _| {
        with_ak(e, &signing(rsa(1024, Scheme::RsaSsa(HashAlg::Sha256)), ak_attributes()));
    };
    "one bit of the challenge" refutes [AkActivation] by |e, _| flip_last(&mut e.credential_blob);
    "one bit of the answer to the challenge" refutes [AkActivation] by |e, _| flip(&mut e.credential_answer, 0);
    "the secret of another round" refutes [AkActivation] by |e, _| flip(&mut e.credential_secret, 0);
    "one bit of the quote" refutes [QuoteSignature] by |e, _| {
        let at = clock(e.quote.as_deref().expect("a quote"));
        flip(&mut e.quote, at);
    };
    "one bit of the quote's signature" refutes [QuoteSignature] by |e, _| flip_last(&mut e.signature);
    "one bit of a PCR's value" refutes [QuotePcrs] by |e, _| flip(&mut e.pcrs, 0);
    "a PCR's value left out" refutes [QuotePcrs] by |e, _| {
        e.pcrs.as_mut().expect("values").drain(..32);
    };
    "a removed event" refutes [LogReplay] by |e, _| events(e, |events| {
        let (first, _) = neighbours(events);
        events.remove(first);
    });
    "two events in another order" refutes [LogReplay] by |e, _| events(e, |events| {
        let (first, second) = neighbours(events);
        events.swap(first, second);
    });
    "an event more" refutes [LogReplay] by |e, _| events(e, |events| {
        let (first, _) = neighbours(events);
        let again = events[first].clone();
        events.push(again);
    });
    "an event that says something else" refutes [LogNames] by |e, _| events(e, |events| {
        let is_action = |event: &&mut Event<'_>| event.kind == 0x8000_0007;
        events.iter_mut().find(is_action).expect("an action").data = b"Nothing happened";
    });
    "an event of another type that says something else" refutes [LogNames] by |e, _| events(e, |events| {
        let is_variable = |event: &&mut Event<'_>| event.pcr == 7 && event.kind == 0x8000_0001;
        let event = events.iter_mut().find(is_variable).expect("a variable");
        // EV_IPL, whose digest is of a program in general.
        (event.kind, event.data) = (0xd, b"SecureBoot is on");
    });
    "a quote of one PCR, and a log of what nobody measured" refutes [] leaves LogReplay by |e, _| {
        let log = e.log.clone();
        let mut empty = Maker::new(FOREIGN);
        let mut foreign = evidence(FOREIGN);
        quoted_again(&mut foreign, &mut empty, &[HashAlg::Sha256], 16..17);
        with_tpm(e, foreign);
        e.log = log;
    };
    "events of PCRs that were not quoted" refutes [] leaves LogReplay by |e, _| {
        let mut maker = Maker::new(FOREIGN);
        let mut foreign = round(&mut maker);
        quoted_again(&mut foreign, &mut maker, &[HashAlg::Sha256], 0..8);
        with_tpm(e, foreign);
    };
    "a quote that leaves PCR 7 out" refutes [] leaves LogReplay by |e, _| {
        let mut maker = Maker::new(FOREIGN);
        let mut foreign = round(&mut maker);
        quoted_again(&mut foreign, &mut maker, &[HashAlg::Sha256], 0..7);
        with_tpm(e, foreign);
        events(e, |events| events.retain(|event| event.pcr < 7));
    };
    "a first locality that there is not" refutes [LogFormat] by |e, _| events(e, |events| {
        let mut notice = events[0].clone();
        (notice.pcr, notice.kind, notice.data) = (0, 3, b"StartupLocality\0\x05");
        events.insert(0, notice);
    });
    "a first locality after PCR 0 was extended" refutes [LogFormat] by |e, _| events(e, |events| {
        let mut notice = events[0].clone();
        (notice.pcr, notice.kind, notice.data) = (0, 3, b"StartupLocality\0\0");
        events.push(notice);
    });
    "a log that is cut off" refutes [LogFormat] by |e, _| {
        e.log.as_mut().expect("a log").pop();
    };
    "one bit of the VCEK" refutes [ChainSignatures] by |e, _| {
        flip_certificate(e, CertificateKind::VCEK, 1);
    };
    "one bit of the ASK" refutes [ChainSignatures] by |e, _| {
        flip_certificate(e, CertificateKind::ASK, 1);
    };
    "one bit of the ARK" refutes [ChainRoot ChainSignatures] by |e, _| {
        flip_certificate(e, CertificateKind::ARK, 1);
    };
    "the VCEK of another TCB version" refutes [ChainKey ReportSignature] by |e, _| {
        e.certs = Some(older(0).table());
    };
    "a certificate table without an end" refutes [ChainFormat] by |e, _| {
        e.certs.as_mut().expect("a table").truncate(60);
    };
    "the test root, not allowed" refutes [ChainRoot] by |_, d| d.allow_test_root = false;
    "a chain that has expired" refutes [ChainValidity] by |_, d| {
        d.now = DateTime::new(2060, 1, 1, 0, 0, 0).ok();
    };
    "a TCB below the least one" refutes [ReportTcb] by |_, d| {
        (d.min_tcb.snp, d.has_min_tcb) = (200, true);
    };
    "a platform with SMT, not wanted" refutes [ReportPlatform] by |_, d| {
        d.forbid_platform = PlatformInfo::SMT_EN;
    };
    "another chip" refutes [ReportChip] by |_, d| d.chip = Some([1; 64]);
    "a host that says something else" refutes [ReportHostData] by |_, d| d.host_data = Some([1; 32]);
    "an image that nobody signed" refutes [ReportKeys] by |_, d| d.id_key = Some([1; 48]);
    "a report of an older version" refutes [ReportVersion] by |_, d| d.min_report_version = 6;
}
