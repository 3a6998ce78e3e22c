//! What the tests of several modules share: the mechanisms on the model's machine,
//! with every step recorded, and a guest on it.

mod courier;
mod cpuid;
mod firmware;
mod frames;
mod fw_cfg;
mod machine;
mod script;
mod world;

/// A property is tried with so many cases, or with a multiple that the environment has in
/// `RAMPART_CASES`.
pub(crate) fn cases(usual: u32) -> proptest::test_runner::Config {
    let factor = std::env::var("RAMPART_CASES").map_or(1, |factor| factor.parse().unwrap());
    proptest::test_runner::Config::with_cases(usual * factor)
}

pub(crate) use courier::{Courier, Post, vmpck};
pub(crate) use cpuid::{cpuid_page, registers};
pub(crate) use firmware::{Firmware, Sections};
pub(crate) use frames::FrameStore;
pub(crate) use fw_cfg::{Device, entry};
pub(crate) use machine::{Event, Machine};
pub(crate) use script::{honest_page, psc_header};
pub(crate) use world::{World, page, page_2m, range};
