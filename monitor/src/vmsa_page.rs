//! Guest pages on their way to a VMSA and back.

use protocols::addr::GpaPage;
use protocols::snp::{Rights, Vmpl};
use protocols::svsm::ResultCode;

use crate::error::CallError;
use crate::fatal::Fatal;
use crate::pages::{PagePolicy, adjust_failed, lower_levels, set_rights};
use crate::platform::{Platform, Rmp, RmpadjustFail};

/// Takes every right to `page` from every level below VMPL0 and waits until no
/// vCPU has a translation left that would still allow a write.
///
/// # Errors
/// The processor's code for the guest, its rights to the page given back.
pub(crate) fn revoke<P: Platform + ?Sized>(
    platform: &mut P,
    policy: PagePolicy,
    page: GpaPage,
) -> Result<(), CallError> {
    let revoked = lower_levels()
        .try_for_each(|level| platform.rmpadjust(page, level, Rights::empty(), false));
    match revoked {
        Ok(()) => {
            platform.flush_all_vcpus();
            Ok(())
        }
        Err(fail) => Err(give_back_after(platform, policy, page, fail)),
    }
}

/// Sets the VMSA bit of a page that was revoked and checked. The guest may read it: OVMF
/// takes VMPL and SEV_FEATURES from there when it asks the host to run the VMSA, and
/// it learns nothing but its own registers.
///
/// # Errors
/// As [`revoke`].
pub(crate) fn set<P: Platform + ?Sized>(
    platform: &mut P,
    policy: PagePolicy,
    page: GpaPage,
) -> Result<(), CallError> {
    policy
        .levels()
        .try_for_each(|level| {
            // The bit comes with the last: it is a VMSA from then on, and nothing is left to do.
            platform.rmpadjust(page, level, Rights::READ, level == policy.guest)
        })
        .map_err(|fail| give_back_after(platform, policy, page, fail))
}

/// Clears the VMSA bit and makes the page ordinary guest memory.
///
/// # Errors
/// The processor's code when it refuses to clear the bit (FAIL_INUSE while a vCPU
/// runs it); nothing has changed then.
pub(crate) fn clear<P: Rmp + ?Sized>(
    platform: &mut P,
    policy: PagePolicy,
    page: GpaPage,
) -> Result<(), CallError> {
    match platform.rmpadjust(page, Vmpl::VMPL1, Rights::all(), false) {
        Ok(()) => Ok(give_back(platform, policy, page)?),
        Err(RmpadjustFail::Code(code)) => Err(ResultCode::from_rmp(code).into()),
        Err(fail) => Err(adjust_failed(page, fail).into()),
    }
}

/// Makes a page that was revoked ordinary guest memory again.
pub(crate) fn give_back<P: Rmp + ?Sized>(
    platform: &mut P,
    policy: PagePolicy,
    page: GpaPage,
) -> Result<(), Fatal> {
    set_rights(platform, policy, page, Rights::all())
}

fn give_back_after<P: Rmp + ?Sized>(
    platform: &mut P,
    policy: PagePolicy,
    page: GpaPage,
    fail: RmpadjustFail,
) -> CallError {
    let RmpadjustFail::Code(code) = fail else {
        return adjust_failed(page, fail).into();
    };
    match give_back(platform, policy, page) {
        Ok(()) => ResultCode::from_rmp(code).into(),
        Err(fatal) => fatal.into(),
    }
}
