//! Credentials (Part 3, 12.5 and 12.6).

use crate::command::Action;
use crate::context::Context;
use crate::object::protect::{self, Wrapper};
use crate::object::secret::{self, label};
use crate::rc::{Rc, Result};
use crate::wire::{
    ObjectAttributes, Public, Tpm2bDigest, Tpm2bEncryptedSecret, Tpm2bIdObject, Tpm2bName,
};

crate::commands! {
    /// TPM2_ActivateCredential (Part 3, 12.5).
    ActivateCredential = 0x147 [] {
        handles { activate_handle: DhObject as Admin, key_handle: DhObject as User }
        parameters { credential_blob: Tpm2bIdObject, secret: Tpm2bEncryptedSecret }
        response ActivateCredentialResponse [] { cert_info: Tpm2bDigest }
    }

    /// TPM2_MakeCredential (Part 3, 12.6).
    MakeCredential = 0x168 [] {
        handles { handle: DhObject }
        parameters { credential: Tpm2bDigest, object_name: Tpm2bName }
        response MakeCredentialResponse [] { credential_blob: Tpm2bIdObject, secret: Tpm2bEncryptedSecret }
    }
}

/// Credentials go to restricted asymmetric decryption keys.
fn takes_credentials(key: &Public) -> bool {
    let needed = ObjectAttributes::DECRYPT.with(ObjectAttributes::RESTRICTED);
    key.object_type().is_asymmetric() && key.attributes.has(needed)
}

impl Action for ActivateCredential {
    type Response = ActivateCredentialResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ActivateCredentialResponse> {
        ctx.state.prepare_rsa(self.key_handle)?;
        let mut rng = ctx.fork_rng();
        let key = ctx
            .state
            .object(self.key_handle)
            .map_err(|_| Rc::TYPE.handle(2))?;
        if !takes_credentials(&key.public) {
            return Err(Rc::TYPE.handle(2));
        }
        let activated = ctx
            .state
            .object(self.activate_handle)
            .map_err(|_| Rc::TYPE.handle(1))?;
        let seed = secret::decrypt(key, label::IDENTITY, &self.secret, &mut rng)
            .map_err(|rc| rc.parameter(2))?;
        let wrapper = Wrapper::new(&key.public, &seed)?;
        let cert_info = protect::from_credential(&wrapper, &activated.name, &self.credential_blob)
            .map_err(|rc| rc.parameter(1))?;
        Ok(ActivateCredentialResponse { cert_info })
    }
}

impl Action for MakeCredential {
    type Response = MakeCredentialResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<MakeCredentialResponse> {
        let mut rng = ctx.fork_rng();
        let key = &ctx
            .state
            .object(self.handle)
            .map_err(|_| Rc::TYPE.handle(1))?
            .public;
        if !takes_credentials(key) {
            return Err(Rc::TYPE.handle(1));
        }
        if self.credential.len() > key.name_alg.map_or(0, |alg| alg.digest_size()) {
            return Err(Rc::SIZE.parameter(1));
        }
        let (seed, secret) = secret::encrypt(key, label::IDENTITY, &mut rng)?;
        let wrapper = Wrapper::new(key, &seed)?;
        let credential_blob = protect::credential(&wrapper, &self.object_name, &self.credential)?;
        Ok(MakeCredentialResponse {
            credential_blob,
            secret,
        })
    }
}
