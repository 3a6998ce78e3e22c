//! When a lie is told: events of the machine, and the points that name them.

/// What a VMGEXIT asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A request of the GHCB MSR protocol, by its number (bits 11:0).
    Msr(u16),
    /// An event of the GHCB page protocol, by its exit code.
    Nae(u64),
    /// A GHCB page without a valid exit code.
    None,
}

/// Something that happens in the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The launch is over and the guest's first instruction comes.
    Launched,
    /// A level leaves by VMGEXIT; the host has not looked at it yet.
    Exit {
        /// The level that leaves.
        vmpl: u8,
        /// What it asks for.
        request: Request,
    },
    /// A level asks to be terminated; the host has not obeyed yet.
    Terminate {
        /// The level that asks.
        vmpl: u8,
    },
    /// A level is entered from its VMSA.
    Enter {
        /// The level.
        vmpl: u8,
    },
    /// A level is about to execute PVALIDATE.
    Pvalidate {
        /// The level.
        vmpl: u8,
        /// GPA of the page, without the C-bit.
        gpa: u64,
    },
    /// A level is about to execute RMPADJUST.
    Rmpadjust {
        /// The level.
        vmpl: u8,
        /// GPA of the page, without the C-bit.
        gpa: u64,
    },
}

impl Event {
    /// The level that it happens to.
    pub const fn vmpl(self) -> u8 {
        match self {
            Event::Launched => 0,
            Event::Exit { vmpl, .. }
            | Event::Terminate { vmpl }
            | Event::Enter { vmpl }
            | Event::Pvalidate { vmpl, .. }
            | Event::Rmpadjust { vmpl, .. } => vmpl,
        }
    }
}

/// A kind of event, as a scenario names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// `vmgexit`: any VMGEXIT.
    Vmgexit,
    /// `msr CODE`: a request of the GHCB MSR protocol.
    Msr(u16),
    /// `nae CODE`: an event of the GHCB page protocol.
    Nae(u64),
    /// `terminate`: a request to be terminated, by either protocol.
    Terminate,
    /// `enter`: the entry of a level.
    Enter,
    /// `pvalidate [GPA]`: before PVALIDATE, of this page or of any.
    Pvalidate(Option<u64>),
    /// `rmpadjust [GPA]`: before RMPADJUST, of this page or of any.
    Rmpadjust(Option<u64>),
}

/// Which of the events that fit count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// All of them.
    Every,
    /// `#N`: the Nth alone, from 1.
    Only(u32),
    /// `#N+`: the Nth and all after it.
    From(u32),
    /// `#N-M`: the Nth to the Mth.
    Between(u32, u32),
}

/// A point: which events, at which level, how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The kind of event.
    pub moment: Moment,
    /// The level, or any.
    pub vmpl: Option<u8>,
    /// Which of them.
    pub times: Times,
}

impl Point {
    /// Whether the event is one that this point counts.
    pub fn fits(self, event: Event) -> bool {
        let level = self.vmpl.is_none_or(|vmpl| vmpl == event.vmpl());
        let moment = match (self.moment, event) {
            (Moment::Vmgexit, Event::Exit { .. })
            | (Moment::Terminate, Event::Terminate { .. })
            | (Moment::Enter, Event::Enter { .. }) => true,
            (Moment::Msr(code), Event::Exit { request, .. }) => request == Request::Msr(code),
            (Moment::Nae(code), Event::Exit { request, .. }) => request == Request::Nae(code),
            (Moment::Pvalidate(page), Event::Pvalidate { gpa, .. })
            | (Moment::Rmpadjust(page), Event::Rmpadjust { gpa, .. }) => {
                page.is_none_or(|page| page == gpa)
            }
            _ => false,
        };
        level && moment
    }

    /// Whether it names VMGEXITs, whose answers can be lies.
    pub const fn is_exit(self) -> bool {
        matches!(
            self.moment,
            Moment::Vmgexit | Moment::Msr(_) | Moment::Nae(_)
        )
    }
}

impl Times {
    /// Whether the event with this number, from 1, counts.
    pub const fn contains(self, number: u32) -> bool {
        match self {
            Times::Every => true,
            Times::Only(only) => number == only,
            Times::From(first) => number >= first,
            Times::Between(first, last) => number >= first && number <= last,
        }
    }
}
