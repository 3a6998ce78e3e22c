use super::*;
use crate::testing::{any_damage, boot_processor, igvm_file, page, plain_image, rampart_image};
use igvm_defs::IgvmPageDataType;
use proptest::prelude::*;
use std::process::Command;

fn id_key() -> SigningKey {
    keys::private(include_str!("../../tests/data/id-key.pem")).unwrap()
}

fn author_key() -> SigningKey {
    keys::private(include_str!("../../tests/data/author-key.pem")).unwrap()
}

fn embed(bytes: &[u8], request: &Request) -> Result<Signed, SignError> {
    let author = author_key();
    sign(
        "x",
        bytes,
        request,
        &id_key(),
        Some(&author),
        Place::Embedded,
    )
}

fn policy(names: &str) -> Option<GuestPolicy> {
    Some(policy::parse(names).unwrap())
}

#[test]
fn a_signed_image_launches_as_the_unsigned_one() {
    for file in [plain_image(), rampart_image()] {
        let unsigned = measure("x", &file).unwrap();
        let signed = embed(&file, &Request::default()).unwrap();
        let again = measure("x", &signed.file).unwrap();
        assert_eq!(again, unsigned);
        let digest = hex::digits(&signed.id_block.block.launch_digest);
        assert_eq!(digest, unsigned.launch_digest);
        assert_eq!(signed.id_block.block.policy, unsigned.policy.0);
        assert_eq!(signed.id_block.check(), Ok(()));
    }
}

#[test]
fn signing_again_replaces_the_id_block() {
    let once = embed(&plain_image(), &Request::default()).unwrap();
    let request = Request {
        guest_svn: 3,
        ..Request::default()
    };
    let twice = embed(&once.file, &request).unwrap();
    assert_eq!(twice.file, embed(&plain_image(), &request).unwrap().file);
    assert_eq!(twice.file.len(), once.file.len());
    assert_ne!(twice.file, once.file);
}

#[test]
fn the_policy_of_an_embedded_id_block_becomes_the_files() {
    let request = Request {
        policy: policy("smt,aes-256-xts"),
        minimum_abi: Some((1, 55)),
        ..Request::default()
    };
    let signed = embed(&plain_image(), &request).unwrap();
    assert_eq!(signed.id_block.block.policy, 0x43_0137);
    assert_eq!(measure("x", &signed.file).unwrap().policy.0, 0x43_0137);
    // The bits alone leave the least version as it is.
    let request = Request {
        policy: policy("smt"),
        ..Request::default()
    };
    let signed = embed(&rampart_image(), &request).unwrap();
    assert_eq!(signed.id_block.block.policy, 0x3_0133);
}

#[test]
fn contradictions_are_refused_with_words() {
    let with = |names| Request {
        policy: policy(names),
        ..Request::default()
    };
    let error = embed(&plain_image(), &with("smt,migration-agent,page-swap-off"));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("which page-swap-off forbids"), "{error}");
    let author = id_key();
    let (file, request) = (plain_image(), Request::default());
    let same = sign(
        "x",
        &file,
        &request,
        &id_key(),
        Some(&author),
        Place::Embedded,
    );
    assert!(matches!(same, Err(SignError::SameKey)));
    let beside = sign(
        "x",
        &file,
        &with("smt,debug"),
        &id_key(),
        None,
        Place::Beside,
    );
    let error = beside.unwrap_err().to_string();
    assert!(error.contains("cannot have 0xb0000"), "{error}");
}

#[test]
fn what_kvm_would_refuse_is_not_signed_for_kvm() {
    let mut vmsa = boot_processor();
    if let Directive::SnpVpContext { vmsa, .. } = &mut vmsa {
        vmsa.star = 1;
    }
    let file = igvm_file(
        0x3_0000,
        vec![page(0, IgvmPageDataType::NORMAL, vec![1]), vmsa],
    );
    let host = KvmHost {
        vcpus: 1,
        signature: None,
    };
    let request = Request {
        host: Some(host),
        ..Request::default()
    };
    let error = embed(&file, &request).unwrap_err().to_string();
    assert!(error.contains("star is 0x1"), "{error}");
    assert!(embed(&file, &Request::default()).is_ok());
}

#[test]
fn the_launch_of_several_vcpus_is_another() {
    let request = |vcpus| Request {
        host: Some(KvmHost {
            vcpus,
            signature: crate::kvm::model("EPYC-v4"),
        }),
        ..Request::default()
    };
    let digest = |vcpus| {
        let signed = embed(&plain_image(), &request(vcpus)).unwrap();
        signed.id_block.block.launch_digest
    };
    assert_ne!(digest(1), digest(2));
}

/// OpenSSL finds both signatures good, by bytes and keys in its own forms.
#[test]
fn openssl_verifies_the_signatures() {
    let signed = embed(&rampart_image(), &Request::default())
        .unwrap()
        .id_block;
    let auth = &signed.authentication;
    let author = keys::to_pem(author_key().verifying_key());
    let id = keys::to_pem(id_key().verifying_key());
    use zerocopy::IntoBytes;
    assert!(openssl(
        &id,
        signed.block.as_bytes(),
        &auth.id_block_signature
    ));
    assert!(openssl(
        &author,
        auth.id_key.as_bytes(),
        &auth.id_key_signature
    ));
    assert!(!openssl(
        &author,
        signed.block.as_bytes(),
        &auth.id_block_signature
    ));
    let mut other = signed.block;
    other.guest_svn += 1;
    assert!(!openssl(&id, other.as_bytes(), &auth.id_block_signature));
}

fn openssl(key: &str, message: &[u8], signature: &protocols::snp::ReportSignature) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("key"), key).unwrap();
    std::fs::write(path("message"), message).unwrap();
    std::fs::write(path("signature"), der(&signature.r, &signature.s)).unwrap();
    let output = Command::new("openssl")
        .args(["dgst", "-sha384", "-verify"])
        .arg(path("key"))
        .arg("-signature")
        .arg(path("signature"))
        .arg(path("message"))
        .output()
        .expect("this test needs the openssl program");
    String::from_utf8_lossy(&output.stdout).contains("Verified OK")
}

/// A signature as OpenSSL has it: a SEQUENCE of two INTEGERs.
fn der(r: &[u8; 72], s: &[u8; 72]) -> Vec<u8> {
    let integer = |number: &[u8; 72]| {
        let mut bytes: Vec<u8> = number
            .iter()
            .rev()
            .copied()
            .skip_while(|byte| *byte == 0)
            .collect();
        if bytes.first().is_none_or(|byte| *byte >= 0x80) {
            bytes.insert(0, 0);
        }
        [vec![2, bytes.len() as u8], bytes].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [vec![0x30, body.len() as u8], body].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn damaged_files_never_panic(file in any_damage(plain_image())) {
        let _ = embed(&file, &Request::default());
    }
}
