use core::mem::offset_of;
use std::boxed::Box;
use std::sync::{Arc, OnceLock};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use protocols::addr::PAGE_4K;
use protocols::snp::{Vmpl, Vmsa};
use protocols::svsm::{ProtocolId, ProtocolQuery, Request, VTPM_MAX_RESPONSE};
use snp_model::access::Encryption::Private;

use super::*;
use crate::services::{Services, TpmDevice};
use crate::shared::Server;
use crate::svsm::request::{Next, serve};
use crate::testing::{FrameStore, World, page};

const BUFFER: u64 = World::SMALL + 0x5000;
const CALLING_AREA: u64 = World::CALLING_AREA;

/// Answers a command with its locality and itself, as long as that is.
struct Echo;

impl TpmDevice for Echo {
    fn execute(
        &mut self,
        locality: u8,
        command: &[u8],
        response: &mut [u8; VTPM_MAX_RESPONSE],
    ) -> usize {
        response[0] = locality;
        response[1..=command.len()].copy_from_slice(command);
        command.len() + 1
    }
}

fn world() -> World {
    let mut world = World::new();
    let services = Services {
        attestation: None,
        tpm: Some(TpmService::new(Box::new(Echo), Vec::new(), None)),
    };
    world.shared.offer(services);
    world
}

fn call(world: &mut World, call: VtpmCall, rcx: u64) -> (ResultCode, Arguments) {
    let request = Request {
        protocol: ProtocolId::VTPM,
        call: call.0,
    };
    let arguments = Arguments {
        rcx,
        rdx: 7,
        ..Default::default()
    };
    let outcome = world.call_on(World::BSP, request.rax(), arguments);
    (outcome.result, outcome.arguments)
}

fn request(command: u32, locality: u8, size: u32, bytes: &[u8]) -> Vec<u8> {
    let head = VtpmRequest {
        command: command.into(),
        locality,
        size: size.into(),
    };
    [head.as_bytes(), bytes].concat()
}

/// The result of a request in a page, and what is in the page then.
fn send(world: &mut World, buffer: &[u8]) -> (ResultCode, Vec<u8>) {
    world.poke(BUFFER, buffer);
    let (result, arguments) = call(world, VtpmCall::CMD, BUFFER);
    assert_eq!((arguments.rcx, arguments.rdx), (BUFFER, 7));
    let mut page = vec![0; PAGE_4K as usize];
    for (at, byte) in page.iter_mut().enumerate() {
        [*byte] = world.peek(BUFFER + at as u64);
    }
    (result, page)
}

#[test]
fn a_query_says_what_the_tpm_takes() {
    let mut world = world();
    let (result, arguments) = call(&mut world, VtpmCall::QUERY, 3);
    assert_eq!(result, ResultCode::SUCCESS);
    assert_eq!((arguments.rcx, arguments.rdx), (1 << 8, 0));
    assert_eq!(
        call(&mut world, VtpmCall(2), 0).0,
        ResultCode::UNSUPPORTED_CALL
    );
    let query = ProtocolQuery {
        protocol: ProtocolId::VTPM,
        version: 1,
    };
    let rax = Request::core(protocols::svsm::CoreCall::QUERY_PROTOCOL).rax();
    let arguments = Arguments {
        rcx: query.rcx(),
        ..Default::default()
    };
    let outcome = world.call_on(World::BSP, rax, arguments);
    assert_eq!(outcome.arguments.rcx, 1 << 32 | 1);
}

#[test]
fn without_a_tpm_there_is_no_such_protocol() {
    let mut world = World::new();
    for number in 0..3 {
        let (result, _) = call(&mut world, VtpmCall(number), BUFFER);
        assert_eq!(result, ResultCode::UNSUPPORTED_PROTOCOL);
    }
}

#[test]
fn the_response_takes_the_request_s_place() {
    let mut world = world();
    let (result, page) = send(&mut world, &request(8, 2, 5, b"hello and more"));
    assert_eq!(result, ResultCode::SUCCESS);
    assert_eq!(page[..10], *b"\x06\0\0\0\x02hello");
    // What is behind the response stays: the rest of the request.
    assert_eq!(page[10..23], request(8, 2, 5, b"hello and more")[10..]);
    let longest = vec![0xA5; VTPM_MAX_COMMAND];
    let (result, page) = send(&mut world, &request(8, 0, 4087, &longest));
    assert_eq!(result, ResultCode::SUCCESS);
    assert_eq!(page[..5], [0xF8, 0x0F, 0, 0, 0]);
    assert_eq!(page[5..4092], longest);
}

#[test]
fn threat_49_requests_that_are_none_change_nothing() {
    let mut world = world();
    for bad in [
        request(8, 0, 0, b""),
        request(8, 0, 4088, &[1; 4087]),
        request(8, 0, u32::MAX, b"x"),
        request(8, 4, 1, b"x"),
        request(8, 255, 1, b"x"),
        request(0, 0, 1, b"x"),
        request(1, 0, 1, b"x"),
        request(u32::MAX, 0, 1, b"x"),
    ] {
        let (result, page) = send(&mut world, &bad);
        assert_eq!(result, ResultCode::INVALID_PARAMETER);
        assert_eq!(page[..bad.len()], bad);
    }
}

#[test]
fn threat_49_buffers_elsewhere_are_refused() {
    let mut world = world();
    for (gpa, expected) in [
        (BUFFER + 1, ResultCode::INVALID_PARAMETER),
        (BUFFER + 0xFFF, ResultCode::INVALID_PARAMETER),
        (u64::MAX, ResultCode::INVALID_PARAMETER),
        (u64::MAX - 0xFFF, ResultCode::INVALID_ADDRESS),
        (World::FIRMWARE, ResultCode::INVALID_ADDRESS),
        (World::VMSA, ResultCode::INVALID_ADDRESS),
        (CALLING_AREA, ResultCode::INVALID_ADDRESS),
        (World::PENDING, ResultCode::INVALID_ADDRESS),
        (World::RAM, ResultCode::INVALID_ADDRESS),
        (1 << 51 | BUFFER, ResultCode::INVALID_ADDRESS),
    ] {
        assert_eq!(call(&mut world, VtpmCall::CMD, gpa).0, expected, "{gpa:#x}");
    }
}

proptest! {
    #![proptest_config(crate::testing::cases(64))]

    #[test]
    fn threat_49_no_buffer_is_too_strange(
        gpa in prop_oneof![any::<u64>(), Just(BUFFER), 0u64..World::RAM],
        command in prop_oneof![Just(8u32), any::<u32>()],
        locality: u8,
        size in prop_oneof![0u32..5000, any::<u32>()],
        bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut world = world();
        let good = command == 8 && locality <= 3 && (1..=4087).contains(&size) && gpa == BUFFER;
        world.poke(BUFFER, &request(command, locality, size, &bytes));
        let (result, _) = call(&mut world, VtpmCall::CMD, gpa);
        prop_assert_eq!(result == ResultCode::SUCCESS, good);
    }
}

/// What happens while the TPM works.
struct During<F>(F);

type Leaked = &'static Shared<FrameStore>;

impl<F: FnMut(Leaked) + Send> TpmDevice for (During<F>, Arc<OnceLock<Leaked>>) {
    fn execute(&mut self, _: u8, _: &[u8], response: &mut [u8; VTPM_MAX_RESPONSE]) -> usize {
        self.0.0(self.1.get().unwrap());
        response[0] = 0xEE;
        1
    }
}

/// The result of a command of the boot vCPU, and the first bytes of its buffer then.
fn command_during(work: impl FnMut(Leaked) + Send + 'static) -> (u64, [u8; 5]) {
    let mut world = World::new();
    let cell = Arc::new(OnceLock::new());
    let tpm = TpmService::new(Box::new((During(work), cell.clone())), Vec::new(), None);
    let services = Services {
        attestation: None,
        tpm: Some(tpm),
    };
    world.shared.offer(services);
    world.poke(BUFFER, &request(8, 0, 1, b"x"));
    let rax = Request {
        protocol: ProtocolId::VTPM,
        call: VtpmCall::CMD.0,
    };
    let arguments = Arguments {
        rcx: BUFFER,
        ..Default::default()
    };
    world.ask(World::BSP, rax.rax(), arguments);
    let World {
        shared,
        mut machine,
    } = world;
    let shared: Leaked = Box::leak(Box::new(shared));
    assert!(cell.set(shared).is_ok());
    let mut server = Server::new(shared, World::BSP).unwrap();
    assert_eq!(serve(&mut server, &mut machine), Ok(Next::Enter));
    let mut read = |gpa: u64, to: &mut [u8]| {
        let at = Gpa::new(gpa);
        machine.system.read(Vmpl::VMPL0, Private, at, to).unwrap();
    };
    let (mut rax, mut buffer) = ([0; 8], [0; 5]);
    read(World::VMSA + offset_of!(Vmsa, rax) as u64, &mut rax);
    read(BUFFER, &mut buffer);
    (u64::from_le_bytes(rax), buffer)
}

#[test]
fn while_the_tpm_works_its_caller_holds_its_own_seat_and_nothing_else() {
    let (result, buffer) = command_during(|shared| {
        assert!(shared.try_lock().is_some(), "the guest's state");
        assert!(shared.seat(World::AP).unwrap().try_take().is_some());
        assert!(shared.seat(World::BSP).unwrap().try_take().is_none());
    });
    assert_eq!((result, buffer), (0, [1, 0, 0, 0, 0xEE]));
}

#[test]
fn a_page_that_became_something_else_is_not_written() {
    let (result, buffer) = command_during(|shared| {
        let mut guest = shared.lock();
        guest.pages.mark_invalid(page(BUFFER)).unwrap();
    });
    assert_eq!(result, ResultCode::INVALID_ADDRESS.0);
    assert_eq!(buffer, [8, 0, 0, 0, 0]);
}
