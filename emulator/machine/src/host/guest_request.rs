//! Guest requests: the host hands the guest's messages to the secure processor and
//! understands none of them.

use alloc::boxed::Box;

use protocols::addr::PAGE_4K;
use protocols::ghcb::{ExitCode, GhcbField, GuestRequestResult, MalformedReason, Response};
use protocols::snp::FirmwareStatus;
use snp_model::psp::message::Page;

use super::ghcb::GhcbView;
use super::memory::Memory;
use crate::machine::Machine;
use crate::mem::phys;

/// The certificates that this host has for its guests: the test chain.
const CERTIFICATES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/certificates.bin"));

/// Serves both kinds of request.
pub(crate) fn serve(machine: &mut Machine, ghcb: &GhcbView, code: ExitCode) {
    let request = ghcb.get(GhcbField::EXIT_INFO1);
    let response = ghcb.get(GhcbField::EXIT_INFO2);
    let data = (ghcb.get(GhcbField::RAX), ghcb.get(GhcbField::RBX));
    ghcb.begin_answer();
    let (Some(request), Some(response)) = (request, response) else {
        return ghcb.malformed(MalformedReason::MISSING_INPUT);
    };
    let pages = [request, response].map(|gpa| page(&machine.memory, gpa));
    let [Some(request), Some(response)] = pages else {
        return ghcb.malformed(MalformedReason::INVALID_INPUT);
    };
    if request == response {
        return ghcb.malformed(MalformedReason::INVALID_INPUT);
    }
    if code == ExitCode::EXTENDED_GUEST_REQUEST {
        let (Some(gpa), Some(count)) = data else {
            return ghcb.malformed(MalformedReason::MISSING_INPUT);
        };
        match hand_out(&machine.memory, gpa, count) {
            Handed::Out => {}
            Handed::TooFew(needed) => {
                ghcb.set(GhcbField::RBX, needed);
                let result = GuestRequestResult::new(GuestRequestResult::HOST_INVALID_LENGTH, 0);
                return ghcb.respond(Response::NO_ACTION, result.0);
            }
            Handed::Nowhere => return ghcb.malformed(MalformedReason::INVALID_INPUT),
        }
    }
    let result = forward(machine, request, response);
    ghcb.respond(Response::NO_ACTION, result.0);
}

/// The system address of a whole shared page.
fn page(memory: &Memory, gpa: u64) -> Option<u64> {
    gpa.is_multiple_of(PAGE_4K)
        .then(|| memory.shared(gpa, PAGE_4K))?
}

/// SNP_GUEST_REQUEST from a copy and into a copy, as the secure processor works on
/// pages that are the firmware's meanwhile.
fn forward(machine: &mut Machine, request: u64, response: u64) -> GuestRequestResult {
    let mut message: Box<Page> = Box::new([0; PAGE_4K as usize]);
    let mut answer = message.clone();
    phys::read_bytes(request, &mut *message);
    // A host that lies may hand over another message than the level has sent.
    if machine.scenario.is_empty() {
        let level = machine.vcpu.level;
        machine.invariants.message_sent(level, &message);
    }
    let Some(secure_processor) = &mut machine.secure_processor else {
        crate::machine::internal("a guest runs that was not launched");
    };
    let status = secure_processor.guest_request(&message, &mut answer);
    if status == FirmwareStatus::SUCCESS {
        machine.invariants.message_answered(&answer);
        phys::write_bytes(response, &*answer);
    }
    GuestRequestResult::new(0, status.0)
}

/// What became of the certificates.
enum Handed {
    Out,
    /// The guest has to offer so many pages.
    TooFew(u64),
    Nowhere,
}

fn hand_out(memory: &Memory, gpa: u64, count: u64) -> Handed {
    let needed = (CERTIFICATES.len() as u64).div_ceil(PAGE_4K);
    if count < needed {
        return Handed::TooFew(needed);
    }
    let is_shared = gpa.is_multiple_of(PAGE_4K)
        && (0..needed).all(|index| {
            let at = gpa.checked_add(index * PAGE_4K);
            at.is_some_and(|at| memory.shared(at, PAGE_4K).is_some())
        });
    match is_shared && memory.write_shared(gpa, CERTIFICATES).is_some() {
        true => Handed::Out,
        false => Handed::Nowhere,
    }
}
