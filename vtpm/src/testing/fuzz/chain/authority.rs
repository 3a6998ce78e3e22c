//! What is signed or attested, and what asks for an administrator's policy.

use super::parts::*;
use crate::session::SessionType;
use crate::testing::Command;
use crate::testing::fuzz::Fuzz;
use crate::testing::x509;
use crate::wire::{
    Handle, NvAttributes, NvPublic, Reader, RhNvIndex, Scheme, SessionAttributes, SigScheme,
    Signature, Sized2b, TkCreation, TkHashCheck, Tpm2bAuth, Tpm2bData, Tpm2bDigest, Tpm2bMaxBuffer,
    Tpm2bPublic,
};

/// Sign of a digest that was not made here.
pub(super) fn sign(f: &mut Fuzz, key: Handle, digest: &[u8], scheme: Scheme) -> Option<Signature> {
    let command = Command::new(0x15D)
        .auth(key, b"")
        .with(&Tpm2bDigest::cut(digest))
        .with(&SigScheme(scheme))
        .with(&crate::wire::st::HASHCHECK)
        .with(&Handle::NULL)
        .with(&Tpm2bDigest::empty());
    f.first(&command)
}

/// A key that signs, and a scheme for it.
pub(super) fn signing_key(f: &mut Fuzz) -> Option<(Handle, Scheme)> {
    match f.g.below(4) {
        0 => {
            let scheme = f.g.pick(&[Scheme::RsaSsa(HASH), Scheme::RsaPss(HASH)]);
            Some((rsa_external(f, SIGN, Scheme::Null)?, scheme))
        }
        1 => {
            let scheme = Scheme::EcSchnorr(HASH);
            Some((primary(f, &ecc(SIGN, NONE, scheme))?, scheme))
        }
        _ => Some((
            primary(f, &ecc(SIGN, NONE, Scheme::EcDsa(HASH)))?,
            Scheme::Null,
        )),
    }
}

/// Hash, Sign with a restricted key by its ticket, or just Sign;
/// VerifySignature.
pub(super) fn signature(f: &mut Fuzz) -> Option<()> {
    let (key, digest, signature) = if f.g.once_in(2) {
        let key = primary(f, &ecc(SIGN | 0x1_0000, NONE, Scheme::EcDsa(HASH)))?;
        let hash = Command::new(0x17D)
            .with(&Tpm2bMaxBuffer::cut(b"message"))
            .with(&HASH)
            .with(&Handle::OWNER);
        let hashed = f.ask(&hash)?;
        let mut r = Reader::new(&hashed.parameters);
        let (digest, ticket): (Tpm2bDigest, TkHashCheck) = (r.read().ok()?, r.read().ok()?);
        let command = Command::new(0x15D)
            .auth(key, b"")
            .with(&digest)
            .with(&SigScheme(Scheme::Null))
            .with(&ticket);
        let signature: Signature = f.first(&command)?;
        (key, digest, signature)
    } else {
        let (key, scheme) = signing_key(f)?;
        let digest = Tpm2bDigest::cut(&f.g.bytes(32));
        let signature = sign(f, key, &digest, scheme)?;
        (key, digest, signature)
    };
    let verify = Command::new(0x177).handle(key);
    f.ask(&verify.with(&digest).with(&signature)).map(|_| ())
}

/// CreatePrimary, CertifyCreation, Certify.
pub(super) fn creation(f: &mut Fuzz) -> Option<()> {
    let hierarchy = hierarchy(f);
    let template = ecc(SIGN, NONE, Scheme::EcDsa(HASH));
    let made = f.ask(&made_of(
        Command::new(0x131).auth(hierarchy, b""),
        &template,
        b"",
    ))?;
    let key = made.handle?;
    let mut r = Reader::new(&made.parameters);
    r.read::<Tpm2bPublic>().ok()?;
    // The creation data, as so many bytes.
    r.read::<Tpm2bMaxBuffer>().ok()?;
    let (hash, ticket): (Tpm2bDigest, TkCreation) = (r.read().ok()?, r.read().ok()?);
    let signer = f.g.pick(&[key, Handle::NULL]);
    let command = Command::new(0x14A)
        .auth(signer, b"")
        .handle(key)
        .with(&Tpm2bData::cut(b"qualifying"))
        .with(&hash)
        .with(&SigScheme(Scheme::Null))
        .with(&ticket);
    f.ask(&command)?;
    let certify = Command::new(0x148)
        .auth(key, b"")
        .auth(signer, b"")
        .with(&Tpm2bData::empty())
        .with(&SigScheme(Scheme::Null));
    f.ask(&certify).map(|_| ())
}

/// CertifyX509.
pub(super) fn certificate(f: &mut Fuzz) -> Option<()> {
    let key = primary(f, &ecc(SIGN, NONE, Scheme::EcDsa(HASH)))?;
    let attributes = f.g.once_in(2).then_some(FIXED | SIGN);
    let partial = x509::partial(x509::DIGITAL_SIGNATURE, attributes);
    let command = Command::new(0x197)
        .auth(key, b"")
        .auth(key, b"")
        .with(&Tpm2bData::empty())
        .with(&SigScheme(Scheme::Null))
        .with(&Tpm2bMaxBuffer::cut(&partial));
    f.ask(&command).map(|_| ())
}

/// Commands under an audit session, GetSessionAuditDigest.
pub(super) fn session_audit(f: &mut Fuzz) -> Option<()> {
    let session = session(f, SessionType::Hmac)?;
    let audit = SessionAttributes::CONTINUE_SESSION.0 | SessionAttributes::AUDIT.0;
    for _ in 0..1 + f.g.below(3) {
        let random = Command::new(0x17B).session(session, &[], audit, &[]);
        f.ask(&random.with(&8u16))?;
    }
    let signer = match f.g.once_in(2) {
        true => Handle::NULL,
        false => primary(f, &ecc(SIGN, NONE, Scheme::EcDsa(HASH)))?,
    };
    let command = Command::new(0x14D)
        .auth(Handle::ENDORSEMENT, b"")
        .auth(signer, b"")
        .handle(session)
        .with(&Tpm2bData::empty())
        .with(&SigScheme(Scheme::Null));
    f.ask(&command).map(|_| ())
}

/// An index with a policy: NV_ChangeAuth, or NV_UndefineSpaceSpecial.
pub(super) fn nv(f: &mut Fuzz) -> Option<()> {
    const CHANGE_AUTH: u32 = 0x13B;
    const UNDEFINE_SPECIAL: u32 = 0x11F;
    let special = f.g.once_in(2);
    let (code, more) = if special {
        let (created, delete) = (NvAttributes::PLATFORM_CREATE, NvAttributes::POLICY_DELETE);
        (UNDEFINE_SPECIAL, created.0 | delete.0)
    } else {
        (CHANGE_AUTH, 0)
    };
    let owner = if special {
        Handle::PLATFORM
    } else {
        Handle::OWNER
    };
    let index = Handle(Handle::NV_FIRST | 0x10 | u32::from(special));
    let public = NvPublic {
        index: RhNvIndex(index),
        name_alg: HASH,
        attributes: NvAttributes(0x0006_0006 | more),
        auth_policy: policy_of(code),
        data_size: 8,
    };
    // It may be there from an earlier chain that did not end.
    if !f.tpm.live_handles().contains(&index.0) {
        let define = Command::new(0x12A)
            .auth(owner, b"")
            .with(&Tpm2bAuth::empty())
            .with(&Sized2b(public));
        f.ask(&define)?;
    }
    let session = policy_session(f, code)?;
    let command = Command::new(code)
        .handle(index)
        .session(session, &[], 0, &[]);
    if special {
        return f.ask(&command.auth(Handle::PLATFORM, b"")).map(|_| ());
    }
    f.ask(&command.with(&Tpm2bAuth::cut(b"new")))?;
    let undefine = Command::new(0x122).auth(owner, b"").handle(index);
    f.ask(&undefine).map(|_| ())
}

/// PCR_SetAuthValue, PCR_SetAuthPolicy; a PCR that has neither again.
pub(super) fn pcr(f: &mut Fuzz) -> Option<()> {
    let pcr = Handle(20 + f.g.below(3) as u32);
    let set_value = |old: &[u8], new: &[u8]| {
        Command::new(0x183)
            .auth(pcr, old)
            .with(&Tpm2bDigest::cut(new))
    };
    f.ask(&set_value(b"", b"new"))?;
    f.ask(&set_value(b"new", b""))?;
    let policy = Command::new(0x12C)
        .auth(Handle::PLATFORM, b"")
        .with(&policy_of(0x182))
        .with(&HASH)
        .with(&pcr);
    f.ask(&policy)?;
    let none = Command::new(0x12C)
        .auth(Handle::PLATFORM, b"")
        .with(&Tpm2bDigest::empty())
        .with(&crate::wire::id::NULL)
        .with(&pcr);
    f.ask(&none).map(|_| ())
}
