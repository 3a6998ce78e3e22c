//! What the machine tells the person who runs it.

pub(crate) mod console;
pub(crate) mod exit;
pub(crate) mod explain;
pub(crate) mod instructions;
pub(crate) mod invariants;
pub(crate) mod stats;
