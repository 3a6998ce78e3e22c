//! Round trips of every type, and the errors of types.

use super::sample::{Gen, Sample};
use super::*;
use crate::crypto::ecc::Curve;
use crate::crypto::hash::HashAlg;
use core::fmt::Debug;
use proptest::prelude::*;

fn round_trip<T: Sample + Marshal + Unmarshal + PartialEq + Debug>(seed: u64) {
    let mut g = Gen::new(seed);
    let value = T::sample(&mut g);
    let bytes = value.to_bytes();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(&value));
    // A cut value never reads.
    if let Some((_, cut)) = bytes.split_last() {
        assert!(T::from_bytes(cut).is_err());
    }
    // Altered bytes read or not, but what reads is written as it was read
    // (the size of a PCR selection has one form only).
    let mut altered = bytes.clone();
    if !altered.is_empty() {
        let at = g.below(altered.len());
        altered[at] ^= 1 << g.below(8);
        if let Ok(value) = T::from_bytes(&altered) {
            assert_eq!(value.to_bytes(), altered);
        }
    }
}

macro_rules! round_trips {
    ($($name:ident: $t:ty;)*) => {
        proptest! {$(
            #[test]
            fn $name(seed: u64) {
                round_trip::<$t>(seed);
            }
        )*}
    };
}

round_trips! {
    public_areas: Tpm2bPublic;
    public_areas_with_null_name: Sized2b<PublicOrNull>;
    public_params: PublicParams;
    sensitive_areas: Tpm2bSensitive;
    sensitive_create: Tpm2bSensitiveCreate;
    creation_data: Sized2b<CreationData>;
    signatures: Signature;
    signing_schemes: SigScheme;
    decryption_schemes: RsaDecrypt;
    keyed_hash_schemes: KeyedHashScheme;
    session_ciphers: SymDef;
    tagged_hashes: DigestValues;
    pcr_selections: PcrSelection;
    nv_public_areas: Tpm2bNvPublic;
    creation_tickets: TkCreation;
    auth_tickets: TkAuth;
    digest_lists: Digests;
    policy_branches: DigestBranches;
    optional_points: Optional2b<EccPoint>;
    clock_infos: TimeInfo;
}

fn rc<T: Unmarshal>(bytes: &[u8]) -> Rc {
    match T::from_bytes(bytes) {
        Ok(_) => Rc::SUCCESS,
        Err(rc) => rc,
    }
}

#[test]
fn each_type_has_its_own_error() {
    assert_eq!(rc::<bool>(&[2]), Rc::VALUE);
    assert_eq!(rc::<HashAlg>(&[0, 0x10]), Rc::HASH);
    assert_eq!(rc::<Option<HashAlg>>(&[0, 0x10]), Rc::SUCCESS);
    assert_eq!(rc::<Curve>(&[0, 0x10]), Rc::CURVE);
    assert_eq!(rc::<SymDef>(&[0, 1]), Rc::SYMMETRIC);
    assert_eq!(rc::<SymDef>(&[0, 6, 0, 0, 0, 0x43]), Rc::VALUE);
    assert_eq!(rc::<SymDef>(&[0, 6, 0, 128, 0, 0x39]), Rc::MODE);
    assert_eq!(rc::<SymDef>(&[0, 0x0A, 0, 0x10]), Rc::HASH);
    assert_eq!(rc::<RsaScheme>(&[0, 0x18, 0, 0xB]), Rc::VALUE);
    assert_eq!(rc::<EccScheme>(&[0, 0x14, 0, 0xB]), Rc::SCHEME);
    assert_eq!(rc::<SigScheme>(&[0, 0x15]), Rc::SCHEME);
    assert_eq!(rc::<KeyedHashScheme>(&[0, 0x14]), Rc::VALUE);
    assert_eq!(rc::<KdfScheme>(&[0, 0x0B]), Rc::KDF);
    assert_eq!(rc::<ObjectType>(&[0, 4]), Rc::TYPE);
    assert_eq!(rc::<ObjectAttributes>(&[0, 0, 0, 1]), Rc::RESERVED_BITS);
    assert_eq!(rc::<SessionAttributes>(&[0x10]), Rc::RESERVED_BITS);
    assert_eq!(rc::<NvAttributes>(&[0, 0, 1, 0]), Rc::RESERVED_BITS);
    assert_eq!(rc::<TkCreation>(&[0x80, 0x22]), Rc::TAG);
    assert_eq!(rc::<Tpm2bDigest>(&[0, 65]), Rc::SIZE);
    assert_eq!(rc::<Tpm2bDigest>(&[0, 5, 1, 2]), Rc::INSUFFICIENT);
    assert_eq!(rc::<Tpm2bPublic>(&[0, 0]), Rc::SIZE);
    assert_eq!(rc::<DigestValues>(&[0, 0, 0, 5]), Rc::SIZE);
    assert_eq!(rc::<DigestBranches>(&[0, 0, 0, 1, 0, 0]), Rc::SIZE);
    assert_eq!(rc::<BankSelection>(&[0, 0xB, 2, 0, 0]), Rc::VALUE);
    assert_eq!(rc::<RhOwner>(&[0x40, 0, 0, 7]), Rc::VALUE);
    assert_eq!(rc::<DhPcr>(&[0, 0, 0, 24]), Rc::VALUE);
}

#[test]
fn a_structure_must_fill_its_size() {
    // A point of 2 + 2 bytes with a size of 5, and one too many bytes.
    assert_eq!(rc::<Tpm2bEccPoint>(&[0, 5, 0, 0, 0, 0, 0]), Rc::SIZE);
    assert_eq!(rc::<Tpm2bEccPoint>(&[0, 4, 0, 0, 0, 0]), Rc::SUCCESS);
}
