//! The keys of the emulated secure processor: the same in every run, and no
//! secret. The machine's banner says so.

use protocols::snp::Vmpl;
use protocols::snp::secrets::VMPCK_SIZE;
use sha2::{Digest, Sha384};
use snp_model::launch::LaunchDigest;

/// The VM platform communication keys, one for each level.
pub(crate) fn vmpcks() -> [[u8; VMPCK_SIZE]; Vmpl::COUNT] {
    core::array::from_fn(|level| {
        let digest = Sha384::new()
            .chain_update("emulated VMPCK")
            .chain_update([level as u8])
            .finalize();
        core::array::from_fn(|at| digest.get(at).copied().unwrap_or_default())
    })
}

/// The report ID of the guest: nothing but its launch digest tells it from others.
pub(crate) fn report_id(digest: &LaunchDigest) -> [u8; 32] {
    let digest = Sha384::new()
        .chain_update("emulated report ID")
        .chain_update(digest)
        .finalize();
    core::array::from_fn(|at| digest.get(at).copied().unwrap_or_default())
}
