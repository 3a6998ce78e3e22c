use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::ToString;

use protocols::ghcb::{GhcbField, MsrValue};

use super::*;
use crate::testing::{Event, Machine};

#[test]
fn a_reason_of_ours_goes_by_the_msr() {
    let mut machine = Machine::new();
    let fatal = Fatal::with_detail(RampartReason::NoMultiVmpl, 3);
    request_end(&mut machine, Some(&mut Ghcb::zeroed()), fatal);
    assert_eq!(
        machine.take_events(),
        [Event::Msr(0x100 | 8 << 12 | 0x27 << 16)]
    );
    assert_eq!(fatal.detail(), 3);
    assert!(fatal.to_string().contains("several VMPLs"));
}

#[test]
fn unsupported_features_go_with_their_mask() {
    let mut machine = Machine::new();
    machine.host.on_page(|_, ghcb| {
        assert_eq!(ghcb.get(GhcbField::EXIT_INFO1), Some(0x20));
        assert_eq!(ghcb.get(GhcbField::EXIT_INFO2), Some(1 << 40));
    });
    let fatal = Fatal::UnsupportedFeatures(1 << 40);
    request_end(&mut machine, Some(&mut Ghcb::zeroed()), fatal);
    let by_msr = Event::Msr(0x100 | 2 << 16);
    assert_eq!(
        machine.take_events(),
        [Event::PageRequest(ExitCode::TERMINATE), by_msr]
    );
    request_end(&mut machine, None, fatal);
    assert_eq!(machine.take_events(), [by_msr]);
}

#[test]
fn threat_25_a_host_that_goes_on_is_asked_again() {
    let mut machine = Machine::new();
    let mut asked = 0;
    machine.host.on_msr(move |_| {
        asked += 1;
        assert!(asked < 1000, "asked a thousand times");
        MsrValue(0)
    });
    // The loop has no end; the host of this test has.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        end(&mut machine, None, Fatal::INTERNAL)
    }));
    assert!(ended.is_err());
    assert_eq!(machine.take_events().len(), 1000);
}

#[test]
fn every_fault_of_a_memory_map_has_a_reason() {
    for (error, reason) in [
        (MapError::OutOfBounds, RampartReason::MemoryMapMalformed),
        (MapError::NoMemory, RampartReason::MemoryMapMalformed),
        (MapError::Overlap, RampartReason::MemoryMapOverlap),
        (MapError::CoversImage, RampartReason::MemoryMapOverlap),
        (MapError::FirmwareOutside, RampartReason::MemoryMapUncovered),
        (
            MapError::TooManyEntries,
            RampartReason::MemoryMapTooFragmented,
        ),
        (
            MapError::TooFragmented,
            RampartReason::MemoryMapTooFragmented,
        ),
    ] {
        assert_eq!(Fatal::from(error), Fatal::new(reason));
    }
}
