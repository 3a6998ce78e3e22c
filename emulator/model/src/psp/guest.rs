//! What the secure processor keeps of a launched guest (its guest context).

use protocols::snp::{GuestPolicy, TcbVersion};

use super::chip::Chip;
use crate::launch::{LaunchDigest, Launched};

/// What SNP_LAUNCH_FINISH was given with an ID block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdBlock {
    /// The guest's security version.
    pub guest_svn: u32,
    /// FAMILY_ID.
    pub family_id: [u8; 16],
    /// IMAGE_ID.
    pub image_id: [u8; 16],
    /// SHA-384 of the key that signed the block.
    pub id_key_digest: [u8; 48],
    /// SHA-384 of the key that certified that key, if one did.
    pub author_key_digest: Option<[u8; 48]>,
}

/// The parameters of a secure TSC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecureTsc {
    /// TSC_SCALE of every VMSA.
    pub scale: u64,
    /// TSC_OFFSET of every VMSA.
    pub offset: u64,
    /// How far the mean frequency lies below the nominal one.
    pub factor: u32,
}

/// A guest that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its policy.
    pub policy: GuestPolicy,
    /// Its launch digest.
    pub measurement: LaunchDigest,
    /// Its ID block, if it came with one.
    pub id_block: Option<IdBlock>,
    /// What the host said at the launch.
    pub host_data: [u8; 32],
    /// What its reports have in common, and no other guest's.
    pub report_id: [u8; 32],
    /// The TCB version that ran at its launch.
    pub launch_tcb: TcbVersion,
    /// The mitigations that ran at its launch.
    pub launch_mit_vector: u64,
    /// Its secure TSC, if it has one.
    pub secure_tsc: Option<SecureTsc>,
}

impl Guest {
    /// A guest as its launch left it: no host data, no secure TSC.
    pub fn new(launched: &Launched, chip: &Chip, report_id: [u8; 32]) -> Self {
        Self {
            policy: launched.policy,
            measurement: launched.digest,
            id_block: launched.id_block,
            host_data: [0; 32],
            report_id,
            launch_tcb: chip.current_tcb,
            launch_mit_vector: chip.mit_vector,
            secure_tsc: None,
        }
    }

    /// Its security version, 0 without an ID block.
    pub fn svn(&self) -> u32 {
        self.id_block.map_or(0, |block| block.guest_svn)
    }
}
