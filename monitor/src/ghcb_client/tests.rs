use std::sync::{Arc, Mutex};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::testing::Machine;

/// A request whose answer is in RAX, such as the list of APIC IDs.
fn ask(machine: &mut Machine, ghcb: &mut Ghcb) -> Result<u64, Fatal> {
    ghcb.begin(ExitCode::GET_APIC_IDS, 0, 0);
    exchange(machine, ghcb, 0)?;
    answered(ghcb, GhcbField::RAX)
}

fn refused(code: ExitCode) -> Fatal {
    Fatal::with_detail(RampartReason::BadGhcbAnswer, code.0)
}

#[test]
fn threat_16_a_request_is_built_in_a_clean_copy() {
    let mut machine = Machine::new();
    machine.host.on_page(|_, ghcb| {
        // Nothing of the caller's garbage is left but what was asked.
        let mut expected = Ghcb::zeroed();
        expected.begin(ExitCode::IOIO, ghcb.sw_exit_info1, 3);
        expected.set(GhcbField::SCRATCH, 0x23f_f800);
        expected.shared_buffer[..3].copy_from_slice(b"abc");
        assert_eq!(*ghcb, expected);
        ghcb.clear_valid();
        ghcb.respond(Response::NO_ACTION, 0);
    });
    let mut ghcb = Ghcb::zeroed();
    ghcb.shared_buffer.fill(0xee);
    ghcb.valid_bitmap.fill(0xff);
    (ghcb.rax, ghcb.rdx, ghcb.usage) = (1, 2, 3);
    write_port(&mut machine, &mut ghcb, 0x3f8, b"abc").unwrap();
}

#[test]
fn threat_17_an_answer_that_is_not_marked_valid_is_none() {
    for missing in [GhcbField::EXIT_INFO1, GhcbField::EXIT_INFO2, GhcbField::RAX] {
        let mut machine = Machine::new();
        machine.host.on_page(move |_, ghcb| {
            ghcb.clear_valid();
            let fields = [GhcbField::EXIT_INFO1, GhcbField::EXIT_INFO2, GhcbField::RAX];
            for field in fields.into_iter().filter(|field| *field != missing) {
                ghcb.set(field, 0);
            }
        });
        let result = ask(&mut machine, &mut Ghcb::zeroed());
        let detail = u64::from(missing.0);
        assert_eq!(
            result,
            Err(Fatal::with_detail(RampartReason::BadGhcbAnswer, detail))
        );
    }
}

#[test]
fn threat_17_a_value_of_the_last_exit_is_not_taken() {
    let mut machine = Machine::new();
    let mut ghcb = Ghcb::zeroed();
    ghcb.set(GhcbField::RAX, 0x77);
    machine.host.on_page(|_, ghcb| {
        assert!(!ghcb.is_valid(GhcbField::RAX));
        ghcb.clear_valid();
        ghcb.respond(Response::NO_ACTION, 0);
    });
    assert!(ask(&mut machine, &mut ghcb).is_err());
}

#[test]
fn threat_21_no_exception_is_taken_as_an_answer() {
    for response in [
        Response::EXCEPTION,
        Response::MALFORMED_INPUT,
        Response(3),
        Response(!0),
    ] {
        let mut machine = Machine::new();
        machine.host.on_page(move |_, ghcb| {
            ghcb.clear_valid();
            ghcb.respond(response, 0x8000_0b0d);
        });
        let result = ask(&mut machine, &mut Ghcb::zeroed());
        assert_eq!(result, Err(refused(ExitCode::GET_APIC_IDS)));
    }
}

#[test]
fn a_line_goes_out_in_one_exit() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = sent.clone();
    let mut machine = Machine::new();
    machine.host.on_page(move |_, ghcb| {
        let info = IoioInfo(ghcb.sw_exit_info1);
        assert!(info.is_string() && info.is_repeated() && !info.is_in());
        assert_eq!((info.port(), info.size()), (0x3f8, Some(IoSize::Byte)));
        let count = ghcb.sw_exit_info2 as usize;
        seen.lock()
            .unwrap()
            .push(ghcb.shared_buffer[..count].to_vec());
        ghcb.clear_valid();
        ghcb.respond(Response::NO_ACTION, 0);
    });
    let line = vec![b'x'; SHARED_BUFFER_SIZE + 5];
    write_port(&mut machine, &mut Ghcb::zeroed(), 0x3f8, &line).unwrap();
    let lengths: Vec<usize> = sent.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(lengths, [SHARED_BUFFER_SIZE, 5]);
}

#[test]
fn a_processor_is_created_with_all_that_the_host_needs() {
    let mut machine = Machine::new();
    machine.host.on_page(|_, ghcb| {
        assert_eq!(ghcb.exit_code(), Some(ExitCode::AP_CREATION));
        assert_eq!(ghcb.sw_exit_info1, 7 << 32 | 2 << 16 | 1);
        assert_eq!(ghcb.sw_exit_info2, 0x241_0000);
        assert_eq!(ghcb.get(GhcbField::RAX), Some(1));
        ghcb.clear_valid();
        ghcb.respond(Response::NO_ACTION, 0);
    });
    let (level, vmsa) = (Vmpl::VMPL2, Gpa::new(0x241_0000));
    let mut ghcb = Ghcb::zeroed();
    create_vcpu(&mut machine, &mut ghcb, 7, level, vmsa, SevFeatures::SNP).unwrap();
    machine
        .host
        .on_page(|_, ghcb| ghcb.respond(Response::MALFORMED_INPUT, 5));
    assert_eq!(
        create_vcpu(&mut machine, &mut ghcb, 7, level, vmsa, SevFeatures::SNP),
        Err(Fatal::with_detail(RampartReason::ApCreationFailed, 7))
    );
}

#[test]
fn threat_18_the_registered_page_has_to_be_the_one_asked_for() {
    let mut machine = Machine::new();
    let page = Gpa::new(0x23f_f000);
    assert_eq!(register(&mut machine, page), Ok(()));
    for gfn in [None, Some(0x23fe), Some(0)] {
        machine
            .host
            .on_msr(move |_| MsrResponse::RegisterGpa { gfn }.encode());
        let result = register(&mut machine, page);
        assert_eq!(
            result,
            Err(Fatal::new(RampartReason::GhcbRegistrationRefused))
        );
    }
    machine.host.on_msr(|_| MsrValue(0x23f_f012));
    let result = register(&mut machine, page);
    assert_eq!(
        result,
        Err(Fatal::with_detail(RampartReason::BadMsrAnswer, 0x23f_f012))
    );
}

#[test]
fn threat_26_a_refused_or_odd_run_ends_the_machine() {
    let mut machine = Machine::new();
    assert_eq!(run_vmpl(&mut machine, Vmpl::VMPL2), Ok(()));
    machine.host.on_msr(|request| {
        assert_eq!(request, MsrRequest::RunVmpl { vmpl: 2 });
        MsrResponse::RunVmpl { error: 9 }.encode()
    });
    let result = run_vmpl(&mut machine, Vmpl::VMPL2);
    assert_eq!(
        result,
        Err(Fatal::with_detail(RampartReason::RunVmplFailed, 9))
    );
    machine.host.on_msr(|_| MsrValue(0x16 | 2 << 32));
    let result = run_vmpl(&mut machine, Vmpl::VMPL2);
    assert!(matches!(
        result,
        Err(Fatal::Rampart(RampartReason::BadMsrAnswer, _))
    ));
}

proptest! {
    #[test]
    fn any_answer_is_a_value_or_a_reason(
        bitmap in any::<[u8; 16]>(), info1 in any::<u64>(), info2 in any::<u64>(),
        quiet in any::<bool>(), rax in any::<u64>(), msr in any::<u64>(),
    ) {
        let mut machine = Machine::new();
        machine.host.on_page(move |_, ghcb| {
            ghcb.valid_bitmap = bitmap;
            ghcb.sw_exit_info1 = if quiet { info1 << 32 } else { info1 };
            (ghcb.sw_exit_info2, ghcb.rax) = (info2, rax);
        });
        machine.host.on_msr(move |_| MsrValue(msr));
        let mut ghcb = Ghcb::zeroed();
        if let Ok(value) = ask(&mut machine, &mut ghcb) {
            prop_assert!(ghcb.is_valid(GhcbField::RAX) && ghcb.is_valid(GhcbField::EXIT_INFO1));
            prop_assert_eq!(value, rax);
            prop_assert_eq!(ghcb.sw_exit_info1 as u32, 0);
        }
        prop_assert_eq!(run_vmpl(&mut machine, Vmpl::VMPL2).is_ok(), msr == 0x17);
    }
}
