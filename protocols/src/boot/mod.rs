//! Rampart's own boot: where things lie in the image, and what one stage tells the next.

pub mod handoff;
pub mod header;
pub mod layout;
pub mod params;

pub use handoff::*;
pub use header::*;
pub use params::*;
