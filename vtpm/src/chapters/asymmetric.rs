//! Asymmetric primitives with RSA keys (Part 3, 14.2 and 14.3).

use crate::command::Action;
use crate::context::Context;
use crate::crypto::CryptoError;
use crate::crypto::rsa::{oaep_decrypt, oaep_encrypt, pkcs1_decrypt, pkcs1_encrypt};
use crate::object::secret::rsa_public;
use crate::rc::{Rc, Result};
use crate::state::Object;
use crate::wire::{
    ObjectAttributes, PublicParams, RsaDecrypt as RsaDecryptScheme, Scheme, Tpm2bData,
    Tpm2bPublicKeyRsa,
};

crate::commands! {
    /// TPM2_RSA_Encrypt (Part 3, 14.2).
    RsaEncrypt = 0x174 [] {
        handles { key_handle: DhObject }
        parameters { message: Tpm2bPublicKeyRsa, in_scheme: RsaDecryptScheme, label: Tpm2bData }
        response RsaEncryptResponse [] { out_data: Tpm2bPublicKeyRsa }
    }

    /// TPM2_RSA_Decrypt (Part 3, 14.3).
    RsaDecrypt = 0x159 [] {
        handles { key_handle: DhObject as User }
        parameters { cipher_text: Tpm2bPublicKeyRsa, in_scheme: RsaDecryptScheme, label: Tpm2bData }
        response RsaDecryptResponse [] { message: Tpm2bPublicKeyRsa }
    }
}

/// The padding to use (Part 3, table 42): the key's own scheme, or the given
/// one; the same if both are there.
fn select_scheme(key: &Object, given: Scheme) -> Result<Scheme> {
    let PublicParams::Rsa { scheme: own, .. } = key.public.params else {
        return Err(Rc::KEY.handle(1));
    };
    match (own.0, given) {
        (Scheme::Null, given) => Ok(given),
        (own, Scheme::Null) => Ok(own),
        (own, given) if own == given => Ok(given),
        _ => Err(Rc::SCHEME.parameter(2)),
    }
}

/// A label is empty or ends in a zero.
fn check_label(label: &Tpm2bData) -> Result<()> {
    match label.last() {
        None | Some(0) => Ok(()),
        Some(_) => Err(Rc::VALUE.parameter(3)),
    }
}

fn failed(error: CryptoError) -> Rc {
    match error {
        CryptoError::Internal => Rc::FAILURE,
        _ => Rc::VALUE,
    }
}

impl Action for RsaEncrypt {
    type Response = RsaEncryptResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<RsaEncryptResponse> {
        let mut rng = ctx.fork_rng();
        let object = ctx.state.object(self.key_handle)?;
        let key = rsa_public(&object.public).map_err(|rc| rc.handle(1))?;
        if !object.has(ObjectAttributes::DECRYPT) {
            return Err(Rc::ATTRIBUTES.handle(1));
        }
        check_label(&self.label)?;
        let encrypted = match select_scheme(object, self.in_scheme.0)? {
            Scheme::Null => key.encrypt_raw(&self.message),
            Scheme::RsaEs => pkcs1_encrypt(&key, &self.message, &mut rng),
            Scheme::Oaep(hash) => oaep_encrypt(&key, hash, &self.label, &self.message, &mut rng),
            // A key that signs, whose public area the caller made up.
            _ => return Err(Rc::SCHEME.parameter(2)),
        };
        Ok(RsaEncryptResponse {
            out_data: Tpm2bPublicKeyRsa::new(&encrypted.map_err(failed)?)?,
        })
    }
}

impl Action for RsaDecrypt {
    type Response = RsaDecryptResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<RsaDecryptResponse> {
        let object = ctx.state.object(self.key_handle)?;
        let PublicParams::Rsa { key_bits, .. } = object.public.params else {
            return Err(Rc::KEY.handle(1));
        };
        if object.has(ObjectAttributes::RESTRICTED) || !object.has(ObjectAttributes::DECRYPT) {
            return Err(Rc::ATTRIBUTES.handle(1));
        }
        check_label(&self.label)?;
        let scheme = select_scheme(object, self.in_scheme.0)?;
        if self.cipher_text.len() != usize::from(key_bits) / 8 {
            return Err(Rc::SIZE);
        }
        ctx.state.prepare_rsa(self.key_handle)?;
        let mut rng = ctx.fork_rng();
        let key = ctx.state.object(self.key_handle)?.rsa_key()?;
        let decrypted = match scheme {
            Scheme::Null => key.decrypt_raw(&self.cipher_text, &mut rng),
            Scheme::RsaEs => pkcs1_decrypt(key, &self.cipher_text, &mut rng),
            Scheme::Oaep(hash) => oaep_decrypt(key, hash, &self.label, &self.cipher_text, &mut rng),
            _ => return Err(Rc::SCHEME.parameter(2)),
        };
        Ok(RsaDecryptResponse {
            message: Tpm2bPublicKeyRsa::new(&decrypted.map_err(failed)?)?,
        })
    }
}
