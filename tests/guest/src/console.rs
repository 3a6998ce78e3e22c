//! The serial port, a line an exit.

use core::fmt::{self, Write};

use crate::host;

/// Most bytes of a line, its end included; what is longer is cut.
const CAPACITY: usize = 256;
const PREFIX: &str = "test-guest: ";
const END: &[u8; 2] = b"\r\n";

/// Prints a line that starts with `test-guest: `.
macro_rules! println {
    ($($text:tt)*) => { $crate::console::print(format_args!($($text)*)) };
}
pub(crate) use println;

struct Line {
    bytes: [u8; CAPACITY],
    used: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self
            .bytes
            .get_mut(self.used..CAPACITY - END.len())
            .unwrap_or_default();
        let len = place.len().min(text.len());
        place[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.used += len;
        Ok(())
    }
}

/// Prints a line.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let mut line = Line {
        bytes: [0; CAPACITY],
        used: 0,
    };
    // `write_str` cuts and never fails.
    let _ = line.write_str(PREFIX);
    let _ = line.write_fmt(text);
    line.bytes[line.used..line.used + END.len()].copy_from_slice(END);
    host::write_serial(&line.bytes[..line.used + END.len()]);
}
