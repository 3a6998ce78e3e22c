//! Hash, HMAC and event sequences (Part 3, 17), and the commands that do the
//! same at once (Part 3, 15.4 and 15.5).

use crate::chapters::pcr;
use crate::command::Action;
use crate::context::Context;
use crate::crypto::hash::{HashAlg, Hasher};
use crate::crypto::hmac::{Hmac, hmac};
use crate::rc::{Rc, Result};
use crate::state::{Object, Sequence, SequenceKind, State};
use crate::ticket;
use crate::wire::{
    DigestValues, Handle, ObjectAttributes, PublicParams, RhHierarchy, Scheme, TaggedHash, Ticket,
    Tpm2bAuth, Tpm2bDigest, Tpm2bMaxBuffer,
};
use alloc::vec::Vec;

crate::commands! {
    /// TPM2_HMAC_Start (Part 3, 17.2).
    HmacStart = 0x15B [] {
        handles { handle: DhObject as User }
        parameters { auth: Tpm2bAuth, hash_alg: Option<HashAlg> }
        response HmacStartResponse [sequence_handle] {}
    }

    /// TPM2_HashSequenceStart (Part 3, 17.4).
    HashSequenceStart = 0x186 [] {
        handles {}
        parameters { auth: Tpm2bAuth, hash_alg: Option<HashAlg> }
        response HashSequenceStartResponse [sequence_handle] {}
    }

    /// TPM2_SequenceUpdate (Part 3, 17.7).
    SequenceUpdate = 0x15C [] {
        handles { sequence_handle: DhObject as User }
        parameters { buffer: Tpm2bMaxBuffer }
        response SequenceUpdateResponse [] {}
    }

    /// TPM2_SequenceComplete (Part 3, 17.8).
    SequenceComplete = 0x13E [flushed] {
        handles { sequence_handle: DhObject as User }
        parameters { buffer: Tpm2bMaxBuffer, hierarchy: RhHierarchy }
        response SequenceCompleteResponse [] { result: Tpm2bDigest, validation: Ticket }
    }

    /// TPM2_EventSequenceComplete (Part 3, 17.9).
    EventSequenceComplete = 0x185 [nv flushed] {
        handles { pcr_handle: DhPcrOrNull as User, sequence_handle: DhObject as User }
        parameters { buffer: Tpm2bMaxBuffer }
        response EventSequenceCompleteResponse [] { results: DigestValues }
    }

    /// TPM2_Hash (Part 3, 15.4).
    Hash = 0x17D [] {
        handles {}
        parameters { data: Tpm2bMaxBuffer, hash_alg: HashAlg, hierarchy: RhHierarchy }
        response HashResponse [] { out_hash: Tpm2bDigest, validation: Ticket }
    }

    /// TPM2_HMAC (Part 3, 15.5).
    HmacCommand = 0x155 [] {
        handles { handle: DhObject as User }
        parameters { buffer: Tpm2bMaxBuffer, hash_alg: Option<HashAlg> }
        response HmacResponse [] { out_hmac: Tpm2bDigest }
    }
}

/// Bytes at the start of data that pretend to come from a TPM.
const GENERATED: [u8; 4] = crate::wire::GENERATED.to_be_bytes();

/// The HMAC key of an object, and the hash algorithm to use with it.
fn hmac_key(object: &Object, wanted: Option<HashAlg>) -> Result<(HashAlg, &[u8])> {
    let PublicParams::KeyedHash { scheme } = &object.public.params else {
        return Err(Rc::TYPE.handle(1));
    };
    if object.has(ObjectAttributes::RESTRICTED) {
        return Err(Rc::ATTRIBUTES.handle(1));
    }
    if !object.has(ObjectAttributes::SIGN) {
        return Err(Rc::KEY.handle(1));
    }
    let alg = match (**scheme, wanted) {
        (Scheme::Null, Some(alg)) => alg,
        (Scheme::Hmac(alg), None) => alg,
        (Scheme::Hmac(alg), Some(w)) if alg == w => alg,
        _ => return Err(Rc::VALUE.parameter(2)),
    };
    let key = object.sensitive.as_ref().ok_or(Rc::KEY.handle(1))?;
    Ok((alg, &key.data))
}

impl Action for HmacStart {
    type Response = HmacStartResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<HmacStartResponse> {
        let object = ctx.state.object(self.handle).map_err(|rc| rc.handle(1))?;
        let (alg, key) = hmac_key(object, self.hash_alg)?;
        let kind = SequenceKind::Hmac(Hmac::new(alg, key));
        let sequence = Sequence {
            kind,
            auth: self.auth.without_trailing_zeros(),
            hierarchy: object.hierarchy,
            start: Vec::new(),
        };
        Ok(HmacStartResponse {
            sequence_handle: ctx.state.load_sequence(sequence)?,
        })
    }
}

impl Action for HashSequenceStart {
    type Response = HashSequenceStartResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<HashSequenceStartResponse> {
        let kind = match self.hash_alg {
            Some(alg) => SequenceKind::Hash(Hasher::new(alg)),
            None => SequenceKind::Event(bank_hashers(ctx.state)),
        };
        let sequence = Sequence {
            kind,
            auth: self.auth.without_trailing_zeros(),
            hierarchy: RhHierarchy(Handle::NULL),
            start: Vec::new(),
        };
        Ok(HashSequenceStartResponse {
            sequence_handle: ctx.state.load_sequence(sequence)?,
        })
    }
}

/// One hasher for each active bank.
pub(crate) fn bank_hashers(state: &State) -> Vec<Hasher> {
    state
        .clear
        .pcrs
        .selections()
        .map(|bank| Hasher::new(bank.alg))
        .collect()
}

impl Sequence {
    /// Adds data.
    fn update(&mut self, data: &[u8]) {
        let room = GENERATED.len().saturating_sub(self.start.len());
        self.start.extend(data.iter().take(room));
        match &mut self.kind {
            SequenceKind::Hash(h) => h.update(data),
            SequenceKind::Hmac(h) => h.update(data),
            SequenceKind::Event(all) => all.iter_mut().for_each(|h| h.update(data)),
        }
    }

    /// Whether the data pretend to come from a TPM.
    fn pretends(&self) -> bool {
        self.start.starts_with(&GENERATED)
    }
}

impl Action for SequenceUpdate {
    type Response = SequenceUpdateResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<SequenceUpdateResponse> {
        let sequence = ctx
            .state
            .sequence_mut(self.sequence_handle)
            .map_err(|rc| rc.handle(1))?;
        sequence.update(&self.buffer);
        Ok(SequenceUpdateResponse {})
    }
}

impl Action for SequenceComplete {
    type Response = SequenceCompleteResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<SequenceCompleteResponse> {
        let mut sequence = ctx
            .state
            .sequence(self.sequence_handle)
            .map_err(|rc| rc.handle(1))?
            .clone();
        sequence.update(&self.buffer);
        let pretends = sequence.pretends();
        let (result, validation) = match sequence.kind {
            SequenceKind::Event(_) => return Err(Rc::MODE.handle(1)),
            SequenceKind::Hmac(h) => (h.finalize(), ticket::null(crate::wire::st::HASHCHECK)),
            SequenceKind::Hash(h) => {
                let alg = h.alg();
                let digest = h.finalize();
                (
                    digest,
                    check_ticket(ctx.state, self.hierarchy, pretends, alg, &digest),
                )
            }
        };
        ctx.state.volatile.transient.remove(&self.sequence_handle.0);
        Ok(SequenceCompleteResponse {
            result: Tpm2bDigest::from(result),
            validation,
        })
    }
}

fn check_ticket(
    state: &State,
    hierarchy: RhHierarchy,
    pretends: bool,
    alg: HashAlg,
    digest: &[u8],
) -> Ticket {
    if pretends {
        return ticket::null(crate::wire::st::HASHCHECK);
    }
    ticket::hash_check(state, hierarchy, alg, digest)
}

impl Action for EventSequenceComplete {
    type Response = EventSequenceCompleteResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<EventSequenceCompleteResponse> {
        let mut sequence = ctx
            .state
            .sequence(self.sequence_handle)
            .map_err(|rc| rc.handle(2))?
            .clone();
        sequence.update(&self.buffer);
        let SequenceKind::Event(all) = sequence.kind else {
            return Err(Rc::MODE.handle(2));
        };
        let pcr = pcr::for_extend(ctx, self.pcr_handle)?;
        let results: Vec<TaggedHash> = all
            .into_iter()
            .map(|h| TaggedHash {
                alg: h.alg(),
                digest: h.finalize(),
            })
            .collect();
        if let Some(pcr) = pcr {
            for result in &results {
                pcr::extend(ctx.state, pcr, result);
            }
            pcr::changed(ctx.state, pcr);
        }
        ctx.state.volatile.transient.remove(&self.sequence_handle.0);
        Ok(EventSequenceCompleteResponse {
            results: DigestValues::cut(results),
        })
    }
}

impl Action for Hash {
    type Response = HashResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<HashResponse> {
        if !ctx.state.hierarchy_enabled(*self.hierarchy) {
            return Err(Rc::HIERARCHY.parameter(3));
        }
        let digest = self.hash_alg.digest(&[&self.data]);
        let pretends = self.data.starts_with(&GENERATED);
        let validation = check_ticket(ctx.state, self.hierarchy, pretends, self.hash_alg, &digest);
        Ok(HashResponse {
            out_hash: Tpm2bDigest::from(digest),
            validation,
        })
    }
}

impl Action for HmacCommand {
    type Response = HmacResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<HmacResponse> {
        let object = ctx.state.object(self.handle).map_err(|rc| rc.handle(1))?;
        let (alg, key) = hmac_key(object, self.hash_alg)?;
        Ok(HmacResponse {
            out_hmac: Tpm2bDigest::from(hmac(alg, key, &[&self.buffer])),
        })
    }
}
