//! Requests to the hypervisor: built in a private copy of the GHCB that is cleared
//! first, answered through exactly the fields that the answer needs, each of them
//! marked valid (threats 16 and 17), with no second try at a wrong answer (18).

use protocols::addr::Gpa;
use protocols::ghcb::{
    ExitCode, Ghcb, GhcbField, GuestRequestResult, IoSize, IoioInfo, MsrRequest, MsrResponse,
    MsrValue, RampartReason, Response, SHARED_BUFFER_OFFSET, SHARED_BUFFER_SIZE,
};
use protocols::snp::{SevFeatures, Vmpl};

use crate::fatal::Fatal;
use crate::platform::{CERTIFICATE_PAGES, Host, MessageGpas};

/// One exchange of the MSR protocol.
pub(crate) fn msr<H: Host + ?Sized>(host: &mut H, request: MsrRequest) -> MsrResponse {
    MsrResponse::decode(MsrValue(host.msr_request(request.encode().0)))
}

/// An answer to another question than was asked.
pub(crate) fn wrong_answer(answer: MsrResponse) -> Fatal {
    Fatal::with_detail(RampartReason::BadMsrAnswer, answer.encode().0)
}

/// Sends the request that `ghcb` holds, with `buffer` bytes of the shared buffer,
/// and returns SW_EXITINFO2 of the answer. No request made here may be answered
/// with an exception.
///
/// # Errors
/// [`Fatal`] when the answer is not marked valid, or is not "no action".
pub(crate) fn exchange<H: Host + ?Sized>(
    host: &mut H,
    ghcb: &mut Ghcb,
    buffer: usize,
) -> Result<u64, Fatal> {
    let asked = ghcb.sw_exit_code;
    host.page_request(ghcb, buffer);
    let info1 = answered(ghcb, GhcbField::EXIT_INFO1)?;
    if Response(info1 as u32) != Response::NO_ACTION {
        return Err(Fatal::with_detail(RampartReason::BadGhcbAnswer, asked));
    }
    answered(ghcb, GhcbField::EXIT_INFO2)
}

/// A field of the answer that has to be there.
pub(crate) fn answered(ghcb: &Ghcb, field: GhcbField) -> Result<u64, Fatal> {
    ghcb.get(field).ok_or(Fatal::with_detail(
        RampartReason::BadGhcbAnswer,
        u64::from(field.0),
    ))
}

/// Registers the page at `gpa` as this vCPU's GHCB.
///
/// # Errors
/// [`Fatal`] when the host refuses or names another page.
pub fn register<H: Host + ?Sized>(host: &mut H, gpa: Gpa) -> Result<(), Fatal> {
    match msr(host, MsrRequest::RegisterGpa { gfn: gpa.pfn() }) {
        MsrResponse::RegisterGpa { gfn } if gfn == Some(gpa.pfn()) => Ok(()),
        MsrResponse::RegisterGpa { .. } => Err(Fatal::new(RampartReason::GhcbRegistrationRefused)),
        other => Err(wrong_answer(other)),
    }
}

/// Tells the host which VMSA to use for a level of a vCPU. The host uses it at the
/// next entry of that level.
///
/// # Errors
/// [`Fatal`] when the host refuses.
pub fn create_vcpu<H: Host + ?Sized>(
    host: &mut H,
    ghcb: &mut Ghcb,
    apic_id: u32,
    vmpl: Vmpl,
    vmsa: Gpa,
    features: SevFeatures,
) -> Result<(), Fatal> {
    /// The vCPU is created now, not at its next INIT.
    const CREATE: u64 = 1;
    let info1 = u64::from(apic_id) << 32 | u64::from(vmpl.get()) << 16 | CREATE;
    ghcb.begin(ExitCode::AP_CREATION, info1, vmsa.get());
    ghcb.set(GhcbField::RAX, features.bits());
    exchange(host, ghcb, 0)
        .map_err(|_| Fatal::with_detail(RampartReason::ApCreationFailed, u64::from(apic_id)))?;
    Ok(())
}

/// Runs another level of this vCPU until it wants VMPL0, by the MSR protocol: two
/// registers are all that is exchanged.
///
/// A return means nothing but that VMPL0 runs again. Whether there is a request
/// is for [`serve`](crate::svsm::request::serve) to find out (threat 26).
///
/// # Errors
/// [`Fatal`] when the host cannot run the level or answers something else.
pub fn run_vmpl<H: Host + ?Sized>(host: &mut H, vmpl: Vmpl) -> Result<(), Fatal> {
    const DONE: MsrValue = MsrResponse::RunVmpl { error: 0 }.encode();
    let request = MsrRequest::RunVmpl { vmpl: vmpl.get() };
    let answer = MsrValue(host.msr_request(request.encode().0));
    if answer == DONE {
        // Between any two requests: it is worth not to ask what else it could be.
        return Ok(());
    }
    match MsrResponse::decode(answer) {
        MsrResponse::RunVmpl { error } => Err(Fatal::with_detail(
            RampartReason::RunVmplFailed,
            u64::from(error),
        )),
        other => Err(wrong_answer(other)),
    }
}

/// Writes bytes to an 8-bit port, as many in one exit as the shared buffer holds.
///
/// # Errors
/// [`Fatal`] when the host refuses.
pub fn write_port<H: Host + ?Sized>(
    host: &mut H,
    ghcb: &mut Ghcb,
    port: u16,
    bytes: &[u8],
) -> Result<(), Fatal> {
    /// DS, which OUTS reads from unless a prefix says otherwise.
    const SEGMENT_DS: u8 = 3;
    let info = IoioInfo::port_out(port, IoSize::Byte).with_string(true, SEGMENT_DS);
    for chunk in bytes.chunks(SHARED_BUFFER_SIZE) {
        ghcb.begin(ExitCode::IOIO, info.0, chunk.len() as u64);
        if let Some(place) = ghcb.shared_buffer.get_mut(..chunk.len()) {
            place.copy_from_slice(chunk);
        }
        ghcb.set(GhcbField::SCRATCH, shared_buffer(host)?);
        exchange(host, ghcb, chunk.len())?;
    }
    Ok(())
}

/// Writes to a 32-bit port.
///
/// # Errors
/// [`Fatal`] when the host refuses.
pub(crate) fn write_port_32<H: Host + ?Sized>(
    host: &mut H,
    ghcb: &mut Ghcb,
    port: u16,
    value: u32,
) -> Result<(), Fatal> {
    ghcb.begin(ExitCode::IOIO, IoioInfo::port_out(port, IoSize::Dword).0, 0);
    ghcb.set(GhcbField::RAX, u64::from(value));
    exchange(host, ghcb, 0)?;
    Ok(())
}

/// What the host says of a guest request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuestRequestAnswer {
    /// An answer lies in the response page.
    Delivered,
    /// The same request has to be made again.
    Busy,
    /// The certificates need more pages than there are. The request went nowhere.
    NoRoom,
    /// It has failed: SW_EXITINFO2.
    Failed(u64),
    /// The host takes the request for malformed.
    Malformed,
}

/// Has the host hand the message in the request page to the secure processor. With `certificates`
/// it is asked for a table of them as well.
///
/// # Errors
/// [`Fatal`] when the answer is not marked valid.
pub(crate) fn guest_request<H: Host + ?Sized>(
    host: &mut H,
    ghcb: &mut Ghcb,
    pages: MessageGpas,
    certificates: bool,
) -> Result<GuestRequestAnswer, Fatal> {
    let (request, response) = (pages.request.get(), pages.response.get());
    if certificates {
        ghcb.begin(ExitCode::EXTENDED_GUEST_REQUEST, request, response);
        ghcb.set(GhcbField::RAX, pages.certificates.get());
        ghcb.set(GhcbField::RBX, CERTIFICATE_PAGES);
    } else {
        ghcb.begin(ExitCode::GUEST_REQUEST, request, response);
    }
    host.page_request(ghcb, 0);
    let info1 = answered(ghcb, GhcbField::EXIT_INFO1)?;
    if Response(info1 as u32) != Response::NO_ACTION {
        return Ok(GuestRequestAnswer::Malformed);
    }
    let result = GuestRequestResult(answered(ghcb, GhcbField::EXIT_INFO2)?);
    Ok(match (result.host(), result.firmware()) {
        (0, 0) => GuestRequestAnswer::Delivered,
        (GuestRequestResult::HOST_BUSY, 0) => GuestRequestAnswer::Busy,
        (GuestRequestResult::HOST_INVALID_LENGTH, 0) => GuestRequestAnswer::NoRoom,
        _ => GuestRequestAnswer::Failed(result.0),
    })
}

/// GPA of the shared buffer, for the scratch field.
pub(crate) fn shared_buffer<H: Host + ?Sized>(host: &H) -> Result<u64, Fatal> {
    let gpa = host.ghcb_gpa().checked_add(SHARED_BUFFER_OFFSET as u64);
    Ok(gpa.ok_or(Fatal::INTERNAL)?.get())
}

#[cfg(test)]
mod tests;
