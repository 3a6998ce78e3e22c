//! A guest's side of a round, with the TPM of this tree.

use std::ops::Range;

use vtpm::Rc;
use vtpm::Tpm;
use vtpm::crypto::ecc::Curve;
use vtpm::crypto::hash::HashAlg;
use vtpm::provision::{EndorsementKey, create_primary, created};
use vtpm::session::SessionType;
use vtpm::testing::client::{ClientSession, Start};
use vtpm::testing::{Command, MemoryPlatform, Response, run, send, started};
use vtpm::wire::{
    BankSelection, Bytes, EccPoint, EccScheme, Handle, KdfScheme, Marshal, ObjectAttributes,
    PcrSelection, Public, PublicParams, Reader, RsaScheme, Scheme, Sized2b, SymDefObject,
    Tpm2bDigest, Tpm2bEncryptedSecret, Tpm2bIdObject, Tpm2bNonce, Tpm2bOpaque, Unique,
};

use super::log::EventLog;

/// The banks of the firmware's TPM.
pub(super) const BANKS: [HashAlg; 2] = [HashAlg::Sha256, HashAlg::Sha384];
/// PCRs of a bank.
pub(super) const PCRS: usize = 24;

/// A TPM with its EK and an AK.
pub struct Maker {
    tpm: Tpm<MemoryPlatform>,
    ek_handle: Handle,
    ak_handle: Handle,
    /// The endorsement key.
    pub ek: Public,
    /// The attestation key.
    pub ak: Public,
}

/// A public area with its size before it.
pub(super) fn tpm2b(public: &Public) -> Vec<u8> {
    Sized2b(public.clone()).to_bytes()
}

/// A template of a key that signs, with SHA-256.
pub fn signing(params: PublicParams, attributes: ObjectAttributes) -> Public {
    let unique = match params {
        PublicParams::Rsa { .. } => Unique::Rsa(Bytes::empty()),
        _ => Unique::Ecc(EccPoint {
            x: Bytes::empty(),
            y: Bytes::empty(),
        }),
    };
    Public {
        name_alg: Some(HashAlg::Sha256),
        attributes,
        auth_policy: Tpm2bDigest::empty(),
        params,
        unique,
    }
}

/// ECDSA on a curve.
pub fn ecdsa(curve: Curve, hash: HashAlg) -> PublicParams {
    PublicParams::Ecc {
        symmetric: SymDefObject(None),
        scheme: EccScheme(Scheme::EcDsa(hash)),
        curve,
        kdf: KdfScheme(None),
    }
}

/// RSA of so many bits.
pub fn rsa(key_bits: u16, scheme: Scheme) -> PublicParams {
    PublicParams::Rsa {
        symmetric: SymDefObject(None),
        scheme: RsaScheme(scheme),
        key_bits,
        exponent: 0,
    }
}

/// The attributes of an attestation key.
pub fn ak_attributes() -> ObjectAttributes {
    ObjectAttributes::FIXED_TPM
        .with(ObjectAttributes::FIXED_PARENT)
        .with(ObjectAttributes::SENSITIVE_DATA_ORIGIN)
        .with(ObjectAttributes::USER_WITH_AUTH)
        .with(ObjectAttributes::RESTRICTED)
        .with(ObjectAttributes::SIGN)
}

fn ok(response: Response) -> Vec<u8> {
    assert_eq!(response.rc, Rc::SUCCESS);
    response.parameters
}

impl Maker {
    /// A TPM of a seed, with an AK on P-256.
    pub fn new(seed: u64) -> Self {
        let ak = signing(ecdsa(Curve::P256, HashAlg::Sha256), ak_attributes());
        Self::with_ak(seed, &ak)
    }

    /// A TPM of a seed, with an AK of this template.
    pub fn with_ak(seed: u64, template: &Public) -> Self {
        let mut tpm = started(seed);
        let mut primary = |template: &Public| {
            let response = send(&mut tpm, 0, &create_primary(Handle::ENDORSEMENT, template));
            created(&response).expect("a primary key")
        };
        let (ek_handle, ek) = primary(&EndorsementKey::Rsa2048.template());
        let (ak_handle, ak) = primary(template);
        Self {
            tpm,
            ek_handle,
            ak_handle,
            ek,
            ak,
        }
    }

    /// TPM2_ActivateCredential under the EK's policy.
    pub(super) fn activate(&mut self, blob: &[u8]) -> Vec<u8> {
        let policy = Start {
            kind: SessionType::Policy,
            ..Start::default()
        };
        let session = ClientSession::start(&mut self.tpm, &policy).expect("a session");
        let secret = Command::new(0x151)
            .auth(Handle::ENDORSEMENT, b"")
            .handle(session.handle)
            .with(&Tpm2bNonce::empty())
            .with(&Tpm2bDigest::empty())
            .with(&Tpm2bNonce::empty())
            .with(&0i32);
        ok(run(&mut self.tpm, &secret));
        let mut r = Reader::new(&blob[8..]);
        let object: Tpm2bIdObject = r.read().expect("an object");
        let carried: Tpm2bEncryptedSecret = r.read().expect("a secret");
        let command = Command::new(0x147)
            .auth(self.ak_handle, b"")
            .handle(self.ek_handle)
            .session(session.handle, &[], 0, &[])
            .with(&object)
            .with(&carried);
        let answer = ok(run(&mut self.tpm, &command));
        let answer: Tpm2bDigest = Reader::new(&answer).read().expect("an answer");
        answer.to_vec()
    }

    /// Measures as OVMF and Linux do, and gives the log.
    pub(super) fn boot(&mut self) -> Vec<u8> {
        self.measure(&EventLog::of_a_boot())
    }

    /// Measures as the firmware at VMPL0 does, and gives its log.
    pub(super) fn measure_parameters(&mut self) -> Vec<u8> {
        self.measure(&EventLog::of_parameters())
    }

    fn measure(&mut self, log: &EventLog) -> Vec<u8> {
        for event in &log.events {
            let mut digests = (BANKS.len() as u32).to_be_bytes().to_vec();
            for bank in BANKS {
                bank.marshal(&mut digests);
                digests.extend_from_slice(&bank.digest(&[&event.measured]));
            }
            let mut command = Command::new(0x182).auth(Handle(event.pcr), b"");
            command.parameters = digests;
            ok(run(&mut self.tpm, &command));
        }
        log.to_bytes()
    }

    /// TPM2_Quote of PCRs of some banks: TPMS_ATTEST, TPMT_SIGNATURE, values.
    pub(super) fn quote(
        &mut self,
        nonce: &[u8],
        of: &[HashAlg],
        pcrs: Range<usize>,
    ) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let banks = of.iter().map(|bank| {
            let mut selection = BankSelection::none(*bank);
            pcrs.clone().for_each(|pcr| selection.set(pcr, true));
            selection
        });
        let command = Command::new(0x158)
            .auth(self.ak_handle, b"")
            .with(&Bytes::<66>::new(nonce).expect("a nonce"))
            .with(&Scheme::Null.id())
            .with(&PcrSelection::cut(banks.collect()));
        let answer = ok(run(&mut self.tpm, &command));
        let mut r = Reader::new(&answer);
        let quote: Tpm2bOpaque = r.read().expect("a quote");
        let signature = r.rest().to_vec();
        let mut values = Vec::new();
        for bank in of {
            for pcr in pcrs.clone() {
                values.extend(self.pcr(*bank, pcr));
            }
        }
        (quote.to_vec(), signature, values)
    }

    fn pcr(&mut self, bank: HashAlg, pcr: usize) -> Vec<u8> {
        let mut selection = BankSelection::none(bank);
        selection.set(pcr, true);
        let command = Command::new(0x17e).with(&PcrSelection::cut(vec![selection]));
        let answer = ok(run(&mut self.tpm, &command));
        let mut r = Reader::new(&answer);
        let _update_counter: u32 = r.read().expect("a counter");
        let _selection: PcrSelection = r.read().expect("a selection");
        let _count: u32 = r.read().expect("a count");
        let value: Tpm2bDigest = r.read().expect("a value");
        value.to_vec()
    }
}
