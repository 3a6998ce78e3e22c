//! When a call counts: call_pending, and the two ways to VMPL0.

use protocols::svsm::{CoreCall, ProtocolId, ProtocolQuery, Request, SvsmResult};

use super::pvalidate::validate_and_rescind_by;
use crate::check::{Check, Outcome, check, result, same, succeeds};
use crate::svsm::{self, Transport, UNKNOWN_CALL};

pub(crate) const CHECKS: &[Check] = &[
    check("call_pending/1 is served and cleared", one),
    check("call_pending/0 is not served", zero),
    check("call_pending/2 is INVALID_FORMAT", two),
    check("call_pending/255 is INVALID_FORMAT", all_bits),
    check("call_pending/a call is served once", replay),
    check("transport/GHCB page: a call", page),
    check("transport/GHCB page: an unknown call", page_unknown),
    check(
        "transport/GHCB page: call_pending 0 is not served",
        page_zero,
    ),
    check("transport/GHCB page: PVALIDATE", page_pvalidate),
    check(
        "transport/registers that a call does not use are kept",
        registers,
    ),
];

/// The arguments of a query that succeeds, with marks in the other registers.
const QUERY: [u64; 4] = [
    ProtocolQuery {
        protocol: ProtocolId::CORE,
        version: 1,
    }
    .rcx(),
    0x2222,
    0x8888,
    0x9999,
];
const ANSWER: [u64; 4] = [ProtocolQuery::answer(1, 1), 0x2222, 0x8888, 0x9999];
const REQUEST: Request = Request::core(CoreCall::QUERY_PROTOCOL);

/// One entry of VMPL0 that has to leave everything as it is.
fn is_ignored(transport: Transport) -> Outcome {
    let reply = svsm::exit(transport, 0, REQUEST.rax(), QUERY);
    same("RAX", reply.result.0, REQUEST.rax())?;
    same("call_pending", reply.pending, 0u8)?;
    same_registers(reply.values, QUERY)
}

fn same_registers(got: [u64; 4], want: [u64; 4]) -> Outcome {
    for ((got, want), what) in got.into_iter().zip(want).zip(["RCX", "RDX", "R8", "R9"]) {
        same(what, got, want)?;
    }
    Ok(())
}

/// One entry of VMPL0 with this call_pending, which is malformed.
fn is_malformed(pending: u8) -> Outcome {
    let reply = svsm::exit(Transport::Msr, pending, REQUEST.rax(), QUERY);
    result("result", reply, SvsmResult::INVALID_FORMAT)?;
    same_registers(reply.values, QUERY)
}

fn one() -> Outcome {
    let reply = svsm::exit(Transport::Msr, 1, REQUEST.rax(), QUERY);
    succeeds("result", reply)?;
    same_registers(reply.values, ANSWER)
}

fn zero() -> Outcome {
    is_ignored(Transport::Msr)
}

fn two() -> Outcome {
    is_malformed(2)
}

fn all_bits() -> Outcome {
    is_malformed(0xff)
}

/// The exit code of the last call is still in the VMSA when VMPL0 runs again.
fn replay() -> Outcome {
    one()?;
    is_ignored(Transport::Msr)?;
    is_ignored(Transport::Msr)
}

fn page() -> Outcome {
    let reply = svsm::exit(Transport::Page, 1, REQUEST.rax(), QUERY);
    succeeds("result", reply)?;
    same_registers(reply.values, ANSWER)
}

fn page_unknown() -> Outcome {
    let reply = svsm::call_by(Transport::Page, UNKNOWN_CALL, QUERY);
    result("result", reply, SvsmResult::UNSUPPORTED_CALL)
}

fn page_zero() -> Outcome {
    is_ignored(Transport::Page)
}

fn page_pvalidate() -> Outcome {
    validate_and_rescind_by(Transport::Page)
}

fn registers() -> Outcome {
    let reply = svsm::call(UNKNOWN_CALL, [1, 2, 3, 4]);
    result("result", reply, SvsmResult::UNSUPPORTED_CALL)?;
    same_registers(reply.values, [1, 2, 3, 4])
}
