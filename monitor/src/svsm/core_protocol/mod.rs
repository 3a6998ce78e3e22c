//! Protocol 0, the core protocol, version 1. One file for each call.

mod configure_vtom;
mod create_vcpu;
mod delete_vcpu;
mod deposit_mem;
mod list;
mod pvalidate;
mod query_protocol;
mod remap_ca;
mod withdraw_mem;

use protocols::svsm::{CoreCall, ProtocolId, ResultCode};

use super::request::{Arguments, Context, Next};
use crate::error::CallError;
use crate::platform::{MapStorage, Platform};
use crate::shared::Shared;
use crate::vcpu::Vcpu;

/// The only version there is.
const VERSION: u32 = 1;

/// The versions of a protocol that are offered, lowest and highest.
const fn offered(protocol: ProtocolId) -> Option<(u32, u32)> {
    match protocol {
        ProtocolId::CORE => Some((VERSION, VERSION)),
        _ => None,
    }
}

/// Serves a call of the core protocol.
///
/// # Errors
/// The result for the guest, or the end of the virtual machine.
pub(crate) fn call<P: Platform + ?Sized, S: MapStorage>(
    shared: &Shared<S>,
    platform: &mut P,
    seat: &mut Option<Vcpu>,
    caller: Vcpu,
    call: CoreCall,
    arguments: &mut Arguments,
) -> Result<Next, CallError> {
    match call {
        CoreCall::QUERY_PROTOCOL => return Ok(query_protocol::call(arguments)),
        CoreCall::CONFIGURE_VTOM => return configure_vtom::call(arguments),
        // Holds the guest's state for a part of the time.
        CoreCall::PVALIDATE => return pvalidate::call(shared, platform, arguments),
        _ => {}
    }
    let mut context = Context {
        guest: &mut shared.lock(),
        shared,
        platform,
        caller,
        seat,
    };
    match call {
        CoreCall::REMAP_CA => remap_ca::call(&mut context, arguments),
        CoreCall::CREATE_VCPU => create_vcpu::call(&mut context, arguments),
        CoreCall::DELETE_VCPU => delete_vcpu::call(&mut context, arguments),
        CoreCall::DEPOSIT_MEM => deposit_mem::call(&mut context, arguments),
        CoreCall::WITHDRAW_MEM => withdraw_mem::call(&mut context, arguments),
        _ => Err(ResultCode::UNSUPPORTED_CALL.into()),
    }
}
