//! What the tests of several modules share.

mod frames;

pub(crate) use frames::FrameStore;
