//! What the tests of several modules share: the mechanisms on the model's machine,
//! with every step recorded, and a guest on it.

mod frames;
mod machine;
mod script;
mod world;

pub(crate) use frames::FrameStore;
pub(crate) use machine::{Event, Machine};
pub(crate) use script::{HostScript, psc_header};
pub(crate) use world::{Outcome, World, page, page_2m, range};
