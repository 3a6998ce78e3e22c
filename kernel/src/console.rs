//! The boot log: COM1, one line an exit.
//!
//! The port is used as the host left it; the lines are few and short, so nothing waits for its
//! FIFO. No secret is ever formatted into a line (threat 62): the types that hold one have no
//! `Debug` that shows it.

use core::fmt;

use monitor::ghcb_client::write_port;
use protocols::ghcb::Ghcb;

use crate::ghcb::Transport;
use crate::line::Line;

/// Data register of the first serial port.
const COM1: u16 = 0x3F8;

/// Prints a line of the log.
macro_rules! log {
    ($($text:tt)*) => { $crate::console::print(format_args!($($text)*)) };
}
pub(crate) use log;

/// Prints `rampart: ` and the text.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let line = Line::new(text);
    // A host that takes no log is no reason to end; it only blinds itself.
    let _ = write_port(&mut Transport, &mut Ghcb::zeroed(), COM1, line.as_bytes());
}
