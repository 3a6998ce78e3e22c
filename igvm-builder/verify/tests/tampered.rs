//! Made-up evidence: genuine, and tampered with in every way of the list.

use std::fmt::Write;

use protocols::snp::{GuestPolicy, PlatformInfo, Vmpl};
use rampart_verify::claim::{Id, Outcome, Status};
use rampart_verify::demands::{Demands, Scope};
use rampart_verify::evidence::Evidence;
use rampart_verify::log::Proof;
use rampart_verify::manifest::Manifest;
use rampart_verify::testing::{
    Maker, TAMPERED, ak_attributes, bind, demands, ecdsa, evidence, evidence_with_parameters,
    manifest, round, rsa, sign_again, signing, turin,
};
use rampart_verify::{Verdict, verify};
use snp_model::psp::chip::ReportVersion;
use vtpm::crypto::ecc::Curve;
use vtpm::crypto::hash::HashAlg;
use vtpm::wire::{ObjectAttributes, Scheme};

fn words(verdict: &Verdict, of: impl Fn(Status) -> bool) -> String {
    let claims = verdict.claims.iter().filter(|claim| of(claim.status));
    claims.fold(String::new(), |mut text, claim| {
        let _ = writeln!(text, "{} {}: {}", claim.status, claim.id.name(), claim.why);
        text
    })
}

fn assert_verified(evidence: &Evidence) {
    let verdict = verify(evidence, &demands());
    let open = words(&verdict, |status| {
        !matches!(status, Status::Proven | Status::Unasked)
    });
    assert_eq!((verdict.outcome, open.as_str()), (Outcome::Verified, ""));
}

#[test]
fn genuine_evidence_is_verified_claim_by_claim() {
    let verdict = verify(&evidence(1), &demands());
    assert_eq!(verdict.outcome, Outcome::Verified);
    let ids: Vec<Id> = verdict.claims.iter().map(|claim| claim.id).collect();
    assert_eq!(ids.len(), Id::ALL.len());
    insta::assert_snapshot!(words(&verdict, |_| true));
}

fn events(verdict: &Verdict) -> String {
    let events = verdict.events.iter().map(|event| {
        format!(
            "{:?} {:?} PCR {} {}: {}\n",
            event.by, event.proof, event.pcr, event.kind, event.text
        )
    });
    events.collect()
}

#[test]
fn the_events_are_named() {
    insta::assert_snapshot!(events(&verify(&evidence(1), &demands())));
}

#[test]
fn each_way_to_tamper_refutes_what_it_should_and_nothing_else() {
    let genuine = evidence(1);
    let mut all = String::new();
    for tampered in TAMPERED {
        let verdict = tampered.verdict(&genuine, &demands());
        assert_eq!(tampered.complaint(&verdict), None);
        let told = match tampered.unproven {
            None => Status::Refuted,
            Some(_) => Status::Unproven,
        };
        let text = words(&verdict, |status| status == told);
        let _ = writeln!(all, "{}\n{text}", tampered.name);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn events_of_pcrs_that_were_not_quoted_are_the_logs_word() {
    let name = "a quote of one PCR, and a log of what nobody measured";
    let tampered = TAMPERED.iter().find(|way| way.name == name).unwrap();
    let verdict = tampered.verdict(&evidence(1), &demands());
    assert!(!verdict.events.is_empty());
    for event in verdict.events {
        assert_eq!(event.proof, Proof::LogAlone, "{}", event.text);
    }
    let open = words(&verify(&evidence(1), &demands()), |status| {
        status == Status::Unproven
    });
    assert_eq!(open, "");
}

#[test]
fn a_second_log_in_the_manifest_is_refused() {
    let mut twice = evidence_with_parameters(1);
    let bytes = twice.manifest.take().unwrap();
    let Ok(Manifest::Services(services)) = rampart_verify::manifest::read(&bytes) else {
        panic!()
    };
    let mut services: Vec<_> = services
        .iter()
        .map(|service| (service.guid, service.manifest))
        .collect();
    services.push(*services.last().unwrap());
    twice.manifest = Some(manifest(&services));
    bind(&mut twice);
    let refuted = words(&verify(&twice, &demands()), |status| {
        status == Status::Refuted
    });
    assert_eq!(
        refuted,
        "REFUTED manifest.format: it names two event logs\n"
    );
}

#[test]
fn nothing_is_proven_on_what_is_not() {
    let mut tampered = evidence(1);
    sign_again(&mut tampered, |signed| signed.guest.measurement[0] ^= 1);
    let verdict = verify(&tampered, &demands());
    let status = |id| {
        verdict
            .claims
            .iter()
            .find(|claim| claim.id == id)
            .map(|claim| claim.status)
    };
    for id in [
        Id::ManifestVtpm,
        Id::AkActivation,
        Id::QuotePcrs,
        Id::LogReplay,
        Id::LogNames,
    ] {
        assert_eq!(status(id), Some(Status::Unproven), "{}", id.name());
    }
    assert_eq!(status(Id::ReportSignature), Some(Status::Proven));
}

#[test]
fn a_tpm_of_any_firmware_or_of_the_guest_s_own_level_is_not_proven() {
    let any = Demands {
        digest: rampart_verify::demands::Digest::Any,
        ..demands()
    };
    let open = |verdict: &Verdict| {
        let first = verdict
            .claims
            .iter()
            .find(|claim| claim.status == Status::Unproven);
        (verdict.outcome, first.map(|claim| claim.id))
    };
    let expected = (Outcome::Incomplete, Some(Id::ManifestVtpm));
    assert_eq!(open(&verify(&evidence(1), &any)), expected);
    let mut of_guest = evidence(1);
    sign_again(&mut of_guest, |signed| signed.vmpl = Vmpl::VMPL2);
    let at_2 = Demands {
        vmpl: 2,
        ..demands()
    };
    assert_eq!(open(&verify(&of_guest, &at_2)), expected);
}

#[test]
fn a_missing_file_leaves_claims_open_and_refutes_none() {
    for name in Evidence::FILES {
        let mut evidence = evidence(1);
        let was_there = evidence.file(name).unwrap().take().is_some();
        let outcome = verify(&evidence, &demands()).outcome;
        let expected = match was_there {
            true => Outcome::Incomplete,
            false => Outcome::Verified,
        };
        assert_eq!(outcome, expected, "{name}");
    }
}

#[test]
fn the_scope_says_how_far_it_goes() {
    let mut only = evidence(1);
    (only.quote, only.log) = (None, None);
    for (scope, last) in [
        (Scope::Report, Id::ReportHostData),
        (Scope::Manifest, Id::ManifestVtpm),
    ] {
        let demands = Demands { scope, ..demands() };
        let verdict = verify(&only, &demands);
        assert_eq!(verdict.outcome, Outcome::Verified);
        assert_eq!(verdict.claims.last().unwrap().id, last);
    }
}

#[test]
fn every_kind_of_attestation_key_is_verified() {
    for params in [
        ecdsa(Curve::P256, HashAlg::Sha256),
        ecdsa(Curve::P384, HashAlg::Sha384),
        ecdsa(Curve::P521, HashAlg::Sha512),
        rsa(2048, Scheme::RsaSsa(HashAlg::Sha256)),
        rsa(2048, Scheme::RsaPss(HashAlg::Sha384)),
    ] {
        let template = signing(params, ak_attributes());
        assert_verified(&round(&mut Maker::with_ak(2, &template)));
    }
}

#[test]
fn a_key_that_signs_anything_or_with_sha1_is_refused() {
    let free = ak_attributes().without(ObjectAttributes::RESTRICTED);
    let with_scheme = ecdsa(Curve::P256, HashAlg::Sha256);
    let evidence_of = |template| round(&mut Maker::with_ak(2, &template));
    let refuted = |evidence: &Evidence| {
        let verdict = verify(evidence, &demands());
        words(&verdict, |status| status == Status::Refuted)
    };
    let of_free = refuted(&evidence_of(signing(with_scheme, free)));
    assert_eq!(of_free, "REFUTED ak.attributes: it is not restricted\n");
    let sha1 = ecdsa(Curve::P256, HashAlg::Sha1);
    let of_sha1 = refuted(&evidence_of(signing(sha1, ak_attributes())));
    assert!(
        of_sha1.contains("quote.signature: the signature is of SHA-1"),
        "{of_sha1}"
    );
}

#[test]
fn every_version_of_the_report_is_verified() {
    for version in [ReportVersion::V2, ReportVersion::V3, ReportVersion::V5] {
        let mut evidence = evidence(1);
        sign_again(&mut evidence, |signed| signed.chip.report_version = version);
        assert_verified(&evidence);
    }
}

#[test]
fn a_chip_of_turin_and_a_masked_one_are_verified() {
    let mut of_turin = evidence(1);
    let chain = snp_certificates::chain_of(&turin()).unwrap();
    of_turin.certs = Some(chain.table());
    sign_again(&mut of_turin, |signed| signed.chip = turin());
    assert_verified(&of_turin);
    let mut masked = evidence(1);
    sign_again(&mut masked, |signed| signed.chip.config.mask_chip_id = true);
    assert_verified(&masked);
}

#[test]
fn the_manifest_of_the_tpm_alone_is_enough() {
    let mut single = evidence(1);
    let ek = single.ek.clone().unwrap();
    // Without the size before it.
    single.manifest = Some(ek[2..].to_vec());
    bind(&mut single);
    assert_verified(&single);
}

#[test]
fn certificates_may_come_as_files_and_authorities_may_be_left_out() {
    let chain = snp_certificates::chain().unwrap();
    let mut files = evidence(1);
    files.certs = None;
    files.vcek = Some(chain.vcek);
    files.ask = Some(chain.ask);
    assert_verified(&files);
    files.ark = Some(chain.ark);
    assert_verified(&files);
}

#[test]
fn the_firmware_s_own_log_comes_before_the_guest_s() {
    let genuine = evidence_with_parameters(1);
    assert_verified(&genuine);
    let named = events(&verify(&genuine, &demands()));
    let own: String = named
        .lines()
        .take(2)
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(
        own,
        "Svsm Digest PCR 8 EV_NONHOST_CONFIG: parameter RampartMemoryMap: 48 bytes, 0000000000000000…\n\
         Svsm Digest PCR 8 EV_NONHOST_CONFIG: parameter RampartVpCount: 04000000\n"
    );
    // Another log in the manifest does not explain the PCRs, and one that is cut off nothing.
    let refuted = |change: fn(&mut Vec<u8>)| {
        let mut changed = genuine.clone();
        change(changed.manifest.as_mut().unwrap());
        bind(&mut changed);
        let verdict = verify(&changed, &demands());
        words(&verdict, |status| status == Status::Refuted)
    };
    let changed = refuted(|manifest| {
        let digest = manifest.len() - 20 - 4 - 48;
        manifest[digest] ^= 1;
    });
    assert!(changed.contains("log.replay: PCR 8 of sha384"), "{changed}");
    let cut = refuted(|manifest| {
        manifest.pop();
        let size = (manifest.len() as u32).to_le_bytes();
        manifest[16..20].copy_from_slice(&size);
        let last = 24 + 24 + 20;
        let size = u32::from_le_bytes(manifest[last..last + 4].try_into().unwrap()) - 1;
        manifest[last..last + 4].copy_from_slice(&size.to_le_bytes());
    });
    assert!(
        cut.starts_with("REFUTED log.format: in the manifest: it ends"),
        "{cut}"
    );
}

/// The claims that are refuted under such demands.
fn refuted_by(evidence: &Evidence, demand: impl Fn(&mut Demands)) -> Vec<Id> {
    let mut demands = demands();
    demand(&mut demands);
    let verdict = verify(evidence, &demands);
    let claims = verdict.claims.iter();
    let refuted = claims.filter(|claim| claim.status == Status::Refuted);
    refuted.map(|claim| claim.id).collect()
}

#[test]
fn threat_58_policy_bits_against_page_moves_can_be_demanded() {
    let plain = evidence(1);
    for bit in [
        GuestPolicy::PAGE_SWAP_DISABLE,
        GuestPolicy::CIPHERTEXT_HIDING,
        GuestPolicy::MEM_AES_256_XTS,
    ] {
        let demand = |demands: &mut Demands| demands.require_policy = bit;
        assert_eq!(refuted_by(&plain, demand), [Id::ReportPolicy], "{bit:?}");
        let mut with_bit = plain.clone();
        sign_again(&mut with_bit, |signed| signed.guest.policy |= bit);
        // Of the build's policy it is another.
        assert_eq!(refuted_by(&with_bit, |_| {}), [Id::ReportPolicy], "{bit:?}");
        let demand =
            |demands: &mut Demands| (demands.require_policy, demands.allow_policy) = (bit, bit);
        assert!(refuted_by(&with_bit, demand).is_empty(), "{bit:?}");
    }
    let hiding = |demands: &mut Demands| demands.require_platform = PlatformInfo::CIPHERTEXT_HIDING;
    assert_eq!(refuted_by(&plain, hiding), [Id::ReportPlatform]);
}

#[test]
fn threat_59_smt_and_old_microcode_can_be_refused() {
    let plain = evidence(1);
    let no_smt = |demands: &mut Demands| demands.forbid_policy = GuestPolicy::SMT;
    assert_eq!(refuted_by(&plain, no_smt), [Id::ReportPolicy]);
    let no_smt = |demands: &mut Demands| demands.forbid_platform = PlatformInfo::SMT_EN;
    assert_eq!(refuted_by(&plain, no_smt), [Id::ReportPlatform]);
    let microcode = |least| {
        move |demands: &mut Demands| {
            (demands.min_tcb.microcode, demands.has_min_tcb) = (least, true);
        }
    };
    assert!(refuted_by(&plain, microcode(1)).is_empty());
    assert_eq!(refuted_by(&plain, microcode(255)), [Id::ReportTcb]);
}

/// Of OVMF and Linux under Rampart.
fn of_a_boot() -> Evidence {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/emulated");
    Evidence::read(folder.as_ref()).unwrap()
}

#[test]
fn the_evidence_of_a_boot_is_verified_and_its_events_are_named() {
    let verdict = verify(&of_a_boot(), &demands());
    let open = words(&verdict, |status| {
        !matches!(status, Status::Proven | Status::Unasked)
    });
    assert_eq!((verdict.outcome, open.as_str()), (Outcome::Verified, ""));
    insta::assert_snapshot!(events(&verdict));
}

#[test]
fn the_evidence_of_a_boot_cannot_be_tampered_with() {
    let genuine = of_a_boot();
    for tampered in TAMPERED {
        let verdict = tampered.verdict(&genuine, &demands());
        assert_eq!(tampered.complaint(&verdict), None);
    }
}
