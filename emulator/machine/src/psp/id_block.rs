//! An IGVM file's ID block, as QEMU hands it to SNP_LAUNCH_FINISH: the same fields,
//! at other places. The policy is the launch's.

use igvm_defs::{
    IGVM_VHS_SNP_ID_BLOCK, IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY, IGVM_VHS_SNP_ID_BLOCK_SIGNATURE,
};
use protocols::snp::{
    Curve, EcdsaPublicKey, IdAuthentication, IdBlock, KeyAlgorithm, ReportSignature,
};
use snp_model::launch::id_block::FinishError;
use snp_model::launch::{Launch, Launched};
use zerocopy::FromZeros;

/// SNP_LAUNCH_FINISH with the file's ID block.
pub(crate) fn finish(
    launch: Launch,
    policy: u64,
    given: &IGVM_VHS_SNP_ID_BLOCK,
) -> Result<Launched, FinishError> {
    let block = IdBlock {
        launch_digest: given.ld,
        family_id: given.family_id,
        image_id: given.image_id,
        version: given.version,
        guest_svn: given.guest_svn,
        policy,
    };
    let mut auth = IdAuthentication::none();
    auth.id_key_algorithm = KeyAlgorithm(given.id_key_algorithm);
    auth.author_key_algorithm = KeyAlgorithm(given.author_key_algorithm);
    auth.id_block_signature = signature(&given.id_key_signature);
    auth.id_key = public_key(&given.id_public_key);
    auth.id_key_signature = signature(&given.author_key_signature);
    auth.author_key = public_key(&given.author_public_key);
    launch.finish_with(&block, &auth, given.author_key_enabled != 0)
}

fn signature(given: &IGVM_VHS_SNP_ID_BLOCK_SIGNATURE) -> ReportSignature {
    ReportSignature {
        r: given.r_comp,
        s: given.s_comp,
        reserved: [0; 368],
    }
}

fn public_key(given: &IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY) -> EcdsaPublicKey {
    let mut key = EcdsaPublicKey::new_zeroed();
    key.curve = Curve(given.curve);
    key.x = given.qx;
    key.y = given.qy;
    key
}
