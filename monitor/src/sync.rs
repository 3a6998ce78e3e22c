//! The lock of everything that vCPUs share. One module, so that the tests can put a scheduler's own
//! lock in its place and try the orders in which vCPUs may come (feature `loom`).

#[cfg(not(all(test, feature = "loom")))]
mod spinning;

#[cfg(all(test, feature = "loom"))]
pub use crate::concurrency::lock::{Guard, Lock};
#[cfg(not(all(test, feature = "loom")))]
pub use spinning::{Guard, Lock};
