//! The commands, one file for each chapter of Part 3 (or part of one).

pub mod attestation;
pub mod capability;
pub mod credential;
pub mod object;
pub mod pcr;
pub mod primary;
pub mod random;
pub mod sessions;
pub mod signing;
pub mod startup;
pub mod testing;

#[cfg(test)]
mod tests;

use crate::command::CommandSpec;

/// The commands of every chapter. A chapter is added here with one line.
pub const ALL: &[&[CommandSpec]] = &[
    attestation::COMMANDS,
    capability::COMMANDS,
    credential::COMMANDS,
    object::COMMANDS,
    pcr::COMMANDS,
    primary::COMMANDS,
    random::COMMANDS,
    signing::COMMANDS,
    startup::COMMANDS,
    testing::COMMANDS,
];
