//! Signing and signature verification (Part 3, 20).

use crate::command::Action;
use crate::context::Context;
use crate::object::sign;
use crate::rc::{Rc, Result};
use crate::ticket;
use crate::wire::{ObjectAttributes, SigScheme, Signature, Ticket, TkHashCheck, Tpm2bDigest};

crate::commands! {
    /// TPM2_VerifySignature (Part 3, 20.2).
    VerifySignature = 0x177 [] {
        handles { key_handle: DhObject }
        parameters { digest: Tpm2bDigest, signature: Signature }
        response VerifySignatureResponse [] { validation: Ticket }
    }

    /// TPM2_Sign (Part 3, 20.5).
    Sign = 0x15D [] {
        handles { key_handle: DhObject as User }
        parameters { digest: Tpm2bDigest, in_scheme: SigScheme, validation: TkHashCheck }
        response SignResponse [] { signature: Signature }
    }
}

impl Action for VerifySignature {
    type Response = VerifySignatureResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<VerifySignatureResponse> {
        let key = ctx
            .state
            .object(self.key_handle)
            .map_err(|_| Rc::KEY.handle(1))?;
        if !key.has(ObjectAttributes::SIGN) {
            return Err(Rc::ATTRIBUTES.handle(1));
        }
        sign::verify(key, &self.digest, &self.signature).map_err(|rc| rc.parameter(2))?;
        Ok(VerifySignatureResponse {
            validation: ticket::verified(ctx.state, key.hierarchy, &self.digest, &key.name),
        })
    }
}

impl Action for Sign {
    type Response = SignResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<SignResponse> {
        let key = ctx
            .state
            .object(self.key_handle)
            .map_err(|_| Rc::KEY.handle(1))?;
        if !sign::can_sign(key) {
            return Err(Rc::KEY.handle(1));
        }
        if key.has(ObjectAttributes::X509_SIGN) {
            return Err(Rc::ATTRIBUTES.handle(1));
        }
        let scheme = sign::select_scheme(key, self.in_scheme.0).map_err(|rc| rc.parameter(2))?;
        let hash = sign::scheme_hash(scheme).map_err(|rc| rc.parameter(2))?;
        let given = &self.validation.0;
        if !given.digest.is_empty() || key.has(ObjectAttributes::RESTRICTED) {
            let own = ticket::hash_check(ctx.state, given.hierarchy, hash, &self.digest);
            if !ticket::matches(given, &own) {
                return Err(Rc::TICKET.parameter(3));
            }
        } else if self.digest.len() != hash.digest_size() {
            return Err(Rc::SIZE.parameter(1));
        }
        Ok(SignResponse {
            signature: sign::sign(ctx, self.key_handle, scheme, &self.digest)?,
        })
    }
}
