//! Whether the firmware may hold keys for its guest (threat 60).
//!
//! A guest policy that lets the host debug the guest, or that lets a migration agent take its
//! memory along, makes every secret of VMPL0 the host's or the agent's. The secure processor's
//! report is the only place to learn the policy from, so the firmware reads its own at boot. Without
//! one it holds no keys either.

use protocols::snp::{AttestationReport, GuestPolicy};

/// Why the firmware holds no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysRefused {
    /// The policy has DEBUG set.
    Debug,
    /// The policy has MIGRATE_MA set.
    MigrationAgent,
}

impl core::fmt::Display for KeysRefused {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Debug => "the guest's policy lets the host debug it",
            Self::MigrationAgent => "the guest's policy lets a migration agent have it",
        })
    }
}

/// Whether a guest with this report of VMPL0 may be given keys.
///
/// # Errors
/// [`KeysRefused`].
pub fn may_hold_keys(own: &AttestationReport) -> Result<(), KeysRefused> {
    let policy = GuestPolicy::from_bits_retain(own.policy);
    if policy.allows_debug() {
        return Err(KeysRefused::Debug);
    }
    if policy.contains(GuestPolicy::MIGRATE_MA) {
        return Err(KeysRefused::MigrationAgent);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zerocopy::FromZeros;

    use super::*;

    fn judged(policy: u64) -> Result<(), KeysRefused> {
        let mut report = AttestationReport::new_zeroed();
        report.policy = policy;
        may_hold_keys(&report)
    }

    #[test]
    fn threat_60_debug_and_migration_leave_no_keys() {
        assert_eq!(judged(0x3_0000), Ok(()));
        assert_eq!(judged(0xb_0000), Err(KeysRefused::Debug));
        assert_eq!(judged(0x7_0000), Err(KeysRefused::MigrationAgent));
        assert_eq!(judged(0xf_0000), Err(KeysRefused::Debug));
    }

    proptest! {
        #[test]
        fn threat_60_no_other_bit_makes_up_for_them(policy: u64) {
            prop_assert_eq!(judged(policy).is_ok(), policy & 0xc_0000 == 0);
        }
    }
}
