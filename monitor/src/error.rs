//! How a guest's call can fail: with a result for the guest, or with the end.

use protocols::svsm::ResultCode;

use crate::fatal::Fatal;
use crate::platform::AccessFault;

/// Why a call was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The guest gets this result in RAX and goes on.
    Result(ResultCode),
    /// The virtual machine ends.
    Fatal(Fatal),
}

impl From<Fatal> for CallError {
    fn from(fatal: Fatal) -> Self {
        CallError::Fatal(fatal)
    }
}

impl From<AccessFault> for CallError {
    fn from(fault: AccessFault) -> Self {
        CallError::Fatal(fault.into())
    }
}

impl From<ResultCode> for CallError {
    fn from(result: ResultCode) -> Self {
        CallError::Result(result)
    }
}
