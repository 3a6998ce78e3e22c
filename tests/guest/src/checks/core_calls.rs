//! QUERY_PROTOCOL, CONFIGURE_VTOM, and what is not there: unknown calls and protocols.

use protocols::svsm::{CoreCall, ProtocolId, ProtocolQuery, Request, SvsmResult};

use crate::check::{Check, Failure, Outcome, check, result, same, succeeds};
use crate::svsm;

pub(crate) const CHECKS: &[Check] = &[
    check("query_protocol/core, version 1", core),
    check(
        "query_protocol/core, versions that do not exist",
        core_versions,
    ),
    check("query_protocol/unknown protocols", unknown_protocols),
    check("configure_vtom/query: not supported", vtom_query),
    check("configure_vtom/configuring is refused", vtom_configure),
    check("unknown call/of the core protocol", unknown_calls),
    check("unknown protocol/any call", unknown_protocol_calls),
];

/// RCX of the answer.
fn query(protocol: ProtocolId, version: u32) -> Result<u64, Failure> {
    let reply = svsm::core(
        CoreCall::QUERY_PROTOCOL,
        ProtocolQuery { protocol, version }.rcx(),
    );
    succeeds("result", reply)?;
    let [rcx, ..] = reply.values;
    Ok(rcx)
}

fn core() -> Outcome {
    same(
        "RCX",
        query(ProtocolId::CORE, 1)?,
        ProtocolQuery::answer(1, 1),
    )
}

fn core_versions() -> Outcome {
    for version in [0, 2, u32::MAX] {
        same(
            "RCX",
            query(ProtocolId::CORE, version)?,
            ProtocolQuery::NOT_OFFERED,
        )?;
    }
    Ok(())
}

/// Numbers that the specification has not given away.
const UNKNOWN_PROTOCOLS: [ProtocolId; 3] = [
    ProtocolId(0x77),
    ProtocolId(0x8000_0000),
    ProtocolId(u32::MAX),
];

fn unknown_protocols() -> Outcome {
    for protocol in UNKNOWN_PROTOCOLS {
        same("RCX", query(protocol, 1)?, ProtocolQuery::NOT_OFFERED)?;
    }
    Ok(())
}

fn vtom_query() -> Outcome {
    const QUERY: u64 = 1;
    const SUPPORTED: u64 = 1 << 1;
    let reply = svsm::core(CoreCall::CONFIGURE_VTOM, QUERY);
    succeeds("result", reply)?;
    let [rcx, ..] = reply.values;
    same("RCX bit 1", rcx & SUPPORTED, 0u64)
}

fn vtom_configure() -> Outcome {
    let configure = svsm::core(CoreCall::CONFIGURE_VTOM, 0x4000_0000);
    result("result", configure, SvsmResult::INVALID_REQUEST)
}

fn unknown_calls() -> Outcome {
    for call in [8, 0x77, 0x8000_0000, u32::MAX] {
        let reply = svsm::call(
            Request {
                protocol: ProtocolId::CORE,
                call,
            },
            [0; 4],
        );
        result("result", reply, SvsmResult::UNSUPPORTED_CALL)?;
    }
    Ok(())
}

fn unknown_protocol_calls() -> Outcome {
    for protocol in UNKNOWN_PROTOCOLS {
        for call in [0, 1, u32::MAX] {
            let reply = svsm::call(Request { protocol, call }, [0; 4]);
            result("result", reply, SvsmResult::UNSUPPORTED_PROTOCOL)?;
        }
    }
    Ok(())
}
