//! Commands from their bytes to their bytes.

mod basics;
pub(crate) mod keys;
mod object;
mod signing;
mod table;
