//! _TPM_Hash_Start, _TPM_Hash_Data and _TPM_Hash_End (Part 3, 22.9 to 22.11):
//! how a CRTM or a dynamic root of trust measures itself. Before Startup they
//! set PCR 0, after it PCR 17.

use crate::chapters::pcr;
use crate::crypto::hash::{Digest, Hasher};
use crate::state::State;
use crate::wire::{BankSelection, TaggedHash};
use alloc::vec::Vec;

/// PCR of the static root.
const STATIC_ROOT: usize = 0;
/// PCR of the dynamic root.
const DYNAMIC_ROOT: usize = 17;

/// _TPM_Hash_Start. An earlier sequence that did not end is given up.
pub(crate) fn start(state: &mut State) {
    state.volatile.drtm = Some(crate::chapters::sequences::bank_hashers(state));
}

/// _TPM_Hash_Data; without a sequence nothing happens.
pub(crate) fn data(state: &mut State, bytes: &[u8]) {
    for hasher in state.volatile.drtm.iter_mut().flatten() {
        hasher.update(bytes);
    }
}

/// _TPM_Hash_End; without a sequence nothing happens.
pub(crate) fn end(state: &mut State) {
    let Some(hashers) = state.volatile.drtm.take() else {
        return;
    };
    let started = state.volatile.started;
    let root = if started { DYNAMIC_ROOT } else { STATIC_ROOT };
    let banks: Vec<BankSelection> = state.clear.pcrs.selections().collect();
    for bank in banks {
        if started {
            for n in (0..crate::limits::IMPLEMENTATION_PCR).filter(|&n| pcr::is_drtm(n)) {
                state.clear.pcrs.set(bank.alg, n, Digest::zero(bank.alg));
            }
        } else {
            // The locality of an H-CRTM, 4, is the first value of PCR 0.
            let mut first = Digest::zero(bank.alg).to_vec();
            if let Some(last) = first.last_mut() {
                *last = 4;
            }
            if let Some(first) = Digest::from_slice(&first) {
                state.clear.pcrs.set(bank.alg, root, first);
            }
        }
    }
    finish(state, root, hashers);
    if started {
        pcr::changed(state, root);
    } else {
        state.volatile.drtm_before_startup = true;
    }
}

fn finish(state: &mut State, root: usize, hashers: Vec<Hasher>) {
    for hasher in hashers {
        let alg = hasher.alg();
        pcr::extend(
            state,
            root,
            &TaggedHash {
                alg,
                digest: hasher.finalize(),
            },
        );
    }
}
