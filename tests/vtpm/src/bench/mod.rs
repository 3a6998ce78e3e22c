//! The speed of command classes, of both TPMs in one run.

pub mod measure;
pub mod rows;
