//! The TPM's side: the two keys, the challenge, and the quote (TPM 2.0 Library).

use std::collections::BTreeMap;

use vtpm::crypto::ecc::ecdsa_verify;
use vtpm::crypto::hash::HashAlg;
use vtpm::crypto::rsa::{pkcs1_verify, pss_verify};
use vtpm::object::name::of_public;
use vtpm::object::secret::{ecc_public, rsa_public};
use vtpm::wire::{
    GENERATED, Marshal, ObjectAttributes, PcrSelection, Public, Reader, Signature, Tpm2bData,
    Tpm2bDigest, Tpm2bName, Tpm2bPublic, Unmarshal, st,
};

use crate::challenge::{Challenge, NONCE, Secret, check_strength};
use crate::claim::{Claims, Failure, Id, refuted, unproven};
use crate::demands::{PcrDemand, bank_name};
use crate::evidence::Evidence;
use crate::hex;

/// PCR values by bank and number.
pub type Pcrs = BTreeMap<(HashAlg, usize), Vec<u8>>;

/// A key's Name, shortened.
pub fn name(key: &Public) -> String {
    format!("{}…", hex::short(&of_public(key)))
}

/// What a key has to be so that its quotes mean something: it signs nothing that only
/// looks like the TPM's own, was made in this TPM, and never leaves it.
const AK: ObjectAttributes = ObjectAttributes::FIXED_TPM
    .with(ObjectAttributes::FIXED_PARENT)
    .with(ObjectAttributes::SENSITIVE_DATA_ORIGIN)
    .with(ObjectAttributes::RESTRICTED)
    .with(ObjectAttributes::SIGN);

/// Says what becomes of the TPM's claims; the PCR values that were quoted.
pub fn check(
    evidence: &Evidence,
    ek: Option<&Public>,
    demands: &[PcrDemand],
    claims: &mut Claims,
) -> Option<Pcrs> {
    claims.add(Id::EkSame, same(evidence, ek));
    let ak = public("ak.pub", evidence.ak.as_deref());
    claims.add(Id::AkActivation, activation(evidence, ek, &ak));
    claims.add(Id::AkAttributes, attributes(&ak));
    let quote = quote(evidence);
    claims.add(Id::QuoteSignature, signature(evidence, &ak, &quote));
    claims.add(Id::QuoteNonce, nonce(evidence, &quote));
    let pcrs = match (&quote, &evidence.signature) {
        (Ok(quote), Some(signature)) => values(evidence, quote, signature),
        (Err(failure), _) => Err(failure.clone()),
        (_, None) => unproven("there is no signature, which names the hash"),
    };
    let (pcrs, found) = match pcrs {
        Ok((pcrs, why)) => (Some(pcrs), Ok(why)),
        Err(failure) => (None, Err(failure)),
    };
    claims.add(Id::QuotePcrs, found);
    claims.add(Id::PcrValues, demanded(pcrs.as_ref(), demands));
    pcrs
}

/// A TPM2B_PUBLIC that is in the form in which it was hashed.
fn public(file: &str, bytes: Option<&[u8]>) -> Result<Public, Failure> {
    let Some(bytes) = bytes else {
        return unproven(format!("there is no {file}"));
    };
    match Tpm2bPublic::from_bytes(bytes) {
        Ok(public) if public.to_bytes() == bytes => Ok(public.0),
        Ok(_) => refuted(format!("{file} is a TPM2B_PUBLIC in another form")),
        Err(rc) => refuted(format!("{file} is no TPM2B_PUBLIC: {rc:?}")),
    }
}

fn same(evidence: &Evidence, ek: Option<&Public>) -> Result<String, Failure> {
    let given = public("ek.pub", evidence.ek.as_deref())?;
    let Some(ek) = ek else {
        return unproven("the manifest has no endorsement key that can be read");
    };
    if *ek == given {
        Ok(format!("Name {}", name(ek)))
    } else {
        refuted(format!(
            "ek.pub is a foreign key, Name {}; the manifest's is {}",
            name(&given),
            name(ek)
        ))
    }
}

fn activation(
    evidence: &Evidence,
    ek: Option<&Public>,
    ak: &Result<Public, Failure>,
) -> Result<String, Failure> {
    let ak = ak.as_ref().map_err(Clone::clone)?;
    let Some(ek) = ek else {
        return unproven("the manifest has no endorsement key that can be read");
    };
    let Some(secret) = &evidence.credential_secret else {
        return unproven("there is no credential.secret, so no challenge of this verifier");
    };
    let Ok(secret) = <&Secret>::try_from(secret.as_slice()) else {
        return refuted("credential.secret has not 32 bytes");
    };
    let challenge = match Challenge::new(secret, ek, ak) {
        Ok(challenge) => challenge,
        Err(error) => return refuted(error.to_string()),
    };
    match &evidence.credential_blob {
        None => return unproven("there is no credential.blob"),
        Some(blob) if *blob != challenge.blob => {
            return refuted(
                "credential.blob was not made of credential.secret for the manifest's EK and this \
                 AK: another key quoted than the one that was challenged, or the challenge was \
                 changed",
            );
        }
        Some(_) => {}
    }
    match &evidence.credential_answer {
        None => unproven("there is no credential.answer: the TPM did not open the challenge"),
        Some(answer) if challenge.is_answered_by(answer) => Ok(format!(
            "the TPM opened this verifier's challenge for the EK {} and the AK {}, if the guest never \
             had credential.secret",
            name(ek),
            name(ak)
        )),
        Some(_) => refuted("credential.answer is not what is in the challenge"),
    }
}

fn attributes(ak: &Result<Public, Failure>) -> Result<String, Failure> {
    let ak = ak.as_ref().map_err(Clone::clone)?;
    let lacks: Vec<_> = [
        ("fixedTPM", ObjectAttributes::FIXED_TPM),
        ("fixedParent", ObjectAttributes::FIXED_PARENT),
        (
            "sensitiveDataOrigin",
            ObjectAttributes::SENSITIVE_DATA_ORIGIN,
        ),
        ("restricted", ObjectAttributes::RESTRICTED),
        ("sign", ObjectAttributes::SIGN),
    ]
    .into_iter()
    .filter(|(_, attribute)| !ak.attributes.has(*attribute))
    .map(|(name, _)| name)
    .collect();
    if !lacks.is_empty() {
        return refuted(format!("it is not {}", lacks.join(", ")));
    }
    if ak.attributes.has_any(ObjectAttributes::DECRYPT) {
        return refuted("it decrypts as well");
    }
    debug_assert!(ak.attributes.has(AK));
    if let Err(weak) = check_strength(ak) {
        return refuted(weak.to_string());
    }
    Ok("restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin".into())
}

/// TPMS_ATTEST of a quote.
struct Quote {
    nonce: Tpm2bData,
    selection: PcrSelection,
    digest: Tpm2bDigest,
}

fn quote(evidence: &Evidence) -> Result<Quote, Failure> {
    let Some(bytes) = &evidence.quote else {
        return unproven("there is no quote");
    };
    let mut r = Reader::new(bytes);
    let mut read = || -> Result<Option<Quote>, vtpm::Rc> {
        if r.read::<u32>()? != GENERATED || r.read::<u16>()? != st::ATTEST_QUOTE {
            return Ok(None);
        }
        r.read::<Tpm2bName>()?;
        let nonce = r.read()?;
        // Clock, counts of resets and restarts, whether the clock is safe; the
        // firmware's version.
        r.take(8 + 4 + 4 + 1 + 8)?;
        let quote = Quote {
            nonce,
            selection: r.read()?,
            digest: r.read()?,
        };
        Ok(r.is_empty().then_some(quote))
    };
    match read() {
        Ok(Some(quote)) => Ok(quote),
        Ok(None) => refuted("quote.bin is no TPMS_ATTEST of a quote"),
        Err(rc) => refuted(format!("quote.bin is no TPMS_ATTEST of a quote: {rc:?}")),
    }
}

/// TPMT_SIGNATURE, with a hash that still counts.
fn scheme(bytes: &[u8]) -> Result<(Signature, HashAlg), Failure> {
    let signature = match Signature::from_bytes(bytes) {
        Ok(signature) if signature.to_bytes() == bytes => signature,
        _ => return refuted("quote.sig is no TPMT_SIGNATURE"),
    };
    match signature.hash() {
        Some(hash) if hash != HashAlg::Sha1 => Ok((signature, hash)),
        Some(_) => refuted("the signature is of SHA-1, which does not count any more"),
        None => refuted("quote.sig names no hash"),
    }
}

fn signature(
    evidence: &Evidence,
    ak: &Result<Public, Failure>,
    quote: &Result<Quote, Failure>,
) -> Result<String, Failure> {
    let ak = ak.as_ref().map_err(Clone::clone)?;
    quote.as_ref().map_err(Clone::clone)?;
    let (Some(quote), Some(signature)) = (&evidence.quote, &evidence.signature) else {
        return unproven("there is no signature");
    };
    let (signature, hash) = scheme(signature)?;
    let digest = hash.digest(&[quote]);
    let wrong =
        || Failure::Refuted("the signature is not this key's, or the quote was changed".into());
    let unfit = || Failure::Refuted("the signature is of another kind than the key".into());
    let name = match &signature {
        Signature::RsaSsa { signature, .. } => {
            let key = rsa_public(ak).map_err(|_| unfit())?;
            pkcs1_verify(&key, hash, &digest, signature).map_err(|_| wrong())?;
            "RSASSA"
        }
        Signature::RsaPss { signature, .. } => {
            let key = rsa_public(ak).map_err(|_| unfit())?;
            pss_verify(&key, hash, &digest, None, signature).map_err(|_| wrong())?;
            "RSAPSS"
        }
        Signature::EcDsa { r, s, .. } => {
            let (curve, point) = ecc_public(ak).map_err(|_| unfit())?;
            ecdsa_verify(curve, &point, &digest, r, s).map_err(|_| wrong())?;
            "ECDSA"
        }
        _ => return refuted("the signature is neither RSASSA, RSAPSS nor ECDSA"),
    };
    Ok(format!("{name} with {}", bank_name(hash)))
}

fn nonce(evidence: &Evidence, quote: &Result<Quote, Failure>) -> Result<String, Failure> {
    let quote = quote.as_ref().map_err(Clone::clone)?;
    match &evidence.nonce {
        None => unproven("there is no nonce"),
        Some(nonce) if nonce.len() != NONCE => {
            refuted(format!("the nonce has {} bytes, not {NONCE}", nonce.len()))
        }
        Some(nonce) if quote.nonce[..] == nonce[..] => {
            Ok("its qualifying data are the nonce".into())
        }
        Some(_) => refuted("its qualifying data are not the nonce: it is of another round"),
    }
}

/// The values that belong to the quote's selection.
fn values(evidence: &Evidence, quote: &Quote, signature: &[u8]) -> Result<(Pcrs, String), Failure> {
    let (_, hash) = scheme(signature)?;
    let Some(bytes) = &evidence.pcrs else {
        return unproven("there are no PCR values");
    };
    let mut rest = bytes.as_slice();
    let mut pcrs = Pcrs::new();
    let mut banks = Vec::new();
    for bank in quote.selection.iter() {
        let mut count = 0;
        for pcr in bank.iter() {
            let Some((value, behind)) = rest.split_at_checked(bank.alg.digest_size()) else {
                return refuted("pcrs.bin has fewer values than the quote");
            };
            rest = behind;
            if pcrs.insert((bank.alg, pcr), value.to_vec()).is_some() {
                return refuted("the quote has a PCR twice");
            }
            count += 1;
        }
        banks.push(format!("{count} of {}", bank_name(bank.alg)));
    }
    if !rest.is_empty() {
        return refuted("pcrs.bin has more values than the quote");
    }
    if pcrs.is_empty() {
        return refuted("the quote is of no PCR");
    }
    if hash.digest(&[bytes])[..] != quote.digest[..] {
        return refuted("the quote's digest is not that of these values");
    }
    let banks = banks.join(", ");
    Ok((
        pcrs,
        format!("the quote's digest is that of these values: {banks}"),
    ))
}

fn demanded(pcrs: Option<&Pcrs>, demands: &[PcrDemand]) -> Result<String, Failure> {
    if demands.is_empty() {
        return Err(Failure::Unasked("no values were demanded".into()));
    }
    let Some(pcrs) = pcrs else {
        return unproven("there are no PCR values that were quoted");
    };
    for demand in demands {
        let place = format!("PCR {} of {}", demand.pcr, bank_name(demand.bank));
        match pcrs.get(&(demand.bank, demand.pcr)) {
            None => return unproven(format!("{place} was not quoted")),
            Some(value) if *value != demand.value => {
                return refuted(format!("{place} is {}", hex::all(value)));
            }
            Some(_) => {}
        }
    }
    Ok(format!("all {} that were demanded", demands.len()))
}
