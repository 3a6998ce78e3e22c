//! CREATE_VCPU: a page of the guest becomes a VMSA. RCX = VMSA, RDX = calling
//! area, R8 = APIC ID.

use protocols::addr::PageSize;
use protocols::snp::Vmsa;
use protocols::svsm::ResultCode;
use zerocopy::{FromZeros, IntoBytes};

use crate::error::CallError;
use crate::fatal::Fatal;
use crate::platform::{MapStorage, Platform};
use crate::shared::Seat;
use crate::svsm::request::{Arguments, Context, Next};
use crate::vcpu::{RegisterError, Vcpu};
use crate::vmsa_page;

/// The rules are the specification's, and stricter where noted: the VMSA has
/// exactly the guest's level, can be entered, and is not 2 MiB-aligned (a
/// processor erratum makes such a page fault spuriously, threat 41).
///
/// The calling area may be that of the VMSA that the vCPU runs now, unless it is the caller.
///
/// The guest's rights to the page are taken away before it is read, so that what
/// was checked is what will run (threat 37). On any failure the page is ordinary
/// guest memory again.
pub(super) fn call<P: Platform + ?Sized, S: MapStorage>(
    context: &mut Context<'_, P, S>,
    arguments: &Arguments,
) -> Result<Next, CallError> {
    let apic_id = u32::try_from(arguments.r8).map_err(|_| ResultCode::INVALID_PARAMETER)?;
    let page = context.guest.check_page(arguments.rcx)?;
    let area = context.guest.check_area(arguments.rdx, apic_id)?;
    if area.gpa() == context.caller.calling_area {
        return Err(ResultCode::INVALID_ADDRESS.into());
    }
    if page == area || page.gpa().is_aligned(PageSize::Size2M) {
        return Err(ResultCode::INVALID_PARAMETER.into());
    }
    let vcpu = Vcpu {
        vmsa: page.gpa(),
        calling_area: area.gpa(),
        apic_id,
        startup: false,
    };
    context
        .guest
        .vcpus
        .may_register(&vcpu)
        .map_err(|error| match error {
            RegisterError::UnknownApicId => ResultCode::INVALID_PARAMETER,
            RegisterError::InUse => ResultCode::INVALID_ADDRESS,
            RegisterError::Full => ResultCode::INVALID_REQUEST,
        })?;
    // The vCPU may be at work for the VMSA that this one takes the place of. Not for long, and
    // every guest asks again.
    let mut other = None;
    let seat = if apic_id == context.caller.apic_id {
        &mut *context.seat
    } else {
        let seat = context.shared.seat(apic_id);
        let taken = seat.and_then(Seat::try_take).ok_or(ResultCode::BUSY)?;
        &mut **other.insert(taken)
    };

    let policy = context.guest.policy;
    vmsa_page::revoke(context.platform, policy, page)?;
    let mut vmsa = Vmsa::new_zeroed();
    context.platform.read(page.gpa(), vmsa.as_mut_bytes())?;
    let fits = vmsa.vmpl == policy.guest.get()
        && vmsa.is_runnable()
        && vmsa.sev_features == context.guest.sev_features;
    if !fits {
        vmsa_page::give_back(context.platform, policy, page)?;
        return Err(ResultCode::INVALID_PARAMETER.into());
    }
    vmsa_page::set(context.platform, policy, page)?;
    context
        .guest
        .vcpus
        .register(vcpu)
        .map_err(|_| Fatal::INTERNAL)?;
    *seat = Some(vcpu);
    Ok(Next::Enter)
}

#[cfg(test)]
mod tests;
