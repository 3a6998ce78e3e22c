//! Wrong answers to VMGEXIT.

use protocols::ghcb::msr::{MsrRequest, MsrResponse, MsrValue, info};
use protocols::ghcb::{EventInjection, ExitCode, GhcbField, Response};
use snp_scenario::{Due, Event, GhcbLie, Lie, Request, RunVmplLie};

use super::messages::Exchange;
use super::watch::{Kind, Until};
use super::{certificates, deeds_and_answers, messages, processors, psc, shared, watch};
use crate::host::ghcb::GhcbView;
use crate::host::levels;
use crate::host::vmgexit::{self, Ended, Next};
use crate::machine::Machine;
use crate::mem::phys;
use crate::report::console::println;

const VALID_BITMAP: u64 = 0x3f0;
const VALID_BITMAP_LEN: u64 = 16;
const SAVE_AREA_END: u16 = 0x3f0;

/// Serves the VMGEXIT of the running level as the scenario says; honestly where
/// it says nothing.
pub(crate) fn serve(machine: &mut Machine) -> Next {
    watch::request_made(machine);
    let vmpl = machine.vcpu.level;
    let (request, page) = look(machine);
    let answers = deeds_and_answers(machine, Event::Exit { vmpl, request });
    let exchange = page.as_ref().and_then(|page| Exchange::of(machine, page));
    if let Some(exchange) = &exchange {
        messages::before(machine, exchange, &answers);
    }
    let replaced = answers.iter().find(|due| {
        let lie = due.lie;
        let told = instead(machine, request, page.as_ref(), lie);
        told.or_else(|| not_handed_over(machine, page.as_ref()?, exchange.as_ref()?, lie))
            .is_some()
    });
    let next = match replaced {
        Some(&due) => {
            count(machine, vmpl, request);
            machine.scenario.told(due);
            Next::Resume
        }
        None => vmgexit::honest(machine),
    };
    match next {
        Next::End(Ended::Terminated { .. }) => terminated(machine, next, vmpl),
        Next::Resume => {
            if let Some((exchange, page)) = exchange.as_ref().zip(page.as_ref())
                && replaced.is_none()
            {
                exchange.answered(machine, page);
            }
            for &due in &answers {
                let Some(page) = &page else {
                    break;
                };
                let told = match &exchange {
                    Some(exchange) if replaced.is_none() => {
                        spoil_message(machine, page, exchange, due)
                    }
                    _ => None,
                };
                if told.or_else(|| spoil(machine, page, due)).is_some() {
                    machine.scenario.told(due);
                }
            }
            Next::Resume
        }
        end => end,
    }
}

/// What is asked, and by which page.
fn look(machine: &mut Machine) -> (Request, Option<GhcbView>) {
    let value = machine.vcpu.current().ghcb_msr;
    let code = (value & 0xfff) as u16;
    if code != 0 {
        return (Request::Msr(code), None);
    }
    let Some(spa) = machine.memory.shared(value, 0x1000) else {
        return (Request::None, None);
    };
    let page = GhcbView::new(value, spa);
    let request = page
        .get(GhcbField::EXIT_CODE)
        .map_or(Request::None, Request::Nae);
    (request, Some(page))
}

/// A request that the honest host never sees is an exit all the same.
fn count(machine: &mut Machine, vmpl: u8, request: Request) {
    match request {
        Request::Msr(code) => machine.stats.vmgexit(vmpl, true, code.into()),
        Request::Nae(code) => machine.stats.vmgexit(vmpl, false, code),
        Request::None => {}
    }
}

/// Answers in the place of the honest host. None: the lie does not fit the request.
fn instead(
    machine: &mut Machine,
    request: Request,
    page: Option<&GhcbView>,
    lie: Lie,
) -> Option<()> {
    let value = MsrValue(machine.vcpu.current().ghcb_msr);
    match (lie, request, page) {
        (Lie::MsrAnswer(answer), Request::Msr(_), _) => {
            machine.vcpu.current().ghcb_msr = answer;
            Some(())
        }
        (Lie::Psc(lie), Request::Msr(_), _) => psc::by_msr(machine, MsrRequest::decode(value), lie),
        (Lie::Psc(lie), Request::Nae(code), Some(page))
            if ExitCode(code) == ExitCode::PAGE_STATE_CHANGE =>
        {
            psc::by_page(machine, page, lie)
        }
        (Lie::ApicIds { count, ids }, Request::Nae(code), Some(page))
            if ExitCode(code) == ExitCode::GET_APIC_IDS =>
        {
            processors::list(machine, page, count, &ids)
        }
        (Lie::ApCreation(lie), Request::Nae(code), Some(page))
            if ExitCode(code) == ExitCode::AP_CREATION =>
        {
            processors::create(machine, page, lie)
        }
        (Lie::Ghcb(GhcbLie::Silent), Request::Nae(_), _) => Some(()),
        (Lie::Ghcb(GhcbLie::Exception { vector, error }), Request::Nae(_), Some(page)) => {
            page.begin_answer();
            page.respond(
                Response::EXCEPTION,
                EventInjection::exception(vector, error).0,
            );
            Some(())
        }
        (Lie::RunVmpl(lie), Request::Msr(code), _) if code == info::RUN_VMPL_REQUEST => {
            let error = u32::from(lie == RunVmplLie::Refuse);
            machine.vcpu.current().ghcb_msr = MsrResponse::RunVmpl { error }.encode().0;
            run_other(machine, lie)
        }
        (Lie::RunVmpl(lie), Request::Nae(code), Some(page))
            if ExitCode(code) == ExitCode::RUN_VMPL =>
        {
            page.begin_answer();
            if lie == RunVmplLie::Refuse {
                page.respond(Response::MALFORMED_INPUT, 0);
            }
            run_other(machine, lie)
        }
        _ => None,
    }
}

/// Another level than was asked for runs, if the lie is that and the level can.
fn run_other(machine: &mut Machine, lie: RunVmplLie) -> Option<()> {
    if let RunVmplLie::Level(level) = lie {
        // A level that cannot run leaves the caller running: a spurious answer.
        let _ran = levels::run(machine, level);
    }
    Some(())
}

/// Serves a guest request without the secure processor. None: the lie does not fit.
fn not_handed_over(
    machine: &mut Machine,
    page: &GhcbView,
    exchange: &Exchange,
    lie: Lie,
) -> Option<()> {
    match lie {
        Lie::Message(lie) => messages::instead(machine, page, exchange, lie),
        Lie::Certificates(lie) => certificates::instead(page, exchange, lie),
        _ => None,
    }
}

/// Spoils what a guest request was answered. None: the lie does not fit.
fn spoil_message(
    machine: &mut Machine,
    page: &GhcbView,
    exchange: &Exchange,
    due: Due,
) -> Option<()> {
    match due.lie {
        Lie::Message(lie) => messages::spoil(machine, page, exchange, due, lie),
        Lie::Certificates(lie) => certificates::spoil(machine, page, exchange, lie),
        _ => None,
    }
}

/// Spoils the honest answer. None: the lie is none about the answer's page.
fn spoil(machine: &mut Machine, page: &GhcbView, due: Due) -> Option<()> {
    let lie = match due.lie {
        Lie::Ghcb(lie) => lie,
        Lie::Shared(lie) => return shared::spoil(machine, due, lie),
        _ => return None,
    };
    match lie {
        GhcbLie::Invalid => {
            phys::fill(page.system_address(VALID_BITMAP), VALID_BITMAP_LEN, 0);
            Some(())
        }
        GhcbLie::Set { offset, value } => {
            if offset < SAVE_AREA_END {
                page.set(GhcbField(offset), value);
            } else {
                phys::write(page.system_address(offset.into()), value);
            }
            Some(())
        }
        // Told when the guest has read.
        GhcbLie::Flip { offset, value } => {
            watch_answer(machine, page, due, Kind::flip(offset, value));
            None
        }
        GhcbLie::Watch => {
            watch_answer(machine, page, due, Kind::count());
            None
        }
        GhcbLie::Silent | GhcbLie::Exception { .. } => None,
    }
}

/// Watches the GHCB page with the answer that is in it now.
fn watch_answer(machine: &mut Machine, page: &GhcbView, due: Due, kind: Kind) {
    let spa = page.system_address(0);
    watch::add(machine, page.gpa(), spa, Until::Exit, due, kind);
}

/// A level asks for its end. The host may go on all the same, for a while.
fn terminated(machine: &mut Machine, end: Next, vmpl: u8) -> Next {
    let answers = deeds_and_answers(machine, Event::Terminate { vmpl });
    for due in answers {
        if let Lie::ResumeAfterTermination(times) = due.lie
            && machine.scenario.resumed < times
        {
            machine.scenario.resumed += 1;
            machine.scenario.told(due);
            println!(
                "scenario: VMPL{vmpl} asked for its termination and is entered again ({} of {times})",
                machine.scenario.resumed
            );
            return Next::Resume;
        }
    }
    end
}
