use protocols::svsm::{CoreCall, Request};

use super::*;
use crate::testing::World;

#[test]
fn the_query_says_no_and_configuring_is_refused() {
    let mut world = World::new();
    let rax = Request::core(CoreCall::CONFIGURE_VTOM).rax();
    for rcx in [1, 0xff01, u64::MAX] {
        let outcome = world.call_on(
            World::BSP,
            rax,
            Arguments {
                rcx,
                ..Default::default()
            },
        );
        assert_eq!(outcome.result, ResultCode::SUCCESS);
        assert_eq!(outcome.arguments.rcx & 2, 0, "not supported");
    }
    for rcx in [0, 2, 0x8000_0000_0000_0000, !1] {
        let given = Arguments {
            rcx,
            rdx: 1,
            r8: 2,
            r9: 3,
        };
        let outcome = world.call_on(World::BSP, rax, given);
        assert_eq!(outcome.result, ResultCode::INVALID_REQUEST);
        assert_eq!(outcome.arguments, given);
    }
}
