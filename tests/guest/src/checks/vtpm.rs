//! Protocol 2: the TPM. What a TPM answers is tested with the TPM; here is that it is one, and what
//! is no request.

use core::array;

use protocols::addr::PAGE_4K;
use protocols::svsm::{
    CoreCall, PlatformCommand, ProtocolId, ProtocolQuery, Request, SvsmResult, VtpmCall,
};
use sha2::{Digest, Sha256};

use super::unusable;
use crate::arch::cpu::time_stamp;
use crate::arch::memory;
use crate::check::{Check, Failure, Outcome, check, holds, refused, result, same, succeeds};
use crate::console::println;
use crate::playground::Area;
use crate::tpm::{self, RC_INITIALIZE};
use crate::{hands, list, svsm};

/// The checks of the TPM, or those that there is none: not under a policy that lets the host look
/// in, nor without a report that says which policy it is.
pub(crate) fn checks() -> &'static [Check] {
    match query_protocol(1) {
        Ok(ProtocolQuery::NOT_OFFERED) => ABSENT,
        _ => CHECKS,
    }
}

const ABSENT: &[Check] = &[check("vtpm/none is offered", absent)];

const CHECKS: &[Check] = &[
    check("vtpm/version 1 is offered", offered),
    check("vtpm/query: commands are taken", query),
    check("vtpm/unknown calls", unknown_calls),
    check("vtpm/nothing before startup, and one startup", startup),
    check("vtpm/random numbers", random),
    check("vtpm/extended PCRs", extended),
    check("vtpm/a primary key", primary),
    check("vtpm/garbage", garbage),
    check("vtpm/sizes that are none", sizes),
    check("vtpm/other platform commands and localities", no_commands),
    check("vtpm/unusable addresses", unusable_addresses),
    check("vtpm/across the end of a page", across),
];

const BUFFER: u64 = at(48);
/// Of the other vCPU.
const OTHER: u64 = at(49);
/// The vCPU that works at the same time, and a PCR for each of the two.
const HAND: usize = 1;
const PCRS: [u8; 2] = [9, 10];

const fn at(page: u64) -> u64 {
    Area::WORK.page(page).gpa().get()
}

fn query_protocol(version: u32) -> Result<u64, Failure> {
    let protocol = ProtocolId::VTPM;
    let rcx = ProtocolQuery { protocol, version }.rcx();
    let reply = svsm::core(CoreCall::QUERY_PROTOCOL, rcx);
    succeeds("result", reply)?;
    Ok(reply.values[0])
}

fn offered() -> Outcome {
    for (version, want) in [(0, 0), (1, ProtocolQuery::answer(1, 1)), (2, 0)] {
        same("RCX", query_protocol(version)?, want)?;
    }
    Ok(())
}

fn absent() -> Outcome {
    for version in 0..=2 {
        same("RCX", query_protocol(version)?, ProtocolQuery::NOT_OFFERED)?;
    }
    for call in [VtpmCall::QUERY, VtpmCall::CMD, VtpmCall(2)] {
        let reply = call_number(call.0, [BUFFER, 0, 0, 0]);
        refused("result", reply, SvsmResult::UNSUPPORTED_PROTOCOL)?;
    }
    Ok(())
}

fn call_number(call: u32, values: [u64; 4]) -> svsm::Reply {
    let protocol = ProtocolId::VTPM;
    svsm::call(Request { protocol, call }, values)
}

fn query() -> Outcome {
    let reply = call_number(VtpmCall::QUERY.0, [1, 2, 3, 4]);
    succeeds("result", reply)?;
    let [rcx, rdx, r8, r9] = reply.values;
    same("RCX", rcx, PlatformCommand::SEND_COMMAND.bit())?;
    same("RDX", rdx, 0u64)?;
    same("R8", r8, 3u64)?;
    same("R9", r9, 4u64)
}

fn unknown_calls() -> Outcome {
    for call in [2, 0x77, 0x8000_0000, u32::MAX] {
        let reply = call_number(call, [BUFFER, 0, 0, 0]);
        result("result", reply, SvsmResult::UNSUPPORTED_CALL)?;
    }
    Ok(())
}

fn startup() -> Outcome {
    let before = tpm::send(BUFFER, &tpm::get_random())?;
    same("before Startup", before, RC_INITIALIZE)?;
    tpm::done("Startup", BUFFER, &tpm::startup())?;
    let again = tpm::send(BUFFER, &tpm::startup())?;
    same("Startup again", again, RC_INITIALIZE)
}

fn random() -> Outcome {
    let mut numbers = [[0u8; 18]; 2];
    for number in &mut numbers {
        tpm::done("GetRandom", BUFFER, &tpm::get_random())?;
        *number = tpm::body(BUFFER);
        holds("16 bytes", number[..2] == [0, 16])?;
    }
    holds("another number each time", numbers[0] != numbers[1])
}

/// A PCR that is read is what was extended.
fn is_pcr(buffer: u64, pcr: u8, want: &[u8; 32]) -> Outcome {
    tpm::done("PCR_Read", buffer, &tpm::read_pcr(pcr))?;
    // Update counter, the selection of one bank, one digest.
    let body: [u8; 4 + 10 + 4 + 2 + 32] = tpm::body(buffer);
    holds("the PCR's value", body[20..] == want[..])
}

fn replay(value: &mut [u8; 32], digest: &[u8; 32]) {
    *value = Sha256::new_with_prefix(*value)
        .chain_update(digest)
        .finalize()
        .into();
}

fn extended() -> Outcome {
    let mut value = [0; 32];
    is_pcr(BUFFER, 8, &value)?;
    for round in 0..3u8 {
        let digest = [round; 32];
        tpm::done("PCR_Extend", BUFFER, &tpm::extend(8, &digest))?;
        replay(&mut value, &digest);
        is_pcr(BUFFER, 8, &value)?;
    }
    Ok(())
}

/// Makes a key and flushes it again.
fn make_key(rsa: bool) -> Outcome {
    tpm::done("CreatePrimary", BUFFER, &tpm::create_primary(rsa))?;
    flush_key(BUFFER)
}

fn flush_key(buffer: u64) -> Outcome {
    let handle = u32::from_be_bytes(tpm::body(buffer));
    tpm::done("FlushContext", buffer, &tpm::flush(handle))
}

fn primary() -> Outcome {
    make_key(false)
}

/// Bytes that are no command get an answer of the TPM, whose code is an error.
fn garbage() -> Outcome {
    let bytes: [u8; 4087] = array::from_fn(|at| ((at * 131) >> 3) as u8);
    for size in [1, 9, 10, 11, 64, 4087] {
        let send = PlatformCommand::SEND_COMMAND;
        tpm::write(BUFFER, send, 0, size, &bytes[..size as usize]);
        succeeds("result", tpm::call(BUFFER))?;
        let (code, len) = tpm::response(BUFFER)?;
        holds("an error", code != 0)?;
        same("length of the answer", len as u64, 10u64)?;
    }
    tpm::done("GetRandom after that", BUFFER, &tpm::get_random())
}

/// A request that has to be refused, and stays in its place.
fn is_no_request(command: u32, locality: u8, size: u32) -> Outcome {
    let bytes = tpm::get_random();
    let command = PlatformCommand(command);
    tpm::write(BUFFER, command, locality, size, bytes.as_bytes());
    let before: [u8; 64] = memory::read(BUFFER);
    refused("result", tpm::call(BUFFER), SvsmResult::INVALID_PARAMETER)?;
    let after: [u8; 64] = memory::read(BUFFER);
    holds("the buffer is as it was", before == after)
}

fn sizes() -> Outcome {
    for size in [0, 4088, 4096, 0x8000_0000, u32::MAX] {
        is_no_request(8, 0, size)?;
    }
    Ok(())
}

fn no_commands() -> Outcome {
    for command in [0, 1, 2, 7, 9, 21, u32::MAX] {
        is_no_request(command, 0, 12)?;
    }
    for locality in [4, 5, 32, u8::MAX] {
        is_no_request(8, locality, 12)?;
    }
    Ok(())
}

fn unusable_addresses() -> Outcome {
    unusable::are_refused(tpm::call)?;
    let of_nobody = [
        ("never validated", Area::INVALID.page(3).gpa().get()),
        ("the own calling area", svsm::calling_area()),
    ];
    of_nobody
        .into_iter()
        .try_for_each(|(what, gpa)| refused(what, tpm::call(gpa), SvsmResult::INVALID_ADDRESS))
}

fn across() -> Outcome {
    for gpa in [BUFFER + 1, BUFFER + 8, BUFFER + PAGE_4K - 1, u64::MAX] {
        refused("result", tpm::call(gpa), SvsmResult::INVALID_PARAMETER)?;
    }
    Ok(())
}

/// Commands of each of the two.
const COMMANDS: u32 = 1000;

/// Two vCPUs extend a PCR each and read it, all the time. Every answer has to be the right one.
pub(crate) fn by_two_at_once() -> Outcome {
    let buffers = [BUFFER, OTHER];
    let mut values = [[0; 32]; 2];
    for round in 0..COMMANDS {
        let digests = [0u8, 1].map(|who| {
            let mut digest = [who; 32];
            digest[..4].copy_from_slice(&round.to_le_bytes());
            digest
        });
        let reads = round % 4 == 3;
        for who in [0, 1] {
            let command = match reads {
                true => tpm::read_pcr(PCRS[who]),
                false => tpm::extend(PCRS[who], &digests[who]),
            };
            tpm::prepare(buffers[who], &command);
        }
        hands::tell(HAND, tpm::request(), [OTHER, 0, 0, 0]);
        succeeds("result", tpm::call(BUFFER))?;
        same("response code", tpm::response(BUFFER)?.0, 0u32)?;
        tpm::was_done(OTHER, hands::answer(HAND))?;
        for who in [0, 1] {
            if reads {
                let body: [u8; 52] = tpm::body(buffers[who]);
                holds("the PCR's value", body[20..] == values[who][..])?;
            } else {
                replay(&mut values[who], &digests[who]);
            }
        }
    }
    is_pcr(BUFFER, PCRS[0], &values[0])?;
    is_pcr(BUFFER, PCRS[1], &values[1])
}

/// Calls that must at least be done while a key is made, which takes as long as thousands.
const MEANWHILE: u64 = 20;

/// While another vCPU has the TPM make an RSA key, calls that change pages are served, and a second
/// command waits until the key is there.
pub(crate) fn others_go_on() -> Outcome {
    tpm::prepare(OTHER, &tpm::create_primary(true));
    let begin = time_stamp();
    hands::tell(HAND, tpm::request(), [OTHER, 0, 0, 0]);
    let (mut done, mut longest) = (0u64, 0u64);
    while hands::is_busy(HAND) {
        let call = time_stamp();
        page_comes_and_goes()?;
        let took = time_stamp().saturating_sub(call);
        // What ended after the key does not count.
        if hands::is_busy(HAND) {
            done += 1;
            longest = longest.max(took);
        }
    }
    let key = time_stamp().saturating_sub(begin).max(1);
    tpm::was_done(OTHER, hands::answer(HAND))?;
    flush_key(OTHER)?;
    println!(
        "while an RSA-2048 key was made: {} calls of another vCPU, the longest two in {} thousandths of that time",
        done * 2,
        longest.saturating_mul(1000) / key
    );
    holds("calls while the key was made", done >= MEANWHILE)
}

/// PVALIDATE of a page, both ways, with the flush of the other vCPUs' translations.
fn page_comes_and_goes() -> Outcome {
    let page = Area::WORK.page(0x62);
    succeeds("rescission", list::rescind(page))?;
    succeeds("validation", list::validate(page))
}
