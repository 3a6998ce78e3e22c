//! Rampart's TPM 2.0 on a host: the reference simulator's TCP protocol around the
//! crate `vtpm`, for test suites, for development, for virtual machines without
//! an SVSM.
//!
//! The way of a command: [`server`] accepts, [`ports`] reads the request,
//! [`machine`] hands it to the [`engine`]. That is [`tpm`], whose platform is
//! [`host`]; it has [`state`] write what changed before the answer goes.
#![forbid(unsafe_code)]

pub mod engine;
pub mod host;
pub mod machine;
pub mod options;
pub mod ports;
pub mod program;
pub mod protocol;
pub mod server;
pub mod state;
pub mod tpm;
