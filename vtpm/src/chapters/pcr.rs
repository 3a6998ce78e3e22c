//! Integrity collection: PCRs (Part 3, 22).

use crate::chapters::startup::Start;
use crate::command::Action;
use crate::context::Context;
use crate::crypto::hash::{Digest, HashAlg};
use crate::limits::IMPLEMENTATION_PCR;
use crate::rc::{Rc, Result};
use crate::state::hierarchy::AuthPolicy;
use crate::state::{PcrBanks, State};
use crate::wire::{
    BankSelection, DigestValues, Digests, Handle, PcrSelection, TaggedHash, Tpm2bAuth, Tpm2bDigest,
    Tpm2bEvent,
};
use alloc::vec::Vec;

/// First PCR of the group that has auth values and a policy.
pub const AUTH_FIRST: usize = 20;
/// PCRs of that group.
pub const AUTH_PCRS: usize = 3;
/// Digests in a response of PCR_Read.
const READ_MAX: usize = 8;

/// What the platform profile says of a PCR.
#[derive(Clone, Copy)]
pub struct Attributes {
    /// Whether Shutdown(STATE) keeps it.
    pub saved: bool,
    /// Localities that can reset it, a bit for each.
    pub reset: u8,
    /// Localities that can extend it.
    pub extend: u8,
    /// Whether its changes bump the counter that policies look at.
    pub counted: bool,
}

/// The profile's attributes (PC Client Platform TPM Profile, 4.6).
#[must_use]
pub fn attributes(pcr: usize) -> Attributes {
    let (saved, reset, extend, counted) = match pcr {
        0..=15 => (true, 0x00, 0x1F, true),
        16 => (false, 0x0F, 0x1F, false),
        17 | 18 => (false, 0x10, 0x1C, true),
        19 => (false, 0x10, 0x0C, true),
        20 => (false, 0x14, 0x0E, true),
        21 | 22 => (false, 0x14, 0x04, false),
        23 => (false, 0x0F, 0x1F, false),
        _ => (false, 0, 0, false),
    };
    Attributes {
        saved,
        reset,
        extend,
        counted,
    }
}

/// Whether a PCR is set by a dynamic root of trust.
#[must_use]
pub fn is_drtm(pcr: usize) -> bool {
    attributes(pcr).reset & 0x10 != 0
}

crate::commands! {
    /// TPM2_PCR_Extend (Part 3, 22.2).
    PcrExtend = 0x182 [nv] {
        handles { pcr_handle: DhPcrOrNull as User }
        parameters { digests: DigestValues }
        response PcrExtendResponse [] {}
    }

    /// TPM2_PCR_Event (Part 3, 22.3).
    PcrEvent = 0x13C [nv] {
        handles { pcr_handle: DhPcrOrNull as User }
        parameters { event_data: Tpm2bEvent }
        response PcrEventResponse [] { digests: DigestValues }
    }

    /// TPM2_PCR_Read (Part 3, 22.4).
    PcrRead = 0x17E [] {
        handles {}
        parameters { pcr_selection_in: PcrSelection }
        response PcrReadResponse [] {
            pcr_update_counter: u32,
            pcr_selection_out: PcrSelection,
            pcr_values: Digests,
        }
    }

    /// TPM2_PCR_Reset (Part 3, 22.8).
    PcrReset = 0x13D [nv] {
        handles { pcr_handle: DhPcr as User }
        parameters {}
        response PcrResetResponse [] {}
    }
}

/// Sets the PCRs at a start: the saved ones of a resume, else their first
/// values.
pub(crate) fn on_startup(state: &mut State, start: Start, saved: Option<&PcrBanks>) {
    let banks: Vec<BankSelection> = state.clear.pcrs.selections().collect();
    for bank in banks {
        for pcr in bank.iter() {
            let kept = saved.filter(|_| start == Start::Resume && attributes(pcr).saved);
            let value = match kept {
                Some(saved) => saved.get(bank.alg, pcr).copied(),
                None if state.volatile.drtm_before_startup && pcr == 0 => {
                    continue;
                }
                None => Some(first_value(
                    bank.alg,
                    pcr,
                    state.volatile.startup_locality_3,
                )),
            };
            if let Some(value) = value {
                state.clear.pcrs.set(bank.alg, pcr, value);
            }
        }
    }
    if start == Start::Reset {
        state.reset.pcr_counter = 0;
    }
}

fn first_value(alg: HashAlg, pcr: usize, locality_3: bool) -> Digest {
    let mut bytes = alloc::vec![if is_drtm(pcr) { 0xFF } else { 0x00 }; alg.digest_size()];
    if pcr == 0
        && locality_3
        && let Some(last) = bytes.last_mut()
    {
        *last = 3;
    }
    Digest::from_slice(&bytes).unwrap_or_else(|| Digest::zero(alg))
}

/// The auth value of a PCR's handle.
#[must_use]
pub fn auth_value(state: &State, h: Handle) -> Tpm2bAuth {
    let slot = h.pcr().and_then(|n| n.checked_sub(AUTH_FIRST));
    slot.and_then(|n| state.clear.pcr_auth.get(n))
        .cloned()
        .unwrap_or_default()
}

/// The policy of a PCR's handle.
#[must_use]
pub fn policy(state: &State, h: Handle) -> Option<&AuthPolicy> {
    let n = h.pcr()?;
    (AUTH_FIRST..AUTH_FIRST + AUTH_PCRS)
        .contains(&n)
        .then_some(&state.pcr_config.policy)
}

/// Extends a PCR in one bank: new = H(old ‖ digest).
pub(crate) fn extend(state: &mut State, pcr: usize, value: &TaggedHash) {
    if let Some(old) = state.clear.pcrs.get(value.alg, pcr).copied() {
        let new = value.alg.digest(&[&old, &value.digest]);
        state.clear.pcrs.set(value.alg, pcr, new);
    }
}

/// Notes that a PCR changed.
pub(crate) fn changed(state: &mut State, pcr: usize) {
    if attributes(pcr).counted {
        state.reset.pcr_counter = state.reset.pcr_counter.wrapping_add(1);
    }
}

/// The PCR of a handle that a locality wants to extend; `None` for
/// TPM_RH_NULL.
pub(crate) fn for_extend(ctx: &Context<'_>, h: Handle) -> Result<Option<usize>> {
    let Some(pcr) = h.pcr() else { return Ok(None) };
    if ctx.locality > 4 || attributes(pcr).extend & (1 << ctx.locality) == 0 {
        return Err(Rc::LOCALITY);
    }
    Ok(Some(pcr))
}

/// The digest of selected PCRs, and the selection without PCRs that are not
/// there (Part 1, 17.6).
#[must_use]
pub fn selected_digest(
    state: &State,
    alg: HashAlg,
    selection: &PcrSelection,
) -> (PcrSelection, Digest) {
    let mut hasher = crate::crypto::hash::Hasher::new(alg);
    let mut there = Vec::new();
    for bank in selection.iter() {
        let mut kept = BankSelection::none(bank.alg);
        for pcr in bank.iter() {
            if let Some(value) = state.clear.pcrs.get(bank.alg, pcr) {
                hasher.update(value);
                kept.set(pcr, true);
            }
        }
        there.push(kept);
    }
    (PcrSelection::cut(there), hasher.finalize())
}

impl Action for PcrExtend {
    type Response = PcrExtendResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PcrExtendResponse> {
        let Some(pcr) = for_extend(ctx, self.pcr_handle)? else {
            return Ok(PcrExtendResponse {});
        };
        for digest in self.digests.iter() {
            extend(ctx.state, pcr, digest);
        }
        changed(ctx.state, pcr);
        Ok(PcrExtendResponse {})
    }
}

impl Action for PcrEvent {
    type Response = PcrEventResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PcrEventResponse> {
        let pcr = for_extend(ctx, self.pcr_handle)?;
        let banks: Vec<BankSelection> = ctx.state.clear.pcrs.selections().collect();
        let digests: Vec<TaggedHash> = banks
            .iter()
            .map(|bank| TaggedHash {
                alg: bank.alg,
                digest: bank.alg.digest(&[&self.event_data]),
            })
            .collect();
        if let Some(pcr) = pcr {
            for digest in &digests {
                extend(ctx.state, pcr, digest);
            }
            changed(ctx.state, pcr);
        }
        Ok(PcrEventResponse {
            digests: DigestValues::cut(digests),
        })
    }
}

impl Action for PcrRead {
    type Response = PcrReadResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PcrReadResponse> {
        let mut values = Vec::new();
        let mut read = Vec::new();
        for bank in self.pcr_selection_in.iter() {
            let mut done = BankSelection::none(bank.alg);
            for pcr in bank.iter() {
                if values.len() == READ_MAX {
                    break;
                }
                if let Some(value) = ctx.state.clear.pcrs.get(bank.alg, pcr) {
                    values.push(Tpm2bDigest::from(*value));
                    done.set(pcr, true);
                }
            }
            read.push(done);
        }
        Ok(PcrReadResponse {
            pcr_update_counter: ctx.state.reset.pcr_counter,
            pcr_selection_out: PcrSelection::cut(read),
            pcr_values: Digests::cut(values),
        })
    }
}

impl Action for PcrReset {
    type Response = PcrResetResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PcrResetResponse> {
        let pcr = self
            .pcr_handle
            .pcr()
            .filter(|&n| n < IMPLEMENTATION_PCR)
            .ok_or(Rc::VALUE.handle(1))?;
        // Locality 4 resets by _TPM_Hash_Start alone.
        if ctx.locality > 3 || attributes(pcr).reset & (1 << ctx.locality) == 0 {
            return Err(Rc::LOCALITY);
        }
        let banks: Vec<BankSelection> = ctx.state.clear.pcrs.selections().collect();
        for bank in banks {
            ctx.state
                .clear
                .pcrs
                .set(bank.alg, pcr, Digest::zero(bank.alg));
        }
        changed(ctx.state, pcr);
        Ok(PcrResetResponse {})
    }
}
