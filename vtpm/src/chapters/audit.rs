//! Command audit (Part 3, 21).

use crate::command::{self, Action};
use crate::context::Context;
use crate::crypto::hash::HashAlg;
use crate::limits::MAX_CAP_CC;
use crate::rc::{Rc, Result};
use crate::wire::{CommandCodes, Tpm2bDigest};

crate::commands! {
    /// TPM2_SetCommandCodeAuditStatus (Part 3, 21.2).
    SetCommandCodeAuditStatus = 0x140 [nv] {
        handles { auth: RhProvision as User }
        parameters { audit_alg: Option<HashAlg>, set_list: CommandCodes, clear_list: CommandCodes }
        response SetCommandCodeAuditStatusResponse [] {}
    }
}

impl Action for SetCommandCodeAuditStatus {
    type Response = SetCommandCodeAuditStatusResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<SetCommandCodeAuditStatusResponse> {
        let state = &mut *ctx.state;
        if let Some(alg) = self.audit_alg
            && alg != state.audit.alg
        {
            // The algorithm changes alone, so that the audit tells of it.
            if !self.set_list.is_empty() || !self.clear_list.is_empty() {
                return Err(Rc::VALUE.parameter(1));
            }
            state.audit.alg = alg;
            state.reset.command_audit_digest = Tpm2bDigest::empty();
            return Ok(SetCommandCodeAuditStatusResponse {});
        }
        let mut commands = state.audit.commands.clone();
        for &code in self.set_list.iter() {
            let auditable = command::find(code).is_some_and(|c| !c.flags.no_audit);
            if auditable && !commands.contains(&code) && commands.len() < MAX_CAP_CC {
                commands.push(code);
            }
        }
        // This command itself cannot be left out of the audit.
        commands.retain(|code| *code == ctx.spec.code || !self.clear_list.contains(code));
        commands.sort_unstable();
        state.audit.commands = commands;
        Ok(SetCommandCodeAuditStatusResponse {})
    }
}
