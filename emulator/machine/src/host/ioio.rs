//! Port I/O for the guest: QEMU's devices behind it, but for what concerns the
//! machine itself.

use protocols::ghcb::{GhcbField, IoioInfo, MalformedReason};

use super::Host;
use super::ghcb::GhcbView;
use super::memory::Memory;
use crate::arch::port;
use crate::mem::phys;
use crate::report::console;

const COM1: u16 = 0x3f8;
/// PM1a control: QEMU's q35 has the ACPI registers at 0x600 once firmware set PMBASE.
pub(crate) const PM1A_CONTROL: u16 = 0x604;
const SLP_EN: u32 = 1 << 13;
const RESET_CONTROL: u16 = 0xcf9;
const RESET_CPU: u32 = 1 << 2;
const KEYBOARD_COMMAND: u16 = 0x64;
const KEYBOARD_RESET: u32 = 0xfe;
const FAST_A20: u16 = 0x92;
/// isa-debug-exit and the statistics port: the machine's.
const HIDDEN: [core::ops::RangeInclusive<u16>; 2] = [0xf4..=0xf7, 0x503..=0x503];
const FW_CFG: core::ops::RangeInclusive<u16> = 0x510..=0x51b;

/// The end that a guest asks for through a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PowerRequest {
    /// A reset.
    Reset,
    /// ACPI sleep or power-off: the value for the PM1a control register, which
    /// was not written yet, because QEMU ends at that write.
    Sleep(u32),
}

/// Serves an IOIO exit. Some: the guest asked for its end.
pub(crate) fn serve(host: &mut Host, memory: &mut Memory, ghcb: &GhcbView) -> Option<PowerRequest> {
    let (Some(info), Some(count)) = (
        ghcb.get(GhcbField::EXIT_INFO1),
        ghcb.get(GhcbField::EXIT_INFO2),
    ) else {
        ghcb.begin_answer();
        ghcb.malformed(MalformedReason::MISSING_INPUT);
        return None;
    };
    let info = IoioInfo(info);
    let Some(size) = info.size() else {
        ghcb.begin_answer();
        ghcb.malformed(MalformedReason::INVALID_INPUT);
        return None;
    };
    let (port, size) = (info.port(), size.bytes() as u8);
    if info.is_string() {
        return serve_string(host, memory, ghcb, info, size, count);
    }
    if info.is_in() {
        let value = read(host, port, size);
        ghcb.begin_answer();
        ghcb.set(GhcbField::RAX, u64::from(value));
        return None;
    }
    let rax = ghcb.get(GhcbField::RAX);
    ghcb.begin_answer();
    let Some(rax) = rax else {
        ghcb.malformed(MalformedReason::MISSING_INPUT);
        return None;
    };
    write(host, memory, port, size, rax as u32 & mask(size))
}

fn serve_string(
    host: &mut Host,
    memory: &mut Memory,
    ghcb: &GhcbView,
    info: IoioInfo,
    size: u8,
    count: u64,
) -> Option<PowerRequest> {
    let scratch = ghcb.get(GhcbField::SCRATCH);
    let buffer = scratch.and_then(|gpa| {
        let bytes = count.checked_mul(u64::from(size))?;
        ghcb.scratch_in_page(gpa, bytes)
            .or_else(|| memory.shared(gpa, bytes))
    });
    ghcb.begin_answer();
    let Some(buffer) = buffer else {
        if count != 0 {
            ghcb.malformed(MalformedReason::INVALID_SCRATCH);
        }
        return None;
    };
    for index in 0..count {
        let at = buffer + index * u64::from(size);
        if info.is_in() {
            let value = read(host, info.port(), size);
            match size {
                1 => phys::write(at, value as u8),
                2 => phys::write(at, value as u16),
                _ => phys::write(at, value),
            }
        } else {
            let value = match size {
                1 => phys::read::<u8>(at).into(),
                2 => phys::read::<u16>(at).into(),
                _ => phys::read::<u32>(at),
            };
            let end = write(host, memory, info.port(), size, value);
            if end.is_some() {
                return end;
            }
        }
    }
    None
}

fn mask(size: u8) -> u32 {
    match size {
        1 => 0xff,
        2 => 0xffff,
        _ => u32::MAX,
    }
}

fn is_hidden(port: u16) -> bool {
    HIDDEN.iter().any(|range| range.contains(&port))
}

fn read(host: &mut Host, port: u16, size: u8) -> u32 {
    if is_hidden(port) {
        return mask(size);
    }
    if FW_CFG.contains(&port) {
        return host.fw_cfg.read(port, size);
    }
    port::read(port, size) & mask(size)
}

fn write(
    host: &mut Host,
    memory: &mut Memory,
    port: u16,
    size: u8,
    value: u32,
) -> Option<PowerRequest> {
    match port {
        COM1 => console::guest_sent(value as u8),
        PM1A_CONTROL if value & SLP_EN != 0 => return Some(PowerRequest::Sleep(value)),
        RESET_CONTROL if value & RESET_CPU != 0 => return Some(PowerRequest::Reset),
        KEYBOARD_COMMAND if value == KEYBOARD_RESET => return Some(PowerRequest::Reset),
        FAST_A20 if value & 1 != 0 => return Some(PowerRequest::Reset),
        _ => {}
    }
    if is_hidden(port) {
        return None;
    }
    if FW_CFG.contains(&port) {
        host.fw_cfg.write(memory, port, size, value);
        return None;
    }
    port::write(port, size, value);
    None
}
