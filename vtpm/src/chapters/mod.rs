//! The commands, one file for each chapter of Part 3 (or part of one).

pub mod asymmetric;
pub mod attestation;
pub mod audit;
pub mod capability;
pub mod certify_x509;
pub mod context_management;
pub mod create_loaded;
pub mod credential;
pub mod duplication;
pub mod ecc_encryption;
pub mod ecdh;
pub mod ephemeral;
pub mod hierarchy;
pub mod lockout_and_clock;
pub mod miscellaneous;
pub mod nv;
pub mod nv_locks;
pub mod object;
pub mod pcr;
pub mod pcr_config;
pub mod policy;
pub mod policy_approved;
pub mod policy_auth;
pub mod policy_nv;
pub mod primary;
pub mod random;
pub mod sequences;
pub mod sessions;
pub mod signing;
pub mod startup;
pub mod symmetric;
pub mod testing;

#[cfg(test)]
mod tests;

use crate::command::CommandSpec;

/// The commands of every chapter. A chapter is added here with one line.
pub const ALL: &[&[CommandSpec]] = &[
    asymmetric::COMMANDS,
    attestation::COMMANDS,
    audit::COMMANDS,
    capability::COMMANDS,
    certify_x509::COMMANDS,
    context_management::COMMANDS,
    create_loaded::COMMANDS,
    credential::COMMANDS,
    duplication::COMMANDS,
    ecc_encryption::COMMANDS,
    ecdh::COMMANDS,
    ephemeral::COMMANDS,
    hierarchy::COMMANDS,
    lockout_and_clock::COMMANDS,
    miscellaneous::COMMANDS,
    nv::COMMANDS,
    nv_locks::COMMANDS,
    object::COMMANDS,
    pcr::COMMANDS,
    pcr_config::COMMANDS,
    policy::COMMANDS,
    policy_approved::COMMANDS,
    policy_auth::COMMANDS,
    policy_nv::COMMANDS,
    primary::COMMANDS,
    random::COMMANDS,
    sequences::COMMANDS,
    sessions::COMMANDS,
    signing::COMMANDS,
    startup::COMMANDS,
    symmetric::COMMANDS,
    testing::COMMANDS,
];
