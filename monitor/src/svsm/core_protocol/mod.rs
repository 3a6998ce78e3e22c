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
use crate::services::Services;
use crate::shared::Shared;
use crate::vcpu::Vcpu;

/// The only version there is, of every protocol.
const VERSION: u32 = 1;

/// The versions of a protocol that are offered, lowest and highest.
const fn offered(protocol: ProtocolId, services: &Services) -> Option<(u32, u32)> {
    match protocol {
        ProtocolId::CORE => Some((VERSION, VERSION)),
        _ if services.offers(protocol) => Some((VERSION, VERSION)),
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
        CoreCall::QUERY_PROTOCOL => Ok(query_protocol::call(shared.services(), arguments)),
        CoreCall::CONFIGURE_VTOM => configure_vtom::call(arguments),
        // Holds the guest's state for a part of the time.
        CoreCall::PVALIDATE => pvalidate::call(shared, platform, arguments),
        CoreCall::REMAP_CA
        | CoreCall::CREATE_VCPU
        | CoreCall::DELETE_VCPU
        | CoreCall::DEPOSIT_MEM
        | CoreCall::WITHDRAW_MEM => {
            let mut context = Context {
                guest: &mut shared.lock(),
                shared,
                platform,
                caller,
                seat,
            };
            with_state(&mut context, call, arguments)
        }
        _ => Err(ResultCode::UNSUPPORTED_CALL.into()),
    }
}

/// The calls that hold the guest's state. Apart from the others (`inline(never)`), which need none
/// of their buffers.
#[inline(never)]
fn with_state<P: Platform + ?Sized, S: MapStorage>(
    context: &mut Context<'_, P, S>,
    call: CoreCall,
    arguments: &mut Arguments,
) -> Result<Next, CallError> {
    match call {
        CoreCall::REMAP_CA => remap_ca::call(context, arguments),
        CoreCall::CREATE_VCPU => create_vcpu::call(context, arguments),
        CoreCall::DELETE_VCPU => delete_vcpu::call(context, arguments),
        CoreCall::DEPOSIT_MEM => deposit_mem::call(context, arguments),
        CoreCall::WITHDRAW_MEM => withdraw_mem::call(context, arguments),
        _ => Err(ResultCode::UNSUPPORTED_CALL.into()),
    }
}
