use protocols::svsm::{CoreCall, ProtocolQuery, Request, ResultCode};
use std::boxed::Box;

use super::*;
use crate::svsm::request::Arguments;
use crate::testing::World;

struct Nothing;

impl TpmDevice for Nothing {
    fn execute(&mut self, _locality: u8, _command: &[u8], _response: &mut [u8; 4092]) -> usize {
        0
    }
}

fn world(tpm: bool) -> World {
    let mut world = World::new();
    world.shared.offer(Services {
        attestation: None,
        tpm: tpm.then(|| TpmService::new(Box::new(Nothing), Vec::new(), None)),
    });
    world
}

fn answer(world: &mut World, protocol: ProtocolId, version: u32) -> u64 {
    let arguments = Arguments {
        rcx: ProtocolQuery { protocol, version }.rcx(),
        ..Default::default()
    };
    let rax = Request::core(CoreCall::QUERY_PROTOCOL).rax();
    world.call_on(World::BSP, rax, arguments).arguments.rcx
}

#[test]
fn a_protocol_is_offered_when_its_service_is_there() {
    for there in [false, true] {
        let mut world = world(there);
        let offered = if there {
            ProtocolQuery::answer(1, 1)
        } else {
            ProtocolQuery::NOT_OFFERED
        };
        assert_eq!(answer(&mut world, ProtocolId::VTPM, 1), offered);
        assert_eq!(answer(&mut world, ProtocolId::VTPM, 2), 0);
        assert_eq!(answer(&mut world, ProtocolId::ATTESTATION, 1), 0);
    }
}

#[test]
fn calls_of_a_service_that_is_not_there_are_those_of_an_unknown_protocol() {
    let unknown_call = |protocol| Request {
        protocol,
        call: 0x77,
    };
    for (tpm, protocol, expected) in [
        (false, ProtocolId::VTPM, ResultCode::UNSUPPORTED_PROTOCOL),
        (true, ProtocolId::VTPM, ResultCode::UNSUPPORTED_CALL),
        (
            true,
            ProtocolId::ATTESTATION,
            ResultCode::UNSUPPORTED_PROTOCOL,
        ),
    ] {
        let rax = unknown_call(protocol).rax();
        let outcome = world(tpm).call_on(World::BSP, rax, Arguments::default());
        assert_eq!(outcome.result, expected);
    }
}
