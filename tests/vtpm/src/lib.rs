//! Two TPMs side by side: `vtpm-server`, and `swtpm` as the yardstick.
//!
//! [`server`] starts them, [`command`] writes commands byte by byte (so that they
//! can be wrong on purpose), [`response`] takes answers apart, [`pair`] sends the
//! same command to both and compares.
#![forbid(unsafe_code)]

pub mod bench;
pub mod command;
pub mod constants;
pub mod keys;
pub mod pair;
pub mod response;
pub mod server;
pub mod templates;
