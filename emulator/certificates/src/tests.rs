//! Read back by the verifier's side: parsers and keys, no builder.

use der::Decode;
use der::Encode;
use p384::ecdsa::VerifyingKey;
use p384::pkcs8::DecodePublicKey;
use protocols::snp::{ReportRequest, Vmpl, certificates};
use rsa::signature::Verifier;
use snp_model::launch::Launch;
use snp_model::psp::guest::Guest;
use snp_model::psp::report::{is_signed_by, make};
use snp_model::types::Asid;
use x509_cert::Certificate;
use zerocopy::FromZeros;

use super::*;

fn read(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

fn key_in<K: DecodePublicKey>(certificate: &Certificate) -> Option<K> {
    let info = certificate.tbs_certificate().subject_public_key_info();
    K::from_public_key_der(&info.to_der().unwrap()).ok()
}

fn is_issued_by(of: &Certificate, by: &Certificate) -> bool {
    let signature = pss::Signature::try_from(of.signature().raw_bytes()).unwrap();
    let signed = of.tbs_certificate().to_der().unwrap();
    of.tbs_certificate().issuer() == by.tbs_certificate().subject()
        && key_in::<pss::VerifyingKey<Sha384>>(by)
            .is_some_and(|key| key.verify(&signed, &signature).is_ok())
}

#[test]
fn the_chain_holds_from_the_root_to_the_chip() {
    let chain = chain().unwrap();
    let [ark, ask, vcek] = [&chain.ark, &chain.ask, &chain.vcek].map(|der| read(der));
    assert!(is_issued_by(&ark, &ark));
    assert!(is_issued_by(&ask, &ark));
    assert!(is_issued_by(&vcek, &ask));
    assert!(!is_issued_by(&vcek, &ark));
    assert!(!is_issued_by(&ask, &vcek));
}

#[test]
fn a_report_of_the_chip_is_signed_by_the_key_of_the_chain() {
    let policy = protocols::snp::GuestPolicy::MUST_BE_ONE;
    let launched = Launch::start(Asid::new(1).unwrap(), policy)
        .unwrap()
        .finish();
    let guest = Guest::new(&launched, &chip(), [1; 32]);
    let request = ReportRequest::new_zeroed();
    let report = make(&chip(), &guest, Vmpl::VMPL0, &request).unwrap();
    let vcek: VerifyingKey = key_in(&read(&chain().unwrap().vcek)).unwrap();
    assert!(is_signed_by(&report, &vcek));
}

#[test]
fn every_name_says_that_it_is_a_test() {
    let chain = chain().unwrap();
    for der in [&chain.ark, &chain.ask, &chain.vcek] {
        let certificate = read(der);
        let tbs = certificate.tbs_certificate();
        for name in [tbs.subject(), tbs.issuer()] {
            let text = name.to_string();
            assert!(text.contains("Test chain of an emulated machine"), "{text}");
            assert!(!text.contains("Advanced Micro Devices"), "{text}");
        }
    }
}

#[test]
fn the_vcek_s_certificate_names_chip_and_tcb() {
    let vcek = read(&chain().unwrap().vcek);
    let extensions = vcek.tbs_certificate().extensions().unwrap();
    let value = |oid: &str| {
        let found = extensions.iter().find(|e| e.extn_id.to_string() == oid);
        found.unwrap().extn_value.as_bytes().to_vec()
    };
    assert_eq!(extensions.len(), 11);
    assert_eq!(value("1.3.6.1.4.1.3704.1.1"), [2, 1, 0]);
    assert_eq!(value("1.3.6.1.4.1.3704.1.2"), b"\x16\x08Emulated");
    for (arc, number) in [
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 0),
        (5, 0),
        (6, 0),
        (7, 0),
        (8, 1),
    ] {
        let oid = format!("1.3.6.1.4.1.3704.1.3.{arc}");
        assert_eq!(value(&oid), [2, 1, number], "{oid}");
    }
    assert_eq!(value("1.3.6.1.4.1.3704.1.4"), chip().id);
}

#[test]
fn the_table_has_the_three_of_them() {
    let chain = chain().unwrap();
    let table = chain.table();
    let found: Result<Vec<_>, _> = certificates(&table).collect();
    let expected = [
        (CertificateKind::VCEK, &chain.vcek[..]),
        (CertificateKind::ASK, &chain.ask[..]),
        (CertificateKind::ARK, &chain.ark[..]),
    ];
    assert_eq!(found.unwrap(), expected);
}

#[test]
fn every_build_makes_the_same_chain() {
    assert_eq!(chain().unwrap(), chain().unwrap());
}

#[test]
fn the_authorities_keys_are_of_4096_bits_and_of_primes() {
    for authority in [Authority::ARK, Authority::ASK] {
        for prime in authority.primes() {
            assert_eq!(prime.bits_vartime(), 2048);
            assert!(crypto_primes::is_prime(crypto_primes::Flavor::Any, &prime));
        }
        let key = authority.key().unwrap();
        assert_eq!(rsa::traits::PublicKeyParts::size(key.as_ref()), 512);
    }
}

#[test]
fn the_table_fits_the_four_pages_that_linux_has_for_it() {
    assert!(chain().unwrap().table().len() <= 4 * 4096);
}

#[test]
fn a_chip_of_turin_has_one_number_more() {
    let chip = emulated::chip(Processor::from_cpuid(0x00b0_0f21), ReportVersion::V5);
    let vcek = read(&chain_of(&chip).unwrap().vcek);
    let extensions = vcek.tbs_certificate().extensions().unwrap();
    let last = extensions
        .iter()
        .find(|e| e.extn_id.to_string() == "1.3.6.1.4.1.3704.1.3.9");
    assert_eq!(last.unwrap().extn_value.as_bytes(), [2, 1, 1]);
}
