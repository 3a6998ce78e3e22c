//! What it takes to start another processor of the firmware's own: a VMSA page that
//! nobody else can touch, and a GHCB page that the host can.

use protocols::addr::GpaPage;
use protocols::ghcb::{Ghcb, PscOperation};
use protocols::snp::Rights;

use crate::fatal::Fatal;
use crate::pages::{adjust_failed, lower_levels, must_change};
use crate::platform::{Host, Rmp};
use crate::psc;

/// Makes `page`, which holds a VMSA of the firmware's making, one to the processor.
/// No level below VMPL0 has a right to it.
///
/// # Errors
/// [`Fatal`] when the processor refuses.
pub fn seal_vmsa<R: Rmp + ?Sized>(rmp: &mut R, page: GpaPage) -> Result<(), Fatal> {
    lower_levels().try_for_each(|level| {
        rmp.rmpadjust(page, level, Rights::empty(), true)
            .map_err(|fail| adjust_failed(page, fail))
    })
}

/// Shares private pages of the firmware's own with the host. Nothing but shared
/// mappings may be used to reach them afterwards.
///
/// # Errors
/// [`Fatal`] when processor or host refuse.
pub fn share<R: Rmp + ?Sized, H: Host + ?Sized>(
    rmp: &mut R,
    host: &mut H,
    ghcb: &mut Ghcb,
    pages: impl Iterator<Item = GpaPage> + Clone,
) -> Result<(), Fatal> {
    for page in pages.clone() {
        must_change(rmp, page, false)?;
    }
    psc::change(host, ghcb, pages, PscOperation::SHARED)
}

#[cfg(test)]
mod tests;
