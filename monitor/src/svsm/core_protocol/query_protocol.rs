//! QUERY_PROTOCOL: RCX = protocol << 32 | version → RCX = highest << 32 | lowest
//! version, or 0 when that protocol is not offered in that version.

use protocols::svsm::ProtocolQuery;

use super::offered;
use crate::services::Services;
use crate::svsm::request::{Arguments, Next};

/// Always a success.
pub(super) fn call(services: &Services, arguments: &mut Arguments) -> Next {
    let query = ProtocolQuery::from_rcx(arguments.rcx);
    arguments.rcx = match offered(query.protocol, services) {
        Some((lowest, highest)) if (lowest..=highest).contains(&query.version) => {
            ProtocolQuery::answer(highest, lowest)
        }
        _ => ProtocolQuery::NOT_OFFERED,
    };
    Next::Enter
}

#[cfg(test)]
mod tests;
