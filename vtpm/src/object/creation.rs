//! Creation data and its ticket (Part 1, 26.2).

use crate::chapters::pcr;
use crate::context::Context;
use crate::crypto::hash::HashAlg;
use crate::rc::Result;
use crate::ticket;
use crate::wire::{
    CreationData, Handle, Locality, Marshal, PcrSelection, Sized2b, Ticket, Tpm2bData, Tpm2bDigest,
    Tpm2bName,
};

/// What a creating command answers besides the object.
pub struct Creation {
    /// The creation data.
    pub data: Sized2b<CreationData>,
    /// Its digest.
    pub hash: Tpm2bDigest,
    /// Proof that this TPM created the object with these data.
    pub ticket: Ticket,
}

/// TPMA_LOCALITY of a locality.
#[must_use]
pub fn locality_attributes(locality: u8) -> Locality {
    Locality(if locality < 5 {
        1 << locality
    } else {
        locality
    })
}

/// The creation data of an object with a Name, made below `parent`. The digest
/// of no PCRs is that of nothing, as other TPMs have it (Part 2, 15.1 would
/// have it empty).
pub fn describe(
    ctx: &Context<'_>,
    parent: Handle,
    alg: HashAlg,
    name: &Tpm2bName,
    pcrs: &PcrSelection,
    outside_info: &Tpm2bData,
) -> Result<Creation> {
    let (pcr_select, pcr_digest) = pcr::selected_digest(ctx.state, alg, pcrs);
    let (parent_name_alg, parent_qualified_name) = if parent.is_object() {
        let above = ctx.state.object(parent)?;
        (above.public.name_alg, above.qualified_name.clone())
    } else {
        (None, ctx.state.name_of(parent))
    };
    let data = CreationData {
        pcr_select,
        pcr_digest: pcr_digest.into(),
        locality: locality_attributes(ctx.locality),
        parent_name_alg,
        parent_name: ctx.state.name_of(parent),
        parent_qualified_name,
        outside_info: outside_info.clone(),
    };
    let hash = Tpm2bDigest::from(alg.digest(&[&data.to_bytes()]));
    let ticket = ticket::creation(ctx.state, ctx.state.hierarchy_of(parent)?, name, &hash);
    Ok(Creation {
        data: Sized2b(data),
        hash,
        ticket,
    })
}
