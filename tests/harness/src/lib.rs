//! The harness of the boot tests: boots an image with `scripts/launch`, the same
//! launcher that a person uses, and tells what came of it.
//!
//! ```no_run
//! let run = boot_tests::Launch::rampart().smoke().mem("512M").run();
//! run.assert_outcome(boot_tests::Outcome::PoweredOff);
//! assert_eq!(run.fact("vmpl"), Some("2"));
//! ```
//!
//! The images must have been built (`make build`); a launch without them fails
//! with the launcher's message.

mod efi;
mod igvm;
mod launch;
mod outcome;
mod round;
mod run;
mod scenario;

pub use efi::resetting_application;
pub use igvm::Igvm;
pub use launch::Launch;
pub use outcome::Outcome;
pub use round::Round;
pub use run::Run;
pub use scenario::{Expectation, Scenario};
