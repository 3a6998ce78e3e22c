//! The machine's counters: the project's figures, none of which depends on time.

use alloc::collections::BTreeMap;
use core::fmt::{self, Write};

use protocols::addr::PageSize;
use protocols::ghcb::ExitCode;

use super::instructions::Instructions;
use crate::arch::port;
use crate::options::Options;

/// QEMU's isa-debugcon device that takes the statistics file.
const STATS_PORT: u16 = 0x503;

/// The parts of a boot. The machine tells them apart by what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The secure processor loads the image.
    Launch,
    /// VMPL0 below the kernel's half of the address space.
    Stage2,
    /// VMPL0 in the upper half, until a lower level first runs.
    Kernel,
    /// The guest's level, until it runs in the upper half.
    GuestFirmware,
    /// The rest.
    Os,
}

impl Phase {
    const fn name(self) -> &'static str {
        match self {
            Phase::Launch => "launch",
            Phase::Stage2 => "stage2",
            Phase::Kernel => "kernel",
            Phase::GuestFirmware => "guest_firmware",
            Phase::Os => "os",
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Counters {
    /// {level, exit code}: exits to the machine, of whatever cause.
    exits: BTreeMap<(u8, u64), u64>,
    /// {level, code}: VMGEXITs by GHCB exit code; the MSR protocol under its request number.
    vmgexits: BTreeMap<(u8, bool, u64), u64>,
    pvalidate: [u64; 2],
    rmpadjust: [u64; 2],
    page_state_entries: [u64; 2],
    implicit_conversions: u64,
}

/// All counters of a run.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    phase: Phase,
    phases: BTreeMap<Phase, Counters>,
    measured_pages: u64,
    unmeasured_pages: u64,
    /// Whether VMPL0 runs a guest's own firmware, with no SVSM below it.
    plain: bool,
    /// Whether a level below VMPL0 has run.
    lower_level_ran: bool,
    /// Where the option asks for it.
    pub(crate) instructions: Option<Instructions>,
}

fn index(size: PageSize) -> usize {
    match size {
        PageSize::Size4K => 0,
        PageSize::Size2M => 1,
    }
}

impl Stats {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            phase: Phase::Launch,
            phases: BTreeMap::new(),
            measured_pages: 0,
            unmeasured_pages: 0,
            plain: false,
            lower_level_ran: false,
            instructions: Instructions::new(&options.count_instructions),
        }
    }

    fn now(&mut self) -> &mut Counters {
        self.phases.entry(self.phase).or_default()
    }

    /// A launch page, measured by its contents or not.
    pub(crate) fn launch_page(&mut self, measured: bool) {
        if measured {
            self.measured_pages += 1;
        } else {
            self.unmeasured_pages += 1;
        }
    }

    /// {measured, unmeasured} launch pages.
    pub(crate) fn launch_pages(&self) -> (u64, u64) {
        (self.measured_pages, self.unmeasured_pages)
    }

    /// The image is a guest's firmware alone: VMPL0 is the guest's level.
    pub(crate) fn set_plain(&mut self) {
        self.plain = true;
    }

    /// An exit of a level at an instruction pointer.
    pub(crate) fn exit(&mut self, level: u8, rip: u64, code: u64) {
        let upper_half = rip >> 63 != 0;
        self.lower_level_ran |= level != 0;
        let reached = match (level, upper_half) {
            (0, _) if self.lower_level_ran => self.phase,
            (0, false) if !self.plain => Phase::Stage2,
            (0, true) if !self.plain => Phase::Kernel,
            (_, false) => Phase::GuestFirmware,
            (_, true) => Phase::Os,
        };
        self.phase = self.phase.max(reached);
        *self.now().exits.entry((level, code)).or_default() += 1;
    }

    /// A VMGEXIT with a GHCB page (`msr` false) or by the MSR protocol.
    pub(crate) fn vmgexit(&mut self, level: u8, msr: bool, code: u64) {
        *self.now().vmgexits.entry((level, msr, code)).or_default() += 1;
    }

    pub(crate) fn pvalidate(&mut self, _level: u8, size: PageSize) {
        self.now().pvalidate[index(size)] += 1;
    }

    pub(crate) fn rmpadjust(&mut self, _level: u8, size: PageSize) {
        self.now().rmpadjust[index(size)] += 1;
    }

    pub(crate) fn page_state_entry(&mut self, size: PageSize) {
        self.now().page_state_entries[index(size)] += 1;
    }

    /// The host changed a page because an access asked for the other state.
    pub(crate) fn implicit_conversion(&mut self) {
        self.now().implicit_conversions += 1;
    }

    /// Writes everything as JSON to the statistics port.
    pub(crate) fn write(&self) {
        // The port cannot fail; where no device listens the bytes go nowhere.
        let _ = self.write_json(&mut StatsPort);
    }

    fn write_json(&self, out: &mut impl Write) -> fmt::Result {
        writeln!(out, "{{\"emulated\": true,")?;
        writeln!(
            out,
            " \"launch_pages\": {{\"measured\": {}, \"unmeasured\": {}}},",
            self.measured_pages, self.unmeasured_pages
        )?;
        write!(out, " \"phases\": {{")?;
        for (position, (phase, counters)) in self.phases.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(out, "{comma}\n  \"{}\": ", phase.name())?;
            counters.write_json(out)?;
        }
        write!(out, "\n }}")?;
        if let Some(instructions) = &self.instructions {
            write!(out, ",\n \"svsm_calls\": ")?;
            instructions.write_json(out)?;
        }
        writeln!(out, "\n}}")
    }
}

impl Counters {
    fn write_json(&self, out: &mut impl Write) -> fmt::Result {
        let total: u64 = self.vmgexits.values().sum();
        writeln!(out, "{{\"vmgexits\": {total},")?;
        write!(out, "   \"vmgexits_by_reason\": {{")?;
        for (position, ((level, msr, code), count)) in self.vmgexits.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            if *msr {
                write!(out, "{comma}\"vmpl{level} msr {code:#05x}\": {count}")?;
            } else {
                write!(out, "{comma}\"vmpl{level} {}\": {count}", Reason(*code))?;
            }
        }
        write!(out, "}},\n   \"exits_by_reason\": {{")?;
        for (position, ((level, code), count)) in self.exits.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(out, "{comma}\"vmpl{level} {}\": {count}", Reason(*code))?;
        }
        writeln!(out, "}},")?;
        for (name, [small, large]) in [
            ("pvalidate", self.pvalidate),
            ("rmpadjust", self.rmpadjust),
            ("page_state_entries", self.page_state_entries),
        ] {
            writeln!(out, "   \"{name}\": {{\"4k\": {small}, \"2m\": {large}}},")?;
        }
        write!(
            out,
            "   \"implicit_conversions\": {}}}",
            self.implicit_conversions
        )
    }
}

/// Exceptions by vector, as the manuals call them.
const EXCEPTIONS: [&str; 32] = [
    "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9", "#TS", "#NP", "#SS", "#GP",
    "#PF", "15", "#MF", "#AC", "#MC", "#XF", "20", "#CP", "22", "23", "24", "25", "26", "27",
    "#HV", "#VC", "#SX", "31",
];

/// An exit code in words where it has some: the GHCB's events, and what only this machine
/// intercepts. The instructions of SNP that QEMU does not know are "exception #UD".
pub(crate) struct Reason(pub(crate) u64);

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0 & 0xf;
        match (ExitCode(self.0).name(), self.0) {
            (Some(name), _) => formatter.write_str(name),
            (None, 0x00..=0x0f) => write!(formatter, "CR{number} read"),
            (None, 0x10..=0x1f) => write!(formatter, "CR{number} write"),
            (None, 0x20..=0x2f) => write!(formatter, "DR{number} read"),
            (None, 0x30..=0x3f) => write!(formatter, "DR{number} write"),
            (None, 0x40..=0x5f) => {
                let vector = (self.0 & 0x1f) as usize;
                write!(formatter, "exception {}", EXCEPTIONS[vector])
            }
            (None, code) => write!(formatter, "{code:#x}"),
        }
    }
}

struct StatsPort;

impl Write for StatsPort {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes()
            .for_each(|byte| port::write_u8(STATS_PORT, byte));
        Ok(())
    }
}
