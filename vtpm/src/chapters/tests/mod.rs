//! Commands from their bytes to their bytes.

mod basics;
mod object;
mod sequences;
mod sessions;
mod signing;
pub(crate) mod keys;
mod table;
