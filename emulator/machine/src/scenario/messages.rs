//! Lies about guest messages: lost, repeated, exchanged and changed on their way;
//! and a secure processor that answers wrongly, with the true key.

use alloc::boxed::Box;
use alloc::vec::Vec;

use protocols::ghcb::{ExitCode, GhcbField, GuestRequestResult, Response};
use protocols::snp::FirmwareStatus;
use snp_model::psp::message::{self, Page};
use snp_scenario::{Due, ForgedField, Lie, MessageLie};

use super::watch::{self, Kind, Until};
use crate::host::ghcb::GhcbView;
use crate::machine::Machine;
use crate::mem::phys;
use crate::psp::keys;

const PAGE: u64 = 0x1000;

/// Messages that are kept: the later ones cannot be repeated.
const MOST_KEPT: usize = 64;

/// SW_EXITINFO2 of a host that asks the guest to come again.
const BUSY: GuestRequestResult = GuestRequestResult::new(GuestRequestResult::HOST_BUSY, 0);

/// What the host keeps of guest messages, with the level that sent or got them.
#[derive(Default)]
pub(crate) struct Messages {
    requests: Vec<(u8, Box<Page>)>,
    answers: Vec<(u8, Box<Page>)>,
    held: Option<Held>,
}

/// A request that has not been handed over yet.
struct Held {
    request: Box<Page>,
    /// GPA of the page for its answer.
    response: u64,
}

/// The guest request that is being served.
pub(super) struct Exchange {
    vmpl: u8,
    /// GPA and system address.
    request: (u64, u64),
    response: (u64, u64),
    /// Pages for certificates: GPA and number.
    pub(super) data: Option<(u64, u64)>,
    /// What was in the pages before.
    response_before: Box<Page>,
    pub(super) data_before: Vec<u8>,
}

impl Exchange {
    /// The guest request that the page makes. None: it makes none that could be served.
    pub(super) fn of(machine: &Machine, ghcb: &GhcbView) -> Option<Self> {
        let code = ExitCode(ghcb.get(GhcbField::EXIT_CODE)?);
        let data = match code {
            ExitCode::GUEST_REQUEST => None,
            ExitCode::EXTENDED_GUEST_REQUEST => {
                Some((ghcb.get(GhcbField::RAX)?, ghcb.get(GhcbField::RBX)?))
            }
            _ => return None,
        };
        let page = |field| {
            let gpa = ghcb.get(field)?;
            Some((gpa, machine.memory.shared(gpa, PAGE)?))
        };
        let request = page(GhcbField::EXIT_INFO1)?;
        let response = page(GhcbField::EXIT_INFO2)?;
        let mut data_before = Vec::new();
        if let Some((gpa, count)) = data {
            data_before = super::certificates::read(machine, gpa, count);
        }
        Some(Self {
            vmpl: machine.vcpu.level,
            request,
            response,
            data,
            response_before: read(response.1),
            data_before,
        })
    }

    /// The host has handed the request over: it keeps the answer, if there is one.
    pub(super) fn answered(&self, machine: &mut Machine, ghcb: &GhcbView) {
        if is_answered(ghcb) {
            let answer = read(self.response.1);
            keep(&mut machine.scenario.messages.answers, self.vmpl, answer);
        }
    }
}

/// Whether the host says that the secure processor has answered.
pub(super) fn is_answered(ghcb: &GhcbView) -> bool {
    ghcb.get(GhcbField::EXIT_INFO1) == Some(Response::NO_ACTION.0.into())
        && ghcb.get(GhcbField::EXIT_INFO2) == Some(GuestRequestResult::SUCCESS.0)
}

fn read(spa: u64) -> Box<Page> {
    let mut page = Box::new([0; PAGE as usize]);
    phys::read_bytes(spa, &mut *page);
    page
}

fn keep(kept: &mut Vec<(u8, Box<Page>)>, vmpl: u8, page: Box<Page>) {
    if kept.len() < MOST_KEPT {
        kept.push((vmpl, page));
    }
}

/// The message with this number, from 1, of a level.
fn kept(kept: &[(u8, Box<Page>)], vmpl: u8, number: u32) -> Option<&Page> {
    let mut of_level = kept.iter().filter(|(of, _)| *of == vmpl);
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    of_level.nth(index).map(|(_, page)| &**page)
}

/// Before the request is handed over: it is kept, and changed as the scenario says.
pub(super) fn before(machine: &mut Machine, exchange: &Exchange, answers: &[Due]) {
    watch::message_made(machine, exchange.request.0);
    let request = read(exchange.request.1);
    machine.invariants.message_sent(exchange.vmpl, &request);
    let requests = &mut machine.scenario.messages.requests;
    keep(requests, exchange.vmpl, request);
    for &due in answers {
        let Lie::Message(lie) = due.lie else {
            continue;
        };
        let spa = exchange.request.1;
        match lie {
            MessageLie::Edit { offset, bit } => flip(spa, offset, bit),
            MessageLie::Resend { vmpl, number } => {
                let earlier = kept(&machine.scenario.messages.requests, vmpl, number);
                let Some(earlier) = earlier else {
                    continue;
                };
                phys::write_bytes(spa, earlier);
            }
            _ => continue,
        }
        machine.scenario.told(due);
    }
}

fn flip(spa: u64, offset: u16, bit: u8) {
    let at = spa + u64::from(offset);
    phys::write(at, phys::read::<u8>(at) ^ 1 << bit);
}

/// Answers without handing the request over. None: the lie is another one.
pub(super) fn instead(
    machine: &mut Machine,
    ghcb: &GhcbView,
    exchange: &Exchange,
    lie: MessageLie,
) -> Option<()> {
    let messages = &mut machine.scenario.messages;
    let result = match lie {
        MessageLie::Error(value) => value,
        MessageLie::Drop => GuestRequestResult::SUCCESS.0,
        MessageLie::Hold => {
            messages.held = Some(Held {
                request: read(exchange.request.1),
                response: exchange.response.0,
            });
            BUSY.0
        }
        MessageLie::Replay { vmpl, number } => {
            let earlier = kept(&messages.answers, vmpl, number)?;
            phys::write_bytes(exchange.response.1, earlier);
            GuestRequestResult::SUCCESS.0
        }
        _ => return None,
    };
    ghcb.begin_answer();
    ghcb.respond(Response::NO_ACTION, result);
    Some(())
}

/// Hands over what was held, long after the guest sent it.
pub(super) fn release(machine: &mut Machine) -> Result<(), &'static str> {
    let held = machine.scenario.messages.held.take();
    let held = held.ok_or("no message is held")?;
    let page = machine.memory.shared(held.response, PAGE);
    let page = page.ok_or("the held message's response page is not shared any more")?;
    let Some(secure_processor) = &mut machine.secure_processor else {
        return Err("there is no guest");
    };
    let mut answer = Box::new([0; PAGE as usize]);
    let status = secure_processor.guest_request(&held.request, &mut answer);
    if status == FirmwareStatus::SUCCESS {
        machine.invariants.message_answered(&answer);
        phys::write_bytes(page, &*answer);
    }
    Ok(())
}

/// Spoils the secure processor's answer. None: there is none, or the lie is another.
pub(super) fn spoil(
    machine: &mut Machine,
    ghcb: &GhcbView,
    exchange: &Exchange,
    due: Due,
    lie: MessageLie,
) -> Option<()> {
    if !is_answered(ghcb) {
        return None;
    }
    let (gpa, spa) = exchange.response;
    match lie {
        MessageLie::Lose(result) => {
            phys::write_bytes(spa, &*exchange.response_before);
            ghcb.respond(Response::NO_ACTION, result);
            Some(())
        }
        MessageLie::Flip { offset, bit } => {
            flip(spa, offset, bit);
            Some(())
        }
        MessageLie::Truncate(bytes) => {
            let before = exchange.response_before.get(bytes.into()..)?;
            phys::write_bytes(spa + u64::from(bytes), before);
            Some(())
        }
        MessageLie::Forge { field, value } => {
            phys::write_bytes(spa, &*forge(&read(spa), field, value)?);
            Some(())
        }
        // These are told when the guest has read or written.
        MessageLie::Rewrite { offset, value } => {
            let kind = Kind::flip(offset, value);
            watch::add(machine, gpa, spa, Until::Exit, due, kind);
            None
        }
        MessageLie::Watch => {
            watch::add(machine, gpa, spa, Until::Exit, due, Kind::count());
            for (gpa, spa) in super::certificates::pages(machine, exchange) {
                watch::add(machine, gpa, spa, Until::Exit, due, Kind::count());
            }
            None
        }
        MessageLie::Scribble => {
            let (gpa, spa) = exchange.request;
            let kind = Kind::Scribble { written: false };
            watch::add(machine, gpa, spa, Until::Message, due, kind);
            None
        }
        _ => None,
    }
}

/// The answer with one field wrong, made by who has the key. None: it cannot be.
fn forge(answer: &Page, field: ForgedField, value: u64) -> Option<Box<Page>> {
    let header = message::header(answer);
    let key = keys::vmpcks().into_iter().nth(header.info.vmpck.into())?;
    let mut opened = Box::new(*answer);
    let mut payload = message::open(&key, &mut opened).ok()?.to_vec();
    let (mut info, mut sequence) = (header.info, header.sequence);
    let (byte, word) = (value as u8, value as u16);
    match field {
        ForgedField::Sequence => sequence = value,
        ForgedField::Algorithm => info.algorithm = byte,
        ForgedField::HeaderVersion => info.header_version = byte,
        ForgedField::HeaderSize => info.header_size = word,
        ForgedField::Type => info.message_type.0 = byte,
        ForgedField::Version => info.message_version = byte,
        ForgedField::Size => {
            info.message_size = word;
            payload.resize(word.into(), 0);
        }
        ForgedField::Vmpck => info.vmpck = byte,
        ForgedField::Payload(offset) => {
            let at = usize::from(offset);
            let bytes = payload.get_mut(at..at + 4)?;
            bytes.copy_from_slice(&(value as u32).to_le_bytes());
        }
    }
    let mut forged = Box::new([0; PAGE as usize]);
    message::seal(&key, sequence, info, &payload, &mut forged).ok()?;
    Some(forged)
}
