//! Enhanced authorization by a policy that somebody approved (Part 3, 23.16 and
//! 23.22): by a signature, or by what stands in an NV index.

use crate::chapters::policy::{clear_digest, extend, is_trial};
use crate::chapters::policy_auth::record;
use crate::command::Action;
use crate::context::Context;
use crate::crypto::hash::HashAlg;
use crate::crypto::hmac::ct_eq;
use crate::nv::read_access;
use crate::rc::{Rc, Result};
use crate::ticket;
use crate::wire::{Reader, TaggedHash, TkVerified, Tpm2bDigest, Tpm2bName, Tpm2bNonce};

crate::commands! {
    /// TPM2_PolicyAuthorize (Part 3, 23.16).
    PolicyAuthorize = 0x16A [] {
        handles { policy_session: ShPolicy }
        parameters {
            approved_policy: Tpm2bDigest,
            policy_ref: Tpm2bNonce,
            key_sign: Tpm2bName,
            check_ticket: TkVerified,
        }
        response PolicyAuthorizeResponse [] {}
    }

    /// TPM2_PolicyAuthorizeNV (Part 3, 23.22).
    PolicyAuthorizeNv = 0x192 [nv_read] {
        handles { auth_handle: RhNvAuth as User, nv_index: RhNvIndex, policy_session: ShPolicy }
        parameters {}
        response PolicyAuthorizeNvResponse [] {}
    }
}

impl Action for PolicyAuthorize {
    type Response = PolicyAuthorizeResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyAuthorizeResponse> {
        let (alg, digest) = self
            .key_sign
            .split_first_chunk::<2>()
            .ok_or(Rc::HASH.parameter(3))?;
        let alg = HashAlg::from_id(u16::from_be_bytes(*alg)).ok_or(Rc::HASH.parameter(3))?;
        if digest.len() != alg.digest_size() {
            return Err(Rc::SIZE.parameter(3));
        }
        let session = ctx.state.session(self.policy_session)?;
        if !is_trial(session) {
            if !ct_eq(&session.policy.digest, &self.approved_policy) {
                return Err(Rc::VALUE.parameter(1));
            }
            let signed = alg.digest(&[&self.approved_policy, &self.policy_ref]);
            let given = &self.check_ticket.0;
            let own = ticket::verified(ctx.state, given.hierarchy, &signed, &self.key_sign);
            if !ticket::matches(given, &own) {
                return Err(Rc::VALUE.parameter(4));
            }
        }
        clear_digest(ctx, self.policy_session)?;
        let code = ctx.spec.code;
        record(
            ctx,
            self.policy_session,
            code,
            &self.key_sign,
            &self.policy_ref,
            &Tpm2bDigest::empty(),
            0,
        )?;
        Ok(PolicyAuthorizeResponse {})
    }
}

impl Action for PolicyAuthorizeNv {
    type Response = PolicyAuthorizeNvResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyAuthorizeNvResponse> {
        let session = ctx.state.session(self.policy_session)?;
        if !is_trial(session) {
            let nv = read_access(ctx.state, self.auth_handle, self.nv_index)?;
            // A TPMT_HA at the start of the data.
            let approved: TaggedHash = Reader::new(&nv.data).read()?;
            if approved.alg != session.hash {
                return Err(Rc::HASH);
            }
            if !ct_eq(&approved.digest, &session.policy.digest) {
                return Err(Rc::VALUE);
            }
        }
        clear_digest(ctx, self.policy_session)?;
        let name = ctx.state.name_of(self.nv_index);
        extend(ctx, self.policy_session, &[&name])?;
        Ok(PolicyAuthorizeNvResponse {})
    }
}
