//! Enhanced authorization (Part 3, 23): the assertions that need nothing but
//! the session and the TPM's state. Those by secrets, signatures and tickets
//! stand in `policy_auth`, those over NV and numbers in `policy_nv`.

use crate::chapters::pcr::selected_digest;
use crate::command::Action;
use crate::context::Context;
use crate::crypto::hash::Digest;
use crate::crypto::hmac::ct_eq;
use crate::rc::{Rc, Result};
use crate::session::{Bound, Session, SessionType};
use crate::wire::{
    DigestBranches, Handle, Locality, Marshal, PcrSelection, Tpm2bDigest, Tpm2bName,
};

crate::commands! {
    /// TPM2_PolicyOR (Part 3, 23.6).
    PolicyOr = 0x171 [] {
        handles { policy_session: ShPolicy }
        parameters { hash_list: DigestBranches }
        response PolicyOrResponse [] {}
    }

    /// TPM2_PolicyPCR (Part 3, 23.7).
    PolicyPcr = 0x17F [] {
        handles { policy_session: ShPolicy }
        parameters { pcr_digest: Tpm2bDigest, pcrs: PcrSelection }
        response PolicyPcrResponse [] {}
    }

    /// TPM2_PolicyLocality (Part 3, 23.8).
    PolicyLocality = 0x16F [] {
        handles { policy_session: ShPolicy }
        parameters { locality: Locality }
        response PolicyLocalityResponse [] {}
    }

    /// TPM2_PolicyCommandCode (Part 3, 23.11).
    PolicyCommandCode = 0x16C [] {
        handles { policy_session: ShPolicy }
        parameters { code: u32 }
        response PolicyCommandCodeResponse [] {}
    }

    /// TPM2_PolicyPhysicalPresence (Part 3, 23.12).
    PolicyPhysicalPresence = 0x187 [] {
        handles { policy_session: ShPolicy }
        parameters {}
        response PolicyPhysicalPresenceResponse [] {}
    }

    /// TPM2_PolicyCpHash (Part 3, 23.13).
    PolicyCpHash = 0x16E [] {
        handles { policy_session: ShPolicy }
        parameters { cp_hash: Tpm2bDigest }
        response PolicyCpHashResponse [] {}
    }

    /// TPM2_PolicyNameHash (Part 3, 23.14).
    PolicyNameHash = 0x170 [] {
        handles { policy_session: ShPolicy }
        parameters { name_hash: Tpm2bDigest }
        response PolicyNameHashResponse [] {}
    }

    /// TPM2_PolicyDuplicationSelect (Part 3, 23.15).
    PolicyDuplicationSelect = 0x188 [] {
        handles { policy_session: ShPolicy }
        parameters {
            object_name: Tpm2bName,
            new_parent_name: Tpm2bName,
            include_object: bool,
        }
        response PolicyDuplicationSelectResponse [] {}
    }

    /// TPM2_PolicyAuthValue (Part 3, 23.17).
    PolicyAuthValue = 0x16B [] {
        handles { policy_session: ShPolicy }
        parameters {}
        response PolicyAuthValueResponse [] {}
    }

    /// TPM2_PolicyPassword (Part 3, 23.18).
    PolicyPassword = 0x18C [] {
        handles { policy_session: ShPolicy }
        parameters {}
        response PolicyPasswordResponse [] {}
    }

    /// TPM2_PolicyGetDigest (Part 3, 23.19).
    PolicyGetDigest = 0x189 [] {
        handles { policy_session: ShPolicy }
        parameters {}
        response PolicyGetDigestResponse [] { policy_digest: Tpm2bDigest }
    }

    /// TPM2_PolicyNvWritten (Part 3, 23.20).
    PolicyNvWritten = 0x18F [] {
        handles { policy_session: ShPolicy }
        parameters { written_set: bool }
        response PolicyNvWrittenResponse [] {}
    }

    /// TPM2_PolicyTemplate (Part 3, 23.21).
    PolicyTemplate = 0x190 [] {
        handles { policy_session: ShPolicy }
        parameters { template_hash: Tpm2bDigest }
        response PolicyTemplateResponse [] {}
    }

    /// TPM2_PolicyParameters (Part 3, 23.24).
    PolicyParameters = 0x19C [] {
        handles { policy_session: ShPolicy }
        parameters { parameters_hash: Tpm2bDigest }
        response PolicyParametersResponse [] {}
    }
}

/// TPM_CC of PolicyAuthValue, which stands in the digest of PolicyPassword too.
const AUTH_VALUE: u32 = 0x16B;
/// TPM_CC of Duplicate.
const DUPLICATE: u32 = 0x14B;

/// Whether the session only computes a digest.
pub(super) fn is_trial(session: &Session) -> bool {
    session.kind == SessionType::Trial
}

/// Extends the policy of a session by the code of this command and some data.
pub(super) fn extend(ctx: &mut Context<'_>, session: Handle, parts: &[&[u8]]) -> Result<()> {
    let code = ctx.spec.code;
    extend_by(ctx, session, code, parts)
}

/// Extends the policy of a session by a command code and some data.
pub(super) fn extend_by(
    ctx: &mut Context<'_>,
    session: Handle,
    code: u32,
    parts: &[&[u8]],
) -> Result<()> {
    let session = ctx.state.session_mut(session)?;
    let code = code.to_bytes();
    let mut all = alloc::vec![code.as_slice()];
    all.extend_from_slice(parts);
    session.policy.extend(session.hash, &all);
    Ok(())
}

/// The policy starts again from a digest of zeros, with what it collected.
pub(super) fn clear_digest(ctx: &mut Context<'_>, session: Handle) -> Result<()> {
    let session = ctx.state.session_mut(session)?;
    session.policy.digest = Tpm2bDigest::from(Digest::zero(session.hash));
    Ok(())
}

/// Binds the command to a digest, unless it is bound to something else.
fn bind(ctx: &mut Context<'_>, session: Handle, digest: &Tpm2bDigest, bound: Bound) -> Result<()> {
    let s = ctx.state.session(session)?;
    if digest.len() != s.hash.digest_size() {
        return Err(Rc::SIZE.parameter(1));
    }
    if s.policy.bound != Bound::Nothing && s.policy.bound != bound {
        return Err(Rc::CPHASH);
    }
    extend(ctx, session, &[digest])?;
    ctx.state.session_mut(session)?.policy.bound = bound;
    Ok(())
}

impl Action for PolicyOr {
    type Response = PolicyOrResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyOrResponse> {
        let session = ctx.state.session(self.policy_session)?;
        let branches = &self.hash_list.0;
        let own = &session.policy.digest;
        if !is_trial(session) && !branches.iter().any(|branch| ct_eq(branch, own)) {
            return Err(Rc::VALUE.parameter(1));
        }
        clear_digest(ctx, self.policy_session)?;
        let parts: alloc::vec::Vec<&[u8]> = branches.iter().map(|branch| &**branch).collect();
        extend(ctx, self.policy_session, &parts)?;
        Ok(PolicyOrResponse {})
    }
}

impl Action for PolicyPcr {
    type Response = PolicyPcrResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyPcrResponse> {
        let session = ctx.state.session(self.policy_session)?;
        let trial = is_trial(session);
        // Zero stands for "no PCRs", so the counter is kept one higher.
        let counter = u64::from(ctx.state.reset.pcr_counter).saturating_add(1);
        let (selection, digest) = selected_digest(ctx.state, session.hash, &self.pcrs);
        let mut digest = Tpm2bDigest::from(digest);
        if trial {
            if !self.pcr_digest.is_empty() {
                digest = self.pcr_digest;
            }
        } else {
            if session.policy.pcr_counter != 0 && session.policy.pcr_counter != counter {
                return Err(Rc::PCR_CHANGED);
            }
            if !self.pcr_digest.is_empty() && !ct_eq(&self.pcr_digest, &digest) {
                return Err(Rc::VALUE.parameter(1));
            }
        }
        extend(ctx, self.policy_session, &[&selection.to_bytes(), &digest])?;
        if !trial {
            ctx.state
                .session_mut(self.policy_session)?
                .policy
                .pcr_counter = counter;
        }
        Ok(PolicyPcrResponse {})
    }
}

impl Action for PolicyLocality {
    type Response = PolicyLocalityResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyLocalityResponse> {
        /// From here on a value is the number of an extended locality.
        const EXTENDED: u8 = 32;
        let before = ctx.state.session(self.policy_session)?.policy.locality.0;
        let wanted = self.locality.0;
        let now = if before == 0 {
            wanted
        } else if before >= EXTENDED || wanted >= EXTENDED {
            if before == wanted { wanted } else { 0 }
        } else {
            before & wanted
        };
        if now == 0 {
            return Err(Rc::RANGE.parameter(1));
        }
        extend(ctx, self.policy_session, &[&[wanted]])?;
        ctx.state.session_mut(self.policy_session)?.policy.locality = Locality(now);
        Ok(PolicyLocalityResponse {})
    }
}

impl Action for PolicyCommandCode {
    type Response = PolicyCommandCodeResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyCommandCodeResponse> {
        let before = ctx.state.session(self.policy_session)?.policy.command_code;
        if before != 0 && before != self.code {
            return Err(Rc::VALUE.parameter(1));
        }
        if crate::command::find(self.code).is_none() {
            return Err(Rc::POLICY_CC.parameter(1));
        }
        extend(ctx, self.policy_session, &[&self.code.to_bytes()])?;
        ctx.state
            .session_mut(self.policy_session)?
            .policy
            .command_code = self.code;
        Ok(PolicyCommandCodeResponse {})
    }
}

impl Action for PolicyPhysicalPresence {
    type Response = PolicyPhysicalPresenceResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyPhysicalPresenceResponse> {
        extend(ctx, self.policy_session, &[])?;
        ctx.state
            .session_mut(self.policy_session)?
            .policy
            .pp_required = true;
        Ok(PolicyPhysicalPresenceResponse {})
    }
}

impl Action for PolicyCpHash {
    type Response = PolicyCpHashResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyCpHashResponse> {
        let bound = Bound::CpHash(self.cp_hash.clone());
        bind(ctx, self.policy_session, &self.cp_hash, bound)?;
        Ok(PolicyCpHashResponse {})
    }
}

impl Action for PolicyNameHash {
    type Response = PolicyNameHashResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyNameHashResponse> {
        if ctx.state.session(self.policy_session)?.policy.bound != Bound::Nothing {
            return Err(Rc::CPHASH);
        }
        let bound = Bound::NameHash(self.name_hash.clone());
        bind(ctx, self.policy_session, &self.name_hash, bound)?;
        Ok(PolicyNameHashResponse {})
    }
}

impl Action for PolicyTemplate {
    type Response = PolicyTemplateResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyTemplateResponse> {
        let bound = Bound::Template(self.template_hash.clone());
        bind(ctx, self.policy_session, &self.template_hash, bound)?;
        Ok(PolicyTemplateResponse {})
    }
}

impl Action for PolicyParameters {
    type Response = PolicyParametersResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyParametersResponse> {
        let bound = Bound::Parameters(self.parameters_hash.clone());
        bind(ctx, self.policy_session, &self.parameters_hash, bound)?;
        Ok(PolicyParametersResponse {})
    }
}

impl Action for PolicyDuplicationSelect {
    type Response = PolicyDuplicationSelectResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyDuplicationSelectResponse> {
        let session = ctx.state.session(self.policy_session)?;
        if session.policy.bound != Bound::Nothing {
            return Err(Rc::CPHASH);
        }
        if session.policy.command_code != 0 {
            return Err(Rc::COMMAND_CODE);
        }
        let names = session
            .hash
            .digest(&[&self.object_name, &self.new_parent_name]);
        let object: &[u8] = if self.include_object {
            &self.object_name
        } else {
            &[]
        };
        extend(
            ctx,
            self.policy_session,
            &[
                object,
                &self.new_parent_name,
                &self.include_object.to_bytes(),
            ],
        )?;
        let policy = &mut ctx.state.session_mut(self.policy_session)?.policy;
        policy.bound = Bound::NameHash(Tpm2bDigest::from(names));
        policy.command_code = DUPLICATE;
        Ok(PolicyDuplicationSelectResponse {})
    }
}

impl Action for PolicyAuthValue {
    type Response = PolicyAuthValueResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyAuthValueResponse> {
        extend(ctx, self.policy_session, &[])?;
        let policy = &mut ctx.state.session_mut(self.policy_session)?.policy;
        policy.auth_value_needed = true;
        policy.password_needed = false;
        Ok(PolicyAuthValueResponse {})
    }
}

impl Action for PolicyPassword {
    type Response = PolicyPasswordResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyPasswordResponse> {
        extend_by(ctx, self.policy_session, AUTH_VALUE, &[])?;
        let policy = &mut ctx.state.session_mut(self.policy_session)?.policy;
        policy.auth_value_needed = false;
        policy.password_needed = true;
        Ok(PolicyPasswordResponse {})
    }
}

impl Action for PolicyGetDigest {
    type Response = PolicyGetDigestResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyGetDigestResponse> {
        Ok(PolicyGetDigestResponse {
            policy_digest: ctx
                .state
                .session(self.policy_session)?
                .policy
                .digest
                .clone(),
        })
    }
}

impl Action for PolicyNvWritten {
    type Response = PolicyNvWrittenResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyNvWrittenResponse> {
        let policy = &ctx.state.session(self.policy_session)?.policy;
        if policy.check_nv_written && policy.nv_written != self.written_set {
            return Err(Rc::VALUE.parameter(1));
        }
        extend(ctx, self.policy_session, &[&self.written_set.to_bytes()])?;
        let policy = &mut ctx.state.session_mut(self.policy_session)?.policy;
        policy.check_nv_written = true;
        policy.nv_written = self.written_set;
        Ok(PolicyNvWrittenResponse {})
    }
}
