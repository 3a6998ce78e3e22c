//! The keys and names of the emulated secure processor: the same in every run, and no
//! secret. The machine's banner says so.

use sha2::{Digest, Sha384};
use snp_model::launch::LaunchDigest;
pub(crate) use snp_model::psp::emulated::vmpcks;

/// The report ID of the guest: nothing but its launch digest tells it from others.
pub(crate) fn report_id(digest: &LaunchDigest) -> [u8; 32] {
    let digest = Sha384::new()
        .chain_update("emulated report ID")
        .chain_update(digest)
        .finalize();
    core::array::from_fn(|at| digest.get(at).copied().unwrap_or_default())
}
