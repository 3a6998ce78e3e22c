//! Physical memory as the machine sees it.

pub(crate) mod heap;
pub(crate) mod layout;
pub(crate) mod phys;
