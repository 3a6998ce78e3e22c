//! CONFIGURE_VTOM: a query (RCX\[0\] = 1) is answered, configuring is refused.
//! Rampart has no virtual top of memory: its guests find the C-bit themselves.

use protocols::svsm::ResultCode;

use crate::error::CallError;
use crate::svsm::request::{Arguments, Next};

const QUERY: u64 = 1;

/// The answer to a query has RCX\[1\] (supported) and all that hangs on it clear.
pub(super) fn call(arguments: &mut Arguments) -> Result<Next, CallError> {
    if arguments.rcx & QUERY == 0 {
        return Err(ResultCode::INVALID_REQUEST.into());
    }
    arguments.rcx = 0;
    Ok(Next::Enter)
}

#[cfg(test)]
mod tests;
