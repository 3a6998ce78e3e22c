use super::*;
use crate::psp::report::little_endian;
use crate::types::Asid;
use p384::ecdsa::SigningKey;
use p384::ecdsa::signature::Signer;
use protocols::snp::GuestPolicy;
use zerocopy::FromZeros;

const POLICY: GuestPolicy = GuestPolicy::MUST_BE_ONE.union(GuestPolicy::SMT);

fn launch() -> Launch {
    Launch::start(Asid::new(1).unwrap(), POLICY).unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 48]).unwrap()
}

fn public(key: &SigningKey) -> EcdsaPublicKey {
    let point = key.verifying_key().to_sec1_point(false);
    let mut public = EcdsaPublicKey::new_zeroed();
    public.curve = Curve::P384;
    public.x = little_endian(point.x().unwrap());
    public.y = little_endian(point.y().unwrap());
    public
}

fn sign(key: &SigningKey, what: &[u8]) -> ReportSignature {
    let signature: p384::ecdsa::Signature = key.sign(what);
    let (r, s) = signature.split_bytes();
    ReportSignature {
        r: little_endian(&r),
        s: little_endian(&s),
        reserved: [0; 368],
    }
}

fn block() -> IdBlock {
    IdBlock {
        launch_digest: [0; 48],
        family_id: [0xfa; 16],
        image_id: [0x1a; 16],
        version: 1,
        guest_svn: 7,
        policy: POLICY.bits(),
    }
}

fn auth(block: &IdBlock) -> IdAuthentication {
    let mut auth = IdAuthentication::new_zeroed();
    auth.id_key_algorithm = KeyAlgorithm::ECDSA_P384_SHA384;
    auth.author_key_algorithm = KeyAlgorithm::ECDSA_P384_SHA384;
    auth.id_key = public(&key(1));
    auth.id_block_signature = sign(&key(1), block.as_bytes());
    auth.author_key = public(&key(2));
    auth.id_key_signature = sign(&key(2), auth.id_key.as_bytes());
    auth
}

#[test]
fn a_guest_has_what_its_signed_block_says() {
    let (block, auth) = (block(), auth(&block()));
    for author in [false, true] {
        let launched = launch().finish_with(&block, &auth, author).unwrap();
        let known = launched.id_block.unwrap();
        assert_eq!(known.guest_svn, 7);
        assert_eq!(known.family_id, [0xfa; 16]);
        assert_eq!(known.image_id, [0x1a; 16]);
        assert_eq!(known.id_key_digest, key_digest(&auth.id_key));
        let digest = author.then(|| key_digest(&auth.author_key));
        assert_eq!(known.author_key_digest, digest);
        // The block is no part of the digest.
        assert_eq!(launched.digest, launch().finish().digest);
    }
    assert_eq!(launch().finish().id_block, None);
}

#[test]
fn a_block_of_another_guest_is_refused() {
    let refused = |change: fn(&mut IdBlock)| {
        let mut block = block();
        change(&mut block);
        launch().finish_with(&block, &auth(&block), true)
    };
    let other = refused(|block| block.launch_digest[47] = 1);
    assert_eq!(other, Err(FinishError::Measurement));
    let other = refused(|block| block.policy |= GuestPolicy::DEBUG.bits());
    assert_eq!(other, Err(FinishError::Policy));
    let other = refused(|block| block.version = 2);
    assert_eq!(other, Err(FinishError::Parameter));
}

#[test]
fn a_block_that_is_not_signed_is_refused() {
    let refused = |change: fn(&mut IdBlock, &mut IdAuthentication)| {
        let (mut block, mut auth) = (block(), auth(&block()));
        change(&mut block, &mut auth);
        launch().finish_with(&block, &auth, true).unwrap_err()
    };
    let signature = FinishError::Signature;
    assert_eq!(refused(|block, _| block.guest_svn = 8), signature);
    assert_eq!(
        refused(|_, auth| auth.id_block_signature.s[0] ^= 1),
        signature
    );
    assert_eq!(refused(|_, auth| auth.id_key.x[0] ^= 1), signature);
    assert_eq!(refused(|_, auth| auth.id_key.curve.0 = 1), signature);
    assert_eq!(refused(|_, auth| auth.id_key.reserved[5] = 1), signature);
    let author = FinishError::AuthorSignature;
    assert_eq!(refused(|_, auth| auth.id_key_signature.r[3] ^= 4), author);
    assert_eq!(refused(|_, auth| auth.author_key = auth.id_key), author);
    let parameter = FinishError::Parameter;
    assert_eq!(refused(|_, auth| auth.id_key_algorithm.0 = 0), parameter);
    assert_eq!(
        refused(|_, auth| auth.author_key_algorithm.0 = 2),
        parameter
    );
}

#[test]
fn an_author_that_does_not_count_need_not_have_signed() {
    let (block, mut auth) = (block(), auth(&block()));
    auth.author_key_algorithm.0 = 0;
    auth.id_key_signature.r[0] ^= 1;
    assert!(launch().finish_with(&block, &auth, false).is_ok());
}
