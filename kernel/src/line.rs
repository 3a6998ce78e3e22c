//! A line of the log, made without allocation. stage2 compiles this same file.

use core::fmt::{self, Write};

/// Most bytes of a line, its end included; what is longer is cut.
const CAPACITY: usize = 160;
const END: &[u8; 2] = b"\r\n";

/// `rampart: `, a text, and the end of the line.
pub(crate) struct Line {
    bytes: [u8; CAPACITY],
    used: usize,
}

impl Line {
    /// The line with this text.
    pub(crate) fn new(text: fmt::Arguments<'_>) -> Self {
        let mut line = Self {
            bytes: [0; CAPACITY],
            used: 0,
        };
        // What does not fit is cut: a log line is no reason to fail.
        let _ = write!(line, "rampart: {text}");
        line.push(END, CAPACITY);
        line
    }

    /// The bytes for the serial port.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    /// Appends as much of `bytes` as keeps the line within `limit`.
    fn push(&mut self, bytes: &[u8], limit: usize) -> bool {
        let place = self.bytes.get_mut(self.used..limit).unwrap_or_default();
        let len = place.len().min(bytes.len());
        for (to, from) in place.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.used += len;
        len == bytes.len()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.push(text.as_bytes(), CAPACITY - END.len()) {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_prefix_and_end() {
        assert_eq!(
            Line::new(format_args!("{} + {}", 1, 2)).as_bytes(),
            b"rampart: 1 + 2\r\n"
        );
    }

    #[test]
    fn a_long_line_is_cut_and_still_ends() {
        let line = Line::new(format_args!("{:200}", 'x'));
        assert_eq!(line.as_bytes().len(), CAPACITY);
        assert!(line.as_bytes().ends_with(END));
    }
}
