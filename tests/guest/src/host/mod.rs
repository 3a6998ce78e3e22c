//! The host, by the GHCB's two protocols.

mod fw_cfg;
mod page;
pub(crate) mod pci;

use protocols::addr::{Gpa, GpaPage, PAGE_4K};
use protocols::ghcb::{HvFeatures, MsrRequest, MsrResponse, PscOperation};

use crate::arch::cpu::{Registers, vmgexit};
use crate::arch::layout::{GHCB_PAGE, GHCBS};
use crate::arch::percpu;
use crate::end::{Reason, terminate};

pub(crate) use fw_cfg::read_file;
pub(crate) use page::{
    change_pages, create_vcpu, destroy_vcpu, guest_request, port_in, port_out, rest, run_vmpl0,
    write_serial,
};

/// The running vCPU's GHCB page.
fn ghcb() -> u64 {
    match percpu::index() {
        0 => GHCB_PAGE,
        other => GHCBS + other as u64 * PAGE_4K,
    }
}

/// One request of the MSR protocol.
pub(crate) fn ask(request: MsrRequest) -> MsrResponse {
    MsrResponse::decode(vmgexit(request.encode(), &mut Registers::default()))
}

/// Makes the GHCB page shared and registers it. There is no console before that: a refusal ends
/// the guest.
pub(crate) fn open_ghcb() {
    let gfn = Gpa::new(GHCB_PAGE).pfn();
    let share = MsrRequest::PageStateChange {
        gfn,
        operation: PscOperation::SHARED,
    };
    let shared = ask(share) == MsrResponse::PageStateChange { error: 0 };
    if !shared || !register_ghcb() {
        terminate(Reason::Host);
    }
}

/// Registers the GHCB for the running VMSA.
pub(crate) fn register_ghcb() -> bool {
    let gfn = Gpa::new(ghcb()).pfn();
    ask(MsrRequest::RegisterGpa { gfn }) == MsrResponse::RegisterGpa { gfn: Some(gfn) }
}

/// What the host offers.
pub(crate) fn features() -> Option<HvFeatures> {
    match ask(MsrRequest::HvFeatures) {
        MsrResponse::HvFeatures(features) => Some(features),
        _ => None,
    }
}

/// Changes one 4 KiB page by the MSR protocol.
pub(crate) fn change_page(page: GpaPage, operation: PscOperation) -> bool {
    let change = MsrRequest::PageStateChange {
        gfn: page.gpa().pfn(),
        operation,
    };
    ask(change) == MsrResponse::PageStateChange { error: 0 }
}
