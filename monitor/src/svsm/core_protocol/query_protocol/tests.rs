use protocols::svsm::{CoreCall, ProtocolId, Request, ResultCode};

use super::*;
use crate::testing::World;

#[test]
fn the_query_always_succeeds_and_tells_what_is_offered() {
    let mut world = World::new();
    for (protocol, version, expected) in [
        (ProtocolId::CORE, 1, 1 << 32 | 1),
        (ProtocolId::CORE, 0, 0),
        (ProtocolId::CORE, 2, 0),
        (ProtocolId::CORE, u32::MAX, 0),
        (ProtocolId::ATTESTATION, 1, 0),
        (ProtocolId::VTPM, 1, 0),
        (ProtocolId::APIC, 1, 0),
        (ProtocolId::UEFI_MM, 1, 0),
        (ProtocolId(u32::MAX), 1, 0),
    ] {
        let rcx = ProtocolQuery { protocol, version }.rcx();
        let arguments = Arguments {
            rcx,
            ..Default::default()
        };
        let rax = Request::core(CoreCall::QUERY_PROTOCOL).rax();
        let outcome = world.call_on(World::BSP, rax, arguments);
        assert_eq!(outcome.result, ResultCode::SUCCESS);
        assert_eq!(outcome.arguments.rcx, expected);
    }
}
