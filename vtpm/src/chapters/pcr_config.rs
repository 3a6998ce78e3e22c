//! Allocation and authorization of PCRs (Part 3, 22.5 to 22.7).

use crate::chapters::pcr::{AUTH_FIRST, AUTH_PCRS};
use crate::command::Action;
use crate::context::Context;
use crate::crypto::hash::HashAlg;
use crate::limits::IMPLEMENTATION_PCR;
use crate::rc::{Rc, Result};
use crate::state::hierarchy::AuthPolicy;
use crate::wire::{DhPcr, PcrSelection, Tpm2bAuth, Tpm2bDigest};

crate::commands! {
    /// TPM2_PCR_Allocate (Part 3, 22.5).
    PcrAllocate = 0x12B [nv] {
        handles { auth_handle: RhPlatform as User }
        parameters { pcr_allocation: PcrSelection }
        response PcrAllocateResponse [] {
            allocation_success: bool,
            max_pcr: u32,
            size_needed: u32,
            size_available: u32,
        }
    }

    /// TPM2_PCR_SetAuthPolicy (Part 3, 22.6).
    PcrSetAuthPolicy = 0x12C [nv] {
        handles { auth_handle: RhPlatform as User }
        parameters { auth_policy: Tpm2bDigest, hash_alg: Option<HashAlg>, pcr_num: DhPcr }
        response PcrSetAuthPolicyResponse [] {}
    }

    /// TPM2_PCR_SetAuthValue (Part 3, 22.7).
    PcrSetAuthValue = 0x183 [] {
        handles { pcr_handle: DhPcr as User }
        parameters { auth: Tpm2bDigest }
        response PcrSetAuthValueResponse [] {}
    }
}

impl Action for PcrAllocate {
    type Response = PcrAllocateResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PcrAllocateResponse> {
        let mut allocated = ctx.state.pcr_config.allocated.clone();
        for asked in self.pcr_allocation.iter() {
            // Banks that are not named stay as they are.
            for bank in allocated.iter_mut().filter(|b| b.alg == asked.alg) {
                bank.pcrs = asked.pcrs;
            }
        }
        // Some bank must hold the PCRs of the static and the dynamic root.
        for root in [0, 17] {
            if !allocated.iter().any(|bank| bank.has(root)) {
                return Err(Rc::PCR);
            }
        }
        let size = |banks: &[crate::wire::BankSelection]| {
            let bytes: usize = banks
                .iter()
                .map(|b| b.iter().count() * b.alg.digest_size())
                .sum();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let size_needed = size(&allocated);
        let all: usize = HashAlg::ALL
            .iter()
            .map(|alg| alg.digest_size() * IMPLEMENTATION_PCR)
            .sum();
        if ctx.state.pcr_config.allocated != allocated {
            ctx.state.pcr_config.allocated = allocated;
        }
        Ok(PcrAllocateResponse {
            allocation_success: true,
            max_pcr: u32::try_from(IMPLEMENTATION_PCR).unwrap_or(0),
            size_needed,
            size_available: u32::try_from(all).unwrap_or(0),
        })
    }
}

/// The place of a PCR in the group that has auth values and a policy.
fn group_slot(pcr: usize) -> Option<usize> {
    pcr.checked_sub(AUTH_FIRST).filter(|&slot| slot < AUTH_PCRS)
}

impl Action for PcrSetAuthPolicy {
    type Response = PcrSetAuthPolicyResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PcrSetAuthPolicyResponse> {
        let expected = self.hash_alg.map_or(0, HashAlg::digest_size);
        if self.auth_policy.len() != expected {
            return Err(Rc::SIZE.parameter(1));
        }
        self.pcr_num
            .pcr()
            .and_then(group_slot)
            .ok_or(Rc::VALUE.parameter(3))?;
        ctx.state.pcr_config.policy = AuthPolicy {
            alg: self.hash_alg,
            digest: self.auth_policy,
        };
        Ok(PcrSetAuthPolicyResponse {})
    }
}

impl Action for PcrSetAuthValue {
    type Response = PcrSetAuthValueResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PcrSetAuthValueResponse> {
        let slot = self
            .pcr_handle
            .pcr()
            .and_then(group_slot)
            .ok_or(Rc::VALUE.handle(1))?;
        if let Some(auth) = ctx.state.clear.pcr_auth.get_mut(slot) {
            *auth = Tpm2bAuth::cut(&self.auth).without_trailing_zeros();
        }
        Ok(PcrSetAuthValueResponse {})
    }
}
