//! The machine's own lines on COM1, which it shares with its guest.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::arch::port;

const COM1: u16 = 0x3f8;
const LINE_STATUS: u16 = COM1 + 5;
const TRANSMIT_EMPTY: u32 = 0x20;

/// Whether the guest's last character left the cursor inside a line.
static MID_LINE: AtomicBool = AtomicBool::new(false);

/// Notes what the guest sends, so that the machine's lines start at a line's start.
pub(crate) fn guest_sent(byte: u8) {
    MID_LINE.store(byte != b'\n', Ordering::Relaxed);
}

struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // Bounded: a serial port that never gets ready must not stop the machine.
            for _ in 0..100_000 {
                if port::read(LINE_STATUS, 1) & TRANSMIT_EMPTY != 0 {
                    break;
                }
            }
            port::write_u8(COM1, byte);
        }
        Ok(())
    }
}

/// Prints one line with the machine's prefix. Use `println!`.
pub(crate) fn print_line(arguments: fmt::Arguments<'_>) {
    if MID_LINE.swap(false, Ordering::Relaxed) {
        let _ = Serial.write_str("\r\n");
    }
    // Writing to the port cannot fail.
    let _ = Serial.write_str("snp-machine: ");
    let _ = Serial.write_fmt(arguments);
    let _ = Serial.write_str("\r\n");
}

macro_rules! println {
    ($($arguments:tt)*) => { $crate::report::console::print_line(format_args!($($arguments)*)) };
}
pub(crate) use println;
