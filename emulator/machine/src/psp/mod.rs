//! The secure processor: launch, measurement, the pages that it fills.

pub(crate) mod guest_request;
pub(crate) mod id_block;
pub(crate) mod igvm;
pub(crate) mod keys;
pub(crate) mod launch;
