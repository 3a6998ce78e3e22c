use protocols::ghcb::RampartReason;

use protocols::addr::Gpa;

use super::*;
use crate::testing::{Event, World};

const RAX: usize = offset_of!(Vmsa, rax);

fn query() -> (u64, Arguments) {
    (
        Request::core(CoreCall::QUERY_PROTOCOL).rax(),
        Arguments {
            rcx: 1,
            ..Default::default()
        },
    )
}

#[test]
fn a_request_is_served_and_the_vmsa_made_runnable_again() {
    let mut world = World::new();
    let (rax, arguments) = query();
    let outcome = world.call_on(World::BSP, rax, arguments);
    assert_eq!(outcome.result, ResultCode::SUCCESS);
    assert_eq!(
        outcome.arguments,
        Arguments {
            rcx: 1 << 32 | 1,
            ..Default::default()
        }
    );
    assert_ne!(
        world.field(World::BSP, offset_of!(Vmsa, efer)) & EFER_SVME,
        0
    );
}

#[test]
fn the_vmsa_is_not_runnable_while_it_is_edited() {
    let mut world = World::new();
    let (rax, arguments) = query();
    world.ask(World::BSP, rax, arguments);
    world.machine.take_events();
    assert_eq!(world.serve(World::BSP), Ok(Next::Enter));
    let events = world.machine.take_events();
    let efer = Gpa::new(World::VMSA + 0xd1);
    // Whether it has exited at all is the one thing that is looked at before.
    let exit_code = Gpa::new(World::VMSA + offset_of!(Vmsa, guest_exit_code) as u64);
    assert_eq!(events[..2], [Event::Read(exit_code, 8), Event::And(efer)]);
    assert_eq!(events.last(), Some(&Event::Or(efer)));
    assert!(
        !events.contains(&Event::Flush),
        "no flush on the way of an empty call"
    );
}

#[test]
fn an_empty_call_takes_few_steps() {
    let mut world = World::new();
    let (rax, arguments) = query();
    world.ask(World::BSP, rax, arguments);
    world.machine.take_events();
    assert_eq!(world.serve(World::BSP), Ok(Next::Enter));
    assert!(world.machine.take_events().len() <= 12);
}

#[test]
fn without_call_pending_nothing_is_executed() {
    let mut world = World::new();
    let (rax, arguments) = query();
    world.ask(World::BSP, rax, arguments);
    world.poke(World::CALLING_AREA, &[0]);
    assert_eq!(world.serve(World::BSP), Ok(Next::Enter));
    assert_eq!(world.field(World::BSP, RAX), rax);
}

#[test]
fn a_call_pending_that_is_neither_is_an_invalid_format() {
    for pending in [2, 0x80, 0xff] {
        let mut world = World::new();
        let (rax, arguments) = query();
        world.ask(World::BSP, rax, arguments);
        world.poke(World::CALLING_AREA, &[pending]);
        assert_eq!(world.serve(World::BSP), Ok(Next::Enter));
        assert_eq!(world.field(World::BSP, RAX), ResultCode::INVALID_FORMAT.0);
        assert_eq!(
            world.field(World::BSP, offset_of!(Vmsa, rcx)),
            1,
            "nothing was executed"
        );
        assert_eq!(world.peek(World::CALLING_AREA), [0]);
    }
}

#[test]
fn threat_26_a_return_for_another_reason_is_no_request() {
    for exit in [
        0,
        0x60,
        0x61,
        0x78,
        0x400,
        0x402,
        0x404,
        0x403 | 1 << 32,
        u64::MAX,
    ] {
        let mut world = World::new();
        let (rax, arguments) = query();
        world.ask(World::BSP, rax, arguments);
        world.set_field(World::BSP, offset_of!(Vmsa, guest_exit_code), exit);
        assert_eq!(world.serve(World::BSP), Ok(Next::Enter));
        assert_eq!(world.field(World::BSP, RAX), rax);
        assert_eq!(world.peek(World::CALLING_AREA), [1], "still to be served");
    }
}

#[test]
fn threat_42_a_request_is_served_once_however_often_the_host_returns() {
    let mut world = World::new();
    let (rax, arguments) = query();
    world.ask(World::BSP, rax, arguments);
    assert_eq!(world.serve(World::BSP), Ok(Next::Enter));
    world.set_field(World::BSP, RAX, rax);
    for _ in 0..3 {
        assert_eq!(world.serve(World::BSP), Ok(Next::Enter));
        assert_eq!(world.field(World::BSP, RAX), rax, "not served again");
    }
}

#[test]
fn threat_39_a_vmsa_that_is_not_runnable_is_left_alone() {
    let mut world = World::new();
    let (rax, arguments) = query();
    world.ask(World::BSP, rax, arguments);
    world.set_field(World::BSP, offset_of!(Vmsa, efer), 0x500);
    assert_eq!(world.serve(World::BSP), Ok(Next::Park));
    assert_eq!(world.field(World::BSP, RAX), rax);
    assert_eq!(world.field(World::BSP, offset_of!(Vmsa, efer)), 0x500);
    assert_eq!(world.peek(World::CALLING_AREA), [1]);
}

#[test]
fn a_vcpu_without_a_vmsa_waits() {
    let mut world = World::new();
    assert_eq!(world.serve(World::AP), Ok(Next::Park));
}

#[test]
fn threat_48_unknown_protocols_and_calls_are_answered() {
    let mut world = World::new();
    for protocol in [1, 2, 3, 4, 5, u32::MAX] {
        let rax = u64::from(protocol) << 32;
        let outcome = world.call_on(World::BSP, rax, Arguments::default());
        assert_eq!(outcome.result, ResultCode::UNSUPPORTED_PROTOCOL);
    }
    for call in [8, 9, 10, 11, 0x1_0000, u32::MAX] {
        let outcome = world.call_on(World::BSP, u64::from(call), Arguments::default());
        assert_eq!(outcome.result, ResultCode::UNSUPPORTED_CALL);
    }
}

#[test]
fn registers_that_a_call_does_not_set_stay() {
    let mut world = World::new();
    let given = Arguments {
        rcx: 1,
        rdx: u64::MAX,
        r8: u64::MAX - 1,
        r9: 0x1234,
    };
    let outcome = world.call_on(
        World::BSP,
        Request::core(CoreCall::QUERY_PROTOCOL).rax(),
        given,
    );
    assert_eq!(
        outcome.arguments,
        Arguments {
            rcx: 1 << 32 | 1,
            ..given
        }
    );
    let outcome = world.call_on(World::BSP, 0x7777, given);
    assert_eq!(outcome.arguments, given);
}

#[test]
fn threat_42_a_calling_area_made_shared_by_the_host_ends_the_machine() {
    use snp_model::system::PageState;
    let mut world = World::new();
    let (rax, arguments) = query();
    world.ask(World::BSP, rax, arguments);
    let area = crate::testing::page(World::CALLING_AREA);
    world
        .machine
        .system
        .page_state_change(area, PageState::Shared)
        .unwrap();
    let end = Fatal::with_detail(RampartReason::PageLost, World::CALLING_AREA);
    assert_eq!(world.serve(World::BSP), Err(end));
    assert_eq!(
        world.field(World::BSP, offset_of!(Vmsa, efer)) & EFER_SVME,
        0
    );
}
