use igvm_defs::IgvmPageDataType;
use p384::ecdsa::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::sign::{Place, Request, sign};
use crate::testing::*;

fn id_key() -> SigningKey {
    keys::private(include_str!("../../tests/data/id-key.pem")).unwrap()
}

fn author_key() -> SigningKey {
    keys::private(include_str!("../../tests/data/author-key.pem")).unwrap()
}

fn signed(file: &[u8]) -> sign::Signed {
    let author = author_key();
    let request = Request::default();
    sign(
        "x",
        file,
        &request,
        &id_key(),
        Some(&author),
        Place::Embedded,
    )
    .unwrap()
}

fn names(file: &[u8], expected: &Expected) -> Vec<&'static str> {
    let report = verify("x", file, expected).unwrap();
    let rules: Vec<_> = report.findings.iter().map(|finding| finding.rule).collect();
    let errors = report
        .findings
        .iter()
        .any(|finding| finding.weight == Weight::Error);
    assert_eq!(report.good, !errors);
    rules
}

fn keys_expected() -> Expected {
    Expected {
        signed: true,
        id_key: Some(*id_key().verifying_key()),
        author_key: Some(*author_key().verifying_key()),
        ..Expected::default()
    }
}

#[test]
fn a_signed_image_is_good() {
    let file = signed(&plain_image()).file;
    assert_eq!(names(&file, &keys_expected()), [] as [&str; 0]);
    let text = verify("x", &file, &keys_expected()).unwrap().to_string();
    assert!(text.contains("author key abf49377"), "{text}");
    assert!(text.ends_with("x: good, 0 errors, 0 warnings\n"), "{text}");
}

#[test]
fn an_unsigned_image_is_good_unless_a_signature_is_asked_for() {
    let file = plain_image();
    assert_eq!(names(&file, &Expected::default()), [] as [&str; 0]);
    let report = verify("x", &file, &Expected::default()).unwrap();
    assert!(report.to_string().contains("nobody says"), "{report}");
    assert_eq!(names(&file, &keys_expected()), ["signed"]);
}

#[test]
fn another_key_is_named() {
    let file = signed(&plain_image()).file;
    let other = Expected {
        id_key: Some(*author_key().verifying_key()),
        author_key: Some(*id_key().verifying_key()),
        ..Expected::default()
    };
    assert_eq!(names(&file, &other), ["id-key", "author-key"]);
    let alone = sign(
        "x",
        &plain_image(),
        &Request::default(),
        &id_key(),
        None,
        Place::Embedded,
    );
    let report = verify("x", &alone.unwrap().file, &keys_expected()).unwrap();
    assert!(
        report.to_string().contains("there is no author key"),
        "{report}"
    );
}

#[test]
fn a_changed_page_makes_another_digest() {
    let mut file = signed(&plain_image()).file;
    // The firmware's last byte: the file ends with the VMSA's page.
    let last = file.iter().rposition(|byte| *byte == 0xff).unwrap();
    file[last] = 0xfe;
    let report = verify("x", &file, &keys_expected()).unwrap();
    let found: Vec<_> = report.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(found, ["id-block-digest"]);
    let place = report.findings[0].place.unwrap();
    assert_eq!(place.name, "SNP_ID_BLOCK");
}

#[test]
fn a_changed_policy_breaks_the_signature() {
    // The directive has no policy of its own: the file's enters the ID block.
    let mut file = signed(&plain_image()).file;
    file[24 + 24 + 8 + 2] ^= 8;
    fix_checksum(&mut file);
    assert_eq!(
        names(&file, &Expected::default()),
        ["closed-policy", "id-block-signatures"]
    );
}

#[test]
fn an_id_block_beside_the_file_has_the_files_policy() {
    let signed = signed(&plain_image()).id_block;
    let with = |policy| {
        let mut block = signed.block;
        block.policy = policy;
        Expected {
            beside: Some((block, signed.authentication)),
            ..keys_expected()
        }
    };
    assert_eq!(names(&plain_image(), &with(0x3_0000)), [] as [&str; 0]);
    assert_eq!(
        names(&plain_image(), &with(0xb_0000)),
        ["id-block-signatures", "id-block-policy"]
    );
    assert!(names(&rampart_image(), &with(0x3_0000)).contains(&"id-block-digest"));
}

#[test]
fn a_launch_that_cannot_be_is_no_good() {
    let file = igvm_file(0x3_0000, vec![page(0, IgvmPageDataType::NORMAL, vec![1])]);
    assert_eq!(
        names(&file, &Expected::default()),
        ["boot-processor", "measurable"]
    );
    let host = KvmHost {
        vcpus: 2,
        signature: None,
    };
    let expected = Expected {
        host: Some(host),
        ..Expected::default()
    };
    let report = verify("x", &plain_image(), &expected).unwrap();
    assert!(
        report.to_string().contains("1 vCPUs have no VMSA"),
        "{report}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damaged_files_never_panic(file in any_damage(signed(&plain_image()).file)) {
        let _ = verify("x", &file, &keys_expected()).map(|report| report.to_string());
    }
}
