//! What the host answers: honestly, or as a test has it.

use std::boxed::Box;

use protocols::ghcb::{
    ExitCode, Ghcb, GhcbField, HvFeatures, MsrRequest, MsrResponse, MsrValue, PscEntry, PscHeader,
    PscOperation, Response,
};
use snp_model::system::{PageState, System};
use zerocopy::{FromBytes, IntoBytes};

type MsrScript = Box<dyn FnMut(MsrRequest) -> MsrValue + Send>;
pub(crate) type PageScript = Box<dyn FnMut(&mut System, &mut Ghcb) + Send>;

pub(crate) struct HostScript {
    msr: MsrScript,
    page: PageScript,
}

impl HostScript {
    pub(crate) fn honest() -> Self {
        HostScript {
            msr: Box::new(|request| honest_msr(request).encode()),
            page: honest_page(),
        }
    }

    pub(crate) fn on_msr(&mut self, script: impl FnMut(MsrRequest) -> MsrValue + Send + 'static) {
        self.msr = Box::new(script);
    }

    pub(crate) fn on_page(&mut self, script: impl FnMut(&mut System, &mut Ghcb) + Send + 'static) {
        self.page = Box::new(script);
    }

    pub(crate) fn msr(&mut self, request: u64) -> u64 {
        (self.msr)(MsrRequest::decode(MsrValue(request))).0
    }

    pub(crate) fn page(&mut self, system: &mut System, ghcb: &mut Ghcb) {
        (self.page)(system, ghcb);
    }
}

fn honest_msr(request: MsrRequest) -> MsrResponse {
    match request {
        MsrRequest::SevInfo => MsrResponse::SevInfo {
            max_version: 2,
            min_version: 1,
            c_bit: 51,
        },
        MsrRequest::HvFeatures => MsrResponse::HvFeatures(
            HvFeatures::SNP
                | HvFeatures::AP_CREATION
                | HvFeatures::APIC_ID_LIST
                | HvFeatures::MULTI_VMPL,
        ),
        MsrRequest::RegisterGpa { gfn } => MsrResponse::RegisterGpa { gfn: Some(gfn) },
        MsrRequest::PageStateChange { .. } => MsrResponse::PageStateChange { error: 0 },
        MsrRequest::RunVmpl { .. } => MsrResponse::RunVmpl { error: 0 },
        _ => MsrResponse::Other(0),
    }
}

/// A script that answers as KVM does.
pub(crate) fn honest_page() -> PageScript {
    Box::new(answer_page)
}

/// The valid bitmap is the answer's alone.
fn answer_page(system: &mut System, ghcb: &mut Ghcb) {
    let code = ghcb.exit_code().unwrap();
    assert!(ghcb.is_valid(GhcbField::EXIT_INFO1) && ghcb.is_valid(GhcbField::EXIT_INFO2));
    ghcb.clear_valid();
    match code {
        ExitCode::PAGE_STATE_CHANGE => {
            let mut header = psc_header(ghcb);
            while !header.is_done() {
                let at = PscHeader::entry_offset(header.cur_entry.into()).unwrap();
                let (entry, _) = PscEntry::read_from_prefix(&ghcb.shared_buffer[at..]).unwrap();
                let state = match entry.operation() {
                    PscOperation::PRIVATE => PageState::Private,
                    PscOperation::SHARED => PageState::Shared,
                    other => panic!("{other:?}"),
                };
                system
                    .page_state_change(entry.page().unwrap(), state)
                    .unwrap();
                header.cur_entry += 1;
            }
            ghcb.shared_buffer[..8].copy_from_slice(header.as_bytes());
            ghcb.respond(Response::NO_ACTION, 0);
        }
        _ => ghcb.respond(Response::NO_ACTION, 0),
    }
}

/// The header of the list in the shared buffer.
pub(crate) fn psc_header(ghcb: &Ghcb) -> PscHeader {
    PscHeader::read_from_prefix(&ghcb.shared_buffer).unwrap().0
}
