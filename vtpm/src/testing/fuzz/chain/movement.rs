//! What goes from one TPM to another: credentials and duplicates; and objects
//! that are made of a parent's seed.

use super::parts::*;
use crate::session::SessionType;
use crate::testing::Command;
use crate::testing::fuzz::Fuzz;
use crate::wire::{
    Handle, Marshal, Reader, Scheme, SensitiveCreate, Sized2b, SymDefObject, Tpm2bAuth, Tpm2bData,
    Tpm2bDigest, Tpm2bEncryptedSecret, Tpm2bIdObject, Tpm2bLabel, Tpm2bName, Tpm2bPrivate,
    Tpm2bPublic, Tpm2bSensitiveData, Tpm2bTemplate,
};

const DUPLICATE: u32 = 0x14B;

/// MakeCredential, ActivateCredential.
pub(super) fn credential(f: &mut Fuzz) -> Option<()> {
    let key = storage_key(f)?;
    let activated = primary(f, &ecc(SIGN, NONE, Scheme::EcDsa(HASH)))?;
    let name = read_public(f, activated)?.1;
    let len = f.g.below(33);
    let secret = Tpm2bDigest::cut(&f.g.bytes(len));
    let made = f.ask(&Command::new(0x168).handle(key).with(&secret).with(&name))?;
    let mut r = Reader::new(&made.parameters);
    let (blob, seed): (Tpm2bIdObject, Tpm2bEncryptedSecret) = (r.read().ok()?, r.read().ok()?);
    let command = Command::new(0x147)
        .auth(activated, b"")
        .auth(key, b"")
        .with(&blob)
        .with(&seed);
    let got: Tpm2bDigest = f.first(&command)?;
    assert_eq!(got, secret, "a credential comes out as it went in");
    Some(())
}

/// What Duplicate gave, and its object.
struct Parcel {
    key: Tpm2bData,
    inner: SymDefObject,
    blob: Tpm2bPrivate,
    seed: Tpm2bEncryptedSecret,
    public: Tpm2bPublic,
    name: Tpm2bName,
}

/// Create, Load, Duplicate, perhaps Rewrap, Import, Load, Unseal.
pub(super) fn duplication(f: &mut Fuzz) -> Option<()> {
    let parent = storage_key(f)?;
    let selected = f.g.once_in(3);
    let mut template = movable(policy_of(DUPLICATE));
    let parent_name = read_public(f, parent)?.1;
    if selected {
        template.auth_policy = trial_of_selection(f, &parent_name)?;
    }
    let create = made_of(Command::new(0x153).auth(parent, b""), &template, b"secret");
    let made = f.ask(&create)?;
    let mut r = Reader::new(&made.parameters);
    let (private, public): (Tpm2bPrivate, Tpm2bPublic) = (r.read().ok()?, r.read().ok()?);
    let object = load(f, parent, &private, &public.0)?;
    let name = read_public(f, object)?.1;
    let session = if selected {
        let session = session(f, SessionType::Policy)?;
        f.ask(&selection(session, &name, &parent_name))?;
        session
    } else {
        policy_session(f, DUPLICATE)?
    };
    let inner = f.g.pick(&[NONE, AES]);
    let given = inner == AES && f.g.once_in(2);
    let mut key = Tpm2bData::cut(if given { &[9; 16] } else { &[] });
    let to = if selected || f.g.once_in(2) {
        parent
    } else {
        Handle::NULL
    };
    let command = Command::new(DUPLICATE)
        .handle(object)
        .session(session, &[], 0, &[])
        .handle(to)
        .with(&key)
        .with(&inner);
    let out = f.ask(&command)?;
    let mut r = Reader::new(&out.parameters);
    let made_key: Tpm2bData = r.read().ok()?;
    if !given {
        key = made_key;
    }
    let mut parcel = Parcel {
        key,
        inner,
        blob: r.read().ok()?,
        seed: r.read().ok()?,
        public,
        name,
    };
    if f.g.once_in(2) {
        let between = if to == Handle::NULL {
            parent
        } else {
            Handle::NULL
        };
        rewrap(f, &mut parcel, to, between)?;
        rewrap(f, &mut parcel, between, to)?;
    }
    flush(f, object)?;
    let imported = import(f, &parcel, parent)?;
    let object = load(f, parent, &imported, &parcel.public.0)?;
    let unsealed: Tpm2bSensitiveData = f.first(&Command::new(0x15E).auth(object, b""))?;
    assert_eq!(unsealed[..], b"secret"[..], "a duplicate is what it was");
    Some(())
}

/// PolicyDuplicationSelect, the object not named in the digest.
fn selection(session: Handle, object: &Tpm2bName, parent: &Tpm2bName) -> Command {
    Command::new(0x188)
        .handle(session)
        .with(object)
        .with(parent)
        .with(&false)
}

/// The policy that allows duplication below one parent.
fn trial_of_selection(f: &mut Fuzz, parent: &Tpm2bName) -> Option<Tpm2bDigest> {
    let trial = session(f, SessionType::Trial)?;
    f.ask(&selection(trial, &Tpm2bName::empty(), parent))?;
    let digest = f.first(&Command::new(0x189).handle(trial))?;
    flush(f, trial)?;
    Some(digest)
}

fn rewrap(f: &mut Fuzz, parcel: &mut Parcel, old: Handle, new: Handle) -> Option<()> {
    let command = Command::new(0x152)
        .auth(old, b"")
        .handle(new)
        .with(&parcel.blob)
        .with(&parcel.name)
        .with(&parcel.seed);
    let out = f.ask(&command)?;
    let mut r = Reader::new(&out.parameters);
    parcel.blob = r.read().ok()?;
    parcel.seed = r.read().ok()?;
    Some(())
}

fn import(f: &mut Fuzz, parcel: &Parcel, parent: Handle) -> Option<Tpm2bPrivate> {
    let command = Command::new(0x156)
        .auth(parent, b"")
        .with(&parcel.key)
        .with(&parcel.public)
        .with(&parcel.blob)
        .with(&parcel.seed)
        .with(&parcel.inner);
    f.first(&command)
}

/// CreateLoaded below a hierarchy, a storage key and a derivation parent.
pub(super) fn derivation(f: &mut Fuzz) -> Option<()> {
    let signing = ecc(SIGN, NONE, Scheme::EcDsa(HASH));
    let (parent, template) = match f.g.below(3) {
        0 => (hierarchy(f), signing.to_bytes()),
        1 => {
            let parent = storage_key(f)?;
            (parent, signing_child(f, parent)?.to_bytes())
        }
        _ => {
            let mut derived = signing;
            // What is derived does not originate in the TPM.
            derived.attributes.0 &= !0x20;
            let mut bytes = derived.to_bytes();
            // Label and context in place of the point's coordinates.
            bytes.truncate(bytes.len() - 4);
            bytes.extend_from_slice(&Tpm2bLabel::cut(b"label").to_bytes());
            bytes.extend_from_slice(&Tpm2bLabel::empty().to_bytes());
            (primary(f, &derivation_parent())?, bytes)
        }
    };
    let sensitive = SensitiveCreate {
        user_auth: Tpm2bAuth::empty(),
        data: Tpm2bSensitiveData::empty(),
    };
    let command = Command::new(0x191)
        .auth(parent, b"")
        .with(&Sized2b(sensitive))
        .with(&Tpm2bTemplate::cut(&template));
    f.ask(&command).map(|_| ())
}
