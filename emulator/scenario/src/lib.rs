//! Scenarios: small texts that ask the emulated machine to misbehave, and the
//! counting that tells when a lie is due. docs/scenarios.md is the manual.
//!
//! A scenario is a list of lines, each a [`Lie`], most with the [`Point`] at which
//! it is told:
//!
//! ```
//! use snp_scenario::{Event, Request, Script};
//!
//! // The host stops in the middle of the second page-state change.
//! let text = "when nae 0x80000010 vmpl0 #2 psc partial 3";
//! let mut script = Script::new(snp_scenario::parse(text).map_err(|e| e.to_string())?);
//! let exit = Event::Exit { vmpl: 0, request: Request::Nae(0x8000_0010) };
//! assert_eq!(script.due(exit).count(), 0);
//! assert_eq!(script.due(exit).count(), 1);
//! # Ok::<(), String>(())
//! ```
//!
//! Nothing here knows how a lie is told: that is the machine's, in its `scenario`
//! folder.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod lie;
mod message;
mod parse;
mod point;
mod script;
mod words;

pub use lie::{
    ApCreationLie, Class, GhcbLie, Lie, MAX_APIC_IDS, PscLie, Register, RunVmplLie, SharedLie,
};
pub use message::{CertificateLie, ForgedField, MessageLie};
pub use parse::{Line, MAX_LINES, ParseError, Wrong, parse};
pub use point::{Event, Moment, Point, Request, Times};
pub use script::{Due, Script};
