use core::mem::offset_of;
use std::vec;

use proptest::prelude::*;
use protocols::addr::PAGE_4K;
use protocols::boot::params::{MemoryMapEntry, MemoryMapType};
use protocols::ghcb::{ExitCode, Response};
use protocols::snp::{EFER_SVME, Vmpl};
use zerocopy::FromZeros;

use super::*;
use crate::fatal::Fatal;
use crate::svsm::request::Next;
use crate::testing::{Event, Firmware, World, cpuid_page, page, page_2m, range};

/// A world before the launch: nothing of the guest's is open.
struct Launch {
    world: World,
    rom: GpaRange,
    vmsa: GpaPage,
    vp_count: u32,
    firmware: Firmware,
}

const VMSA: u64 = World::FIRMWARE + 0x60_1000;
const ROM: u64 = World::WINDOW;

impl Launch {
    fn new() -> Self {
        let firmware = Firmware {
            size: 0x2000,
            ..Firmware::ovmf()
        };
        Launch {
            world: World::before_launch(),
            rom: range(ROM, 0x40_0000),
            vmsa: page(VMSA),
            vp_count: 1,
            firmware,
        }
    }

    fn secrets() -> SecretsPage {
        let mut secrets = SecretsPage::new_zeroed();
        for (level, key) in secrets.vmpck.iter_mut().enumerate() {
            key.fill(0xa0 + level as u8);
        }
        secrets.version = 3;
        secrets
    }

    fn run(&mut self) -> Result<Vcpu, Fatal> {
        let (secrets, cpuid) = (Self::secrets(), CpuidTable::new(cpuid_page()).unwrap());
        let inputs = Inputs {
            rom: self.rom,
            firmware: range(World::FIRMWARE, World::FIRMWARE_SIZE),
            secrets: &secrets,
            cpuid: &cpuid,
            vp_count: self.vp_count,
            vmsa: self.vmsa,
        };
        let bytes = self.firmware.bytes();
        let (guest, machine) = (&mut *self.world.shared.lock(), &mut self.world.machine);
        launch(
            machine,
            &mut Ghcb::zeroed(),
            guest,
            &inputs,
            |platform, _, rom| {
                let at = rom.end().get() - bytes.len() as u64;
                Ok(platform.write(Gpa::new(at), &bytes)?)
            },
        )
    }
}

#[test]
fn the_guest_is_launched() {
    let mut launch = Launch::new();
    let vcpu = launch.run().unwrap();
    assert_eq!(
        (vcpu.vmsa.get(), vcpu.apic_id, vcpu.startup),
        (VMSA, 5, true)
    );
    let world = &mut launch.world;
    assert_eq!(world.shared.lock().vcpus.current(5), Some(vcpu));

    // Everything that the image asked for, and nothing more.
    for gpa in [0x80_0000, 0x80_8fff, 0x80_a000, 0x82_ffff, ROM, 0xffff_ffff] {
        assert!(world.readable(Vmpl::VMPL2, gpa), "{gpa:#x}");
        assert!(world.readable(Vmpl::VMPL1, gpa), "{gpa:#x}");
    }
    for gpa in [0x80_9000, 0x83_0000, 0x7f_f000, World::FIRMWARE, VMSA] {
        assert!(!world.readable(Vmpl::VMPL2, gpa), "{gpa:#x}");
        assert!(!world.readable(Vmpl::VMPL1, gpa), "{gpa:#x}");
    }
    assert_eq!(
        world.shared.lock().pages.state(page_2m(ROM)),
        Some(crate::page_map::PageState::Valid)
    );

    // The ROM, the zero pages, the calling area.
    assert_eq!(world.peek::<1>(0xffff_ffff), [0xff]);
    assert_eq!(world.peek_u64(ROM), 0);
    assert_eq!(world.peek::<16>(0x80_f000), [0; 16]);
    assert_eq!(world.peek::<16>(0x81_0000), [0; 16]);
}

#[test]
fn threat_53_the_guest_s_secrets_page_has_the_keys_of_its_level_and_below_only() {
    let mut launch = Launch::new();
    launch.run().unwrap();
    let world = &mut launch.world;
    let page: [u8; 4096] = world.peek(0x80_d000);
    let key = |level: usize| &page[0x20 + 0x20 * level..0x40 + 0x20 * level];
    assert_eq!(key(0), [0; 32]);
    assert_eq!(key(1), [0; 32]);
    assert_eq!(key(2), [0xa2; 32]);
    assert_eq!(key(3), [0xa3; 32]);
    let word = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().unwrap());
    assert_eq!(word(0x140), World::FIRMWARE);
    assert_eq!(word(0x148), World::FIRMWARE_SIZE);
    assert_eq!(word(0x150), 0x80_f000);
    assert_eq!(page[0x158..0x15d], [1, 0, 0, 0, 2]);
    let cpuid: [u8; 4096] = world.peek(0x80_e000);
    assert_eq!(cpuid, cpuid_page().as_bytes());
}

#[test]
fn the_memory_map_leaves_the_firmware_out() {
    let mut launch = Launch::new();
    launch.vp_count = 3;
    launch.run().unwrap();
    let entry = |start: u64, end: u64| {
        MemoryMapEntry::new(
            start / PAGE_4K,
            (end - start) / PAGE_4K,
            MemoryMapType::MEMORY,
        )
    };
    let end = World::FIRMWARE + World::FIRMWARE_SIZE;
    let mut expected = vec![entry(0, World::FIRMWARE), entry(end, World::RAM)];
    expected.resize(8, MemoryMapEntry::default());
    let area: [u8; 0xc4] = launch.world.peek(0x81_2000);
    assert_eq!(area[..0xc0], *expected.as_bytes());
    assert_eq!(area[0xc0..], [3, 0, 0, 0]);
}

#[test]
fn the_vcpu_starts_at_the_reset_vector_and_its_first_call_is_served() {
    let mut launch = Launch::new();
    launch.world.machine.host.on_page({
        let mut honest = crate::testing::honest_page();
        move |system, ghcb| {
            if ghcb.exit_code() == Some(ExitCode::AP_CREATION) {
                assert_eq!(ghcb.sw_exit_info1, 5 << 32 | 2 << 16 | 1);
                assert_eq!(ghcb.sw_exit_info2, VMSA);
            }
            honest(system, ghcb);
        }
    });
    let vcpu = launch.run().unwrap();
    let world = &mut launch.world;
    let spa = world.machine.system.translate(vcpu.vmsa).unwrap();
    world.machine.system.enter_vmsa(spa).unwrap();
    world.machine.system.leave_vmsa(spa);
    assert_eq!(world.field(5, offset_of!(Vmsa, rip)), 0xfff0);
    assert_eq!(world.peek(VMSA + 0xca), [2]);
    assert_eq!(
        world.field(5, offset_of!(Vmsa, sev_features)),
        World::FEATURES
    );
    assert_ne!(world.field(5, offset_of!(Vmsa, efer)) & EFER_SVME, 0);
    world.ask(
        5,
        6,
        crate::svsm::request::Arguments {
            rcx: 1,
            ..Default::default()
        },
    );
    world.seat(vcpu);
    assert_eq!(world.serve(5), Ok(Next::Enter));
    assert_eq!(world.field(5, offset_of!(Vmsa, rax)), 0);
}

#[test]
fn the_launch_is_cheap() {
    let mut launch = Launch::new();
    launch.run().unwrap();
    let events = launch.world.machine.take_events();
    let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
    // The ROM and the sections go private in one exit each; then AP creation.
    assert_eq!(count(|event| matches!(event, Event::PageRequest(_))), 3);
    assert_eq!(count(|event| matches!(event, Event::Msr(_))), 0);
    assert_eq!(count(|event| matches!(event, Event::Pvalidate(..))), 2 + 47);
}

#[test]
fn nothing_is_granted_before_it_is_filled() {
    let mut launch = Launch::new();
    launch.run().unwrap();
    let events = launch.world.machine.take_events();
    let grant =
        |event: &Event| matches!(event, Event::Rmpadjust(_, _, rights, _) if !rights.is_empty());
    let first = events.iter().position(grant).unwrap();
    let write = |event: &Event| matches!(event, Event::Write(gpa, _) if gpa.get() != VMSA);
    let last = events.iter().rposition(write).unwrap();
    assert!(last < first);
}

#[test]
fn threat_05_sections_on_the_firmware_or_the_rom_are_refused() {
    let malformed = Fatal::new(RampartReason::FirmwareMetadataMalformed);
    let cases = [
        ((World::FIRMWARE as u32, 0x1000, 1), malformed),
        (((World::FIRMWARE - 0x1000) as u32, 0x2000, 1), malformed),
        ((World::RAM as u32, 0x1000, 1), malformed),
        (
            (0xffff_f000, 0x1000, 1),
            Fatal::already_validated(Gpa::new(0xffff_f000)),
        ),
    ];
    for (section, expected) in cases {
        let mut launch = Launch::new();
        launch.firmware.sev.as_mut().unwrap().push(section);
        assert_eq!(launch.run(), Err(expected));
        assert!(!launch.world.readable(Vmpl::VMPL2, World::FIRMWARE));
    }
}

#[test]
fn an_image_without_metadata_ends_the_machine() {
    let mut launch = Launch::new();
    launch.firmware.sev = None;
    assert_eq!(
        launch.run(),
        Err(Fatal::new(RampartReason::FirmwareMetadataMissing))
    );
}

#[test]
fn a_window_too_small_for_tables_ends_the_machine() {
    let mut launch = Launch::new();
    launch.rom = range(0xffff_f000, 0x1000);
    launch.firmware.size = 0x1000;
    assert!(launch.run().is_ok());
    let mut launch = Launch::new();
    launch.rom = range(0x1_0000_0000, 0);
    assert_eq!(
        launch.run(),
        Err(Fatal::new(RampartReason::FirmwareMetadataMalformed))
    );
}

#[test]
fn threat_41_the_vmsa_is_a_small_page_of_the_firmware_s_own() {
    for wrong in [
        page_2m(VMSA & !0x1f_ffff),
        page(VMSA & !0x1f_ffff),
        page(0x80_1000),
    ] {
        let mut launch = Launch::new();
        launch.vmsa = wrong;
        assert_eq!(launch.run(), Err(Fatal::INTERNAL));
    }
}

#[test]
fn a_refused_ap_creation_has_its_reason() {
    let mut launch = Launch::new();
    let mut honest = crate::testing::honest_page();
    launch.world.machine.host.on_page(move |system, ghcb| {
        if ghcb.exit_code() == Some(ExitCode::AP_CREATION) {
            ghcb.clear_valid();
            ghcb.respond(Response::MALFORMED_INPUT, 5);
        } else {
            honest(system, ghcb);
        }
    });
    let end = Fatal::with_detail(RampartReason::ApCreationFailed, 5);
    assert_eq!(launch.run(), Err(end));
}

proptest! {
    #![proptest_config(crate::testing::cases(24))]
    #[test]
    fn any_section_leads_to_a_launch_or_a_reason_and_never_to_the_firmware(
        base in prop_oneof![0u32..0x5000, any::<u32>()],
        pages in prop_oneof![1u32..0x20, any::<u32>()],
        kind in prop_oneof![Just(1u32), 0u32..0x12],
    ) {
        let mut launch = Launch::new();
        let section = (base.wrapping_mul(0x1000), pages.wrapping_mul(0x1000), kind);
        launch.firmware.sev.as_mut().unwrap().push(section);
        let _ = launch.run();
        let world = &mut launch.world;
        for page in range(World::FIRMWARE, World::FIRMWARE_SIZE).pages(PageSize::Size2M) {
            for level in [Vmpl::VMPL1, Vmpl::VMPL2, Vmpl::VMPL3] {
                prop_assert!(!world.readable(level, page.gpa().get()));
            }
        }
    }
}
