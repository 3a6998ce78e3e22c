//! Short messages to COM1, a line an exit. Only once a GHCB page is in use.

use core::fmt;

use monitor::ghcb_client::write_port;
use protocols::ghcb::Ghcb;

use crate::host::Machine;
use crate::line::Line;

/// Data register of the first serial port.
const COM1: u16 = 0x3F8;

/// Prints `rampart: ` and the text.
pub(crate) fn line(machine: &mut Machine, ghcb: &mut Ghcb, text: fmt::Arguments<'_>) {
    // A host that takes no log is no reason to end; it only blinds itself.
    let _ = write_port(machine, ghcb, COM1, Line::new(text).as_bytes());
}

/// Prints a last line before the end, if there is a way to.
pub(crate) fn say(text: fmt::Arguments<'_>) {
    if let Some(mut machine) = Machine::for_last_words() {
        line(&mut machine, &mut Ghcb::zeroed(), text);
    }
}
