//! The instructions of the processor under the machine: ports, MSRs, SVM.

pub(crate) mod apic;
pub(crate) mod exceptions;
pub(crate) mod fpu;
pub(crate) mod msr;
pub(crate) mod port;
pub(crate) mod svm;
