//! Commands from their bytes to their bytes.

mod basics;
mod table;
