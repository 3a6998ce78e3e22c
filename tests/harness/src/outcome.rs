//! How a launch ended: the exit statuses of `scripts/launch`.

/// How a launch ended. The numbers are those of `scripts/launcher/outcome.py`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest powered off.
    PoweredOff,
    /// Nothing was started: something is missing.
    NotStarted,
    /// The options were wrong.
    Usage,
    /// The guest asked for a reset.
    Reset,
    /// QEMU ended in some other way.
    QemuEnded,
    /// The guest asked to be terminated.
    Terminated,
    /// The guest could not go on.
    Stuck,
    /// The emulated machine refused the image.
    ImageRefused,
    /// The emulated machine found an error of its own.
    MachineError,
    /// The scenario's point was never reached.
    ScenarioUnused,
    /// The guest's memory came into a state that must never be.
    InvariantViolated,
    /// The scenario cannot be read, or asks for what cannot be done.
    ScenarioRefused,
    /// The guest was still running when the time was up.
    TimedOut,
    /// Any other status; none for a launcher that a signal ended.
    Other(Option<i32>),
}

impl From<Option<i32>> for Outcome {
    fn from(status: Option<i32>) -> Self {
        match status {
            Some(0) => Self::PoweredOff,
            Some(1) => Self::NotStarted,
            Some(2) => Self::Usage,
            Some(3) => Self::Reset,
            Some(4) => Self::QemuEnded,
            Some(33) => Self::Terminated,
            Some(35) => Self::Stuck,
            Some(37) => Self::ImageRefused,
            Some(39) => Self::MachineError,
            Some(41) => Self::ScenarioUnused,
            Some(45) => Self::InvariantViolated,
            Some(47) => Self::ScenarioRefused,
            Some(124) => Self::TimedOut,
            other => Self::Other(other),
        }
    }
}
