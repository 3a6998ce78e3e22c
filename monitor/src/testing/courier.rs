//! A host that carries guest messages to the model's secure processor, and lies about it as a test
//! has it.

use std::boxed::Box;
use std::sync::{Arc, Mutex, MutexGuard};
use std::vec;
use std::vec::Vec;

use protocols::addr::Gpa;
use protocols::ghcb::{ExitCode, Ghcb, GhcbField, GuestRequestResult, Response};
use protocols::snp::{GuestPolicy, Vmpl};
use snp_model::psp::chip::{Config, Processor, ReportVersion};
use snp_model::psp::guest::Guest;
use snp_model::psp::{SecureProcessor, Vmpck, emulated};
use snp_model::system::System;

use super::script::{PageScript, honest_page};
use crate::guest_message::{Channel, Page};
use crate::platform::{CERTIFICATE_BYTES, CERTIFICATE_PAGES, MessageGpas, MessagePages};

const GPAS: MessageGpas = MessageGpas {
    request: Gpa::new(0x230_0000),
    response: Gpa::new(0x230_1000),
    certificates: Gpa::new(0x230_2000),
};

/// What host and firmware share, and what is behind the host.
pub(crate) struct Post {
    pub(crate) request: Page,
    pub(crate) response: Page,
    pub(crate) data: Vec<u8>,
    pub(crate) psp: SecureProcessor,
    /// The host's table.
    pub(crate) certificates: Vec<u8>,
    /// Every message that the firmware has sent, as often as it has.
    pub(crate) sent: Vec<(ExitCode, Page)>,
    /// What the secure processor has answered.
    pub(crate) answers: Vec<Page>,
}

/// One request as the host sees it. Returns SW_EXITINFO2.
type Carrier = Box<dyn FnMut(&mut Post, &mut Ghcb) -> u64 + Send>;

/// The host's and the firmware's hold on it.
#[derive(Clone)]
pub(crate) struct Courier(Arc<Mutex<Post>>);

/// The key of a level.
pub(crate) fn vmpck(vmpl: Vmpl) -> Vmpck {
    [0xc0 + vmpl.get(); 32]
}

/// The emulated machine's chip, which need not sign.
pub(crate) fn secure_processor(policy: GuestPolicy, signs: bool) -> SecureProcessor {
    let processor = Processor {
        family: 0x19,
        model: 1,
        stepping: 1,
    };
    let mut chip = emulated::chip(processor, ReportVersion::V3);
    chip.config = Config {
        mask_chip_key: !signs,
        ..Config::default()
    };
    let guest = Guest {
        policy,
        measurement: [0x33; 48],
        id_block: None,
        host_data: [0; 32],
        report_id: [0x1d; 32],
        launch_tcb: chip.current_tcb,
        launch_mit_vector: 0,
        secure_tsc: None,
    };
    SecureProcessor::new(chip, guest, Vmpl::ALL.map(vmpck))
}

impl Courier {
    pub(crate) fn new(policy: GuestPolicy) -> Self {
        Self(Arc::new(Mutex::new(Post {
            request: [0; 4096],
            response: [0; 4096],
            data: vec![0; CERTIFICATE_BYTES],
            psp: secure_processor(policy, false),
            certificates: vec![0; 24],
            sent: Vec::new(),
            answers: Vec::new(),
        })))
    }

    pub(crate) fn post(&self) -> MutexGuard<'_, Post> {
        self.0.lock().unwrap()
    }

    /// VMPL0's channel.
    pub(crate) fn channel(&self) -> Channel {
        let pages = Box::new(self.clone());
        Channel::new(&vmpck(Vmpl::VMPL0), Vmpl::VMPL0, pages).unwrap()
    }

    /// An honest host.
    pub(crate) fn honest(&self) -> PageScript {
        self.carried_by(Box::new(Post::carry))
    }

    /// A host that does with each message what `carrier` does, and is honest otherwise.
    pub(crate) fn carried_by(&self, mut carrier: Carrier) -> PageScript {
        let courier = self.clone();
        let mut otherwise = honest_page();
        Box::new(move |system: &mut System, ghcb: &mut Ghcb| {
            let code = ghcb.exit_code().unwrap();
            let is_ours =
                [ExitCode::GUEST_REQUEST, ExitCode::EXTENDED_GUEST_REQUEST].contains(&code);
            if !is_ours {
                return otherwise(system, ghcb);
            }
            assert_eq!(ghcb.get(GhcbField::EXIT_INFO1), Some(GPAS.request.get()));
            assert_eq!(ghcb.get(GhcbField::EXIT_INFO2), Some(GPAS.response.get()));
            let mut post = courier.post();
            let message = (code, post.request);
            post.sent.push(message);
            let result = carrier(&mut post, ghcb);
            ghcb.clear_valid();
            ghcb.set(GhcbField::RBX, ghcb.rbx);
            ghcb.respond(Response::NO_ACTION, result);
        })
    }
}

impl Post {
    /// What an honest host does with the message in the request page.
    pub(crate) fn carry(&mut self, ghcb: &mut Ghcb) -> u64 {
        if ghcb.exit_code() == Some(ExitCode::EXTENDED_GUEST_REQUEST) {
            let needed = self.certificates.len().div_ceil(4096) as u64;
            assert_eq!(ghcb.get(GhcbField::RAX), Some(GPAS.certificates.get()));
            assert_eq!(ghcb.get(GhcbField::RBX), Some(CERTIFICATE_PAGES));
            if needed > CERTIFICATE_PAGES {
                ghcb.rbx = needed;
                return GuestRequestResult::new(GuestRequestResult::HOST_INVALID_LENGTH, 0).0;
            }
            self.data[..self.certificates.len()].copy_from_slice(&self.certificates);
        }
        let (request, mut response) = (self.request, self.response);
        let status = self.psp.guest_request(&request, &mut response);
        if response != self.response {
            self.answers.push(response);
        }
        self.response = response;
        GuestRequestResult::new(0, status.0).0
    }
}

impl MessagePages for Courier {
    fn gpas(&self) -> MessageGpas {
        GPAS
    }

    fn write_request(&mut self, from: &Page) {
        self.post().request = *from;
    }

    fn read_response(&mut self, to: &mut Page) {
        *to = self.post().response;
    }

    fn read_certificates(&mut self, to: &mut [u8; CERTIFICATE_BYTES]) {
        to.copy_from_slice(&self.post().data);
    }
}
