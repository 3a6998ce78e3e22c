//! The text of a scenario. Strict: what is not understood is refused, with its
//! line, because a scenario that does less than it says makes a test pass.

mod message;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::lie::{ApCreationLie, Class, GhcbLie, Lie, MAX_APIC_IDS, PscLie, RunVmplLie, SharedLie};
use crate::point::{Moment, Point, Times};
use crate::words::{Words, parse_number};

/// Most lines with lies in one scenario.
pub const MAX_LINES: usize = 64;

/// One line of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: u32,
    /// The line as it was written, without space around it.
    pub text: String,
    /// When the lie is told: once each of the points has come, in this order, it
    /// is told at the last. None: from launch on.
    pub points: Vec<Point>,
    /// The lie.
    pub lie: Lie,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The line ends where this should come.
    Missing(&'static str),
    /// A word that means nothing here.
    Unexpected(String),
    /// This should be a number.
    NotANumber(&'static str, String),
    /// The number does not fit.
    TooLarge(&'static str),
    /// A page address is not a multiple of 4096.
    NotAPage(&'static str),
    /// A field's offset is not a multiple of 8.
    NotAField,
    /// The lie is part of the launch and has no point.
    LaunchHasNoPoint,
    /// The lie is an answer, and nothing asks at this point.
    NotAnExit,
    /// `when` is missing in front of a point.
    NoWhen,
    /// There are more lines than [`MAX_LINES`].
    TooManyLines,
}

impl Wrong {
    pub(crate) fn unexpected(word: &str) -> Self {
        Wrong::Unexpected(word.into())
    }

    pub(crate) fn not_a_number(what: &'static str, word: &str) -> Self {
        Wrong::NotANumber(what, word.into())
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Missing(what) => write!(f, "the line ends where {what} should come"),
            Wrong::Unexpected(word) => write!(f, "{word:?} means nothing here"),
            Wrong::NotANumber(what, word) => {
                write!(f, "{word:?} is not a number, but {what} should be")
            }
            Wrong::TooLarge(what) => write!(f, "{what} is too large"),
            Wrong::NotAPage(what) => write!(f, "{what} is not a multiple of 4096"),
            Wrong::NotAField => write!(f, "a field's offset is a multiple of 8"),
            Wrong::LaunchHasNoPoint => write!(f, "a lie of the launch has no \"when\""),
            Wrong::NotAnExit => write!(
                f,
                "a wrong answer needs a point at which something is asked: vmgexit, msr or nae"
            ),
            Wrong::NoWhen => write!(f, "a point comes behind the word \"when\""),
            Wrong::TooManyLines => write!(f, "more than {MAX_LINES} lies"),
        }
    }
}

/// A scenario that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub wrong: Wrong,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.wrong)
    }
}

impl core::error::Error for ParseError {}

/// Reads a scenario. Empty lines and lines that begin with `#` count for nothing.
///
/// # Errors
/// The first line that is not understood.
pub fn parse(text: &str) -> Result<Vec<Line>, ParseError> {
    let mut lines = Vec::new();
    for (number, raw) in (1u32..).zip(text.lines()) {
        let trimmed = raw.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let error = |wrong| ParseError {
            line: number,
            wrong,
        };
        if lines.len() == MAX_LINES {
            return Err(error(Wrong::TooManyLines));
        }
        let (points, lie) = line(trimmed).map_err(error)?;
        lines.push(Line {
            number,
            text: trimmed.into(),
            points,
            lie,
        });
    }
    Ok(lines)
}

fn line(text: &str) -> Result<(Vec<Point>, Lie), Wrong> {
    let mut words = Words::new(text);
    let mut points = Vec::new();
    if words.peek() == Some("when") {
        words.next("when")?;
        points.push(point(&mut words)?);
        while words.peek() == Some("then") {
            words.next("then")?;
            points.push(point(&mut words)?);
        }
    }
    let lie = lie(&mut words)?;
    words.end()?;
    match (lie.class(), points.last()) {
        (Class::Launch, Some(_)) => Err(Wrong::LaunchHasNoPoint),
        (Class::Answer, Some(point)) if !point.is_exit() => Err(Wrong::NotAnExit),
        (Class::End, Some(point)) if point.moment != Moment::Terminate => Err(Wrong::NotAnExit),
        _ => Ok((points, lie)),
    }
}

fn point(words: &mut Words<'_>) -> Result<Point, Wrong> {
    let moment = match words.next("a point")? {
        "vmgexit" => Moment::Vmgexit,
        "msr" => Moment::Msr(words.number("a request's number", 0xfff)? as u16),
        "nae" => Moment::Nae(words.number("an exit code", u64::MAX)?),
        "terminate" => Moment::Terminate,
        "enter" => Moment::Enter,
        "pvalidate" => Moment::Pvalidate(optional_page(words)?),
        "rmpadjust" => Moment::Rmpadjust(optional_page(words)?),
        word => return Err(Wrong::unexpected(word)),
    };
    let vmpl = match words.peek().and_then(|word| word.strip_prefix("vmpl")) {
        Some(digit) => {
            words.next("a level")?;
            match digit {
                "0" => Some(0),
                "1" => Some(1),
                "2" => Some(2),
                "3" => Some(3),
                _ => return Err(Wrong::not_a_number("a level", digit)),
            }
        }
        None => None,
    };
    let times = match words.peek().and_then(|word| word.strip_prefix('#')) {
        Some(number) => {
            words.next("a count")?;
            times(number)?
        }
        None => Times::Every,
    };
    Ok(Point {
        moment,
        vmpl,
        times,
    })
}

fn optional_page(words: &mut Words<'_>) -> Result<Option<u64>, Wrong> {
    let is_page = words.peek().is_some_and(|word| {
        word.starts_with(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase())
    });
    if is_page {
        words.page("a page's address").map(Some)
    } else {
        Ok(None)
    }
}

fn times(text: &str) -> Result<Times, Wrong> {
    let count = |number| {
        parse_number(number)
            .and_then(|count| u32::try_from(count).ok())
            .filter(|&count| count != 0)
            .ok_or_else(|| Wrong::not_a_number("a count from 1", text))
    };
    if let Some(first) = text.strip_suffix('+') {
        return count(first).map(Times::From);
    }
    let Some((first, last)) = text.split_once('-') else {
        return count(text).map(Times::Only);
    };
    match (count(first)?, count(last)?) {
        (first, last) if first <= last => Ok(Times::Between(first, last)),
        _ => Err(Wrong::not_a_number("a count from 1", text)),
    }
}

fn lie(words: &mut Words<'_>) -> Result<Lie, Wrong> {
    Ok(match words.next("a lie")? {
        "sev-features" => match words.next("\"set\"")? {
            "set" => Lie::SevFeatures(words.typed("a mask")?),
            word => return Err(Wrong::unexpected(word)),
        },
        "cpuid" => Lie::Cpuid {
            leaf: words.typed("a leaf")?,
            subleaf: words.typed("a subleaf")?,
            register: words.register()?,
            value: words.typed("a value")?,
        },
        "cpuid-count" => Lie::CpuidCount(words.typed("a count")?),
        "memory-map" => memory_map(words)?,
        "vp-count" => Lie::VpCount(words.typed("a count")?),
        "hv-features" => {
            let (set, clear) = bits(words)?;
            Lie::HvFeatures { set, clear }
        }
        "ghcb-versions" => Lie::GhcbVersions {
            min: words.typed("a version")?,
            max: words.typed("a version")?,
        },
        "c-bit" => Lie::CBit(words.typed("a bit's number")?),
        "force-4k" => match words.peek() {
            Some("off") => {
                words.next("off")?;
                Lie::Force4k(false)
            }
            _ => Lie::Force4k(true),
        },
        "remap" => Lie::Remap(words.page("a page's address")?),
        "swap" => Lie::Swap(words.page("a page's address")?),
        "move" => Lie::Move {
            from: words.page("a page's address")?,
            to: words.page("a page's address")?,
        },
        "unassign" => Lie::Unassign(words.page("a page's address")?),
        "smash" => Lie::Smash(words.page("a page's address")?),
        "inject" => Lie::Inject {
            vector: words.typed("a vector")?,
            error: words.optional("an error code")?,
        },
        "forge-vc" => Lie::ForgeVc(words.number("an exit code", u64::from(u32::MAX))?),
        "psc" => Lie::Psc(psc(words)?),
        "msr" => match words.next("\"answer\"")? {
            "answer" => Lie::MsrAnswer(words.typed("a value")?),
            word => return Err(Wrong::unexpected(word)),
        },
        "policy" => {
            let (set, clear) = bits(words)?;
            Lie::Policy { set, clear }
        }
        "message" => message::message(words)?,
        "certificates" => Lie::Certificates(message::certificates(words)?),
        "ghcb" => ghcb(words)?,
        "shared" => shared(words)?,
        "run-vmpl" => Lie::RunVmpl(run_vmpl(words)?),
        "apic-ids" => apic_ids(words)?,
        "ap-creation" => Lie::ApCreation(ap_creation(words)?),
        "resume-after-termination" => Lie::ResumeAfterTermination(words.typed("a count")?),
        "then" | "vmgexit" | "nae" | "terminate" | "enter" | "pvalidate" | "rmpadjust" => {
            return Err(Wrong::NoWhen);
        }
        word => return Err(Wrong::unexpected(word)),
    })
}

fn memory_map(words: &mut Words<'_>) -> Result<Lie, Wrong> {
    match words.next("\"clear\" or \"add\"")? {
        "clear" => Ok(Lie::MemoryMapClear),
        "add" => Ok(Lie::MemoryMapAdd {
            first_page: words.pages("an address")?,
            pages: words.pages("a length")?,
            kind: words.typed("a memory type")?,
        }),
        word => Err(Wrong::unexpected(word)),
    }
}

/// Bits to set, or bits to clear: {set, clear}.
fn bits(words: &mut Words<'_>) -> Result<(u64, u64), Wrong> {
    match words.next("\"set\" or \"clear\"")? {
        "set" => Ok((words.typed("a mask")?, 0)),
        "clear" => Ok((0, words.typed("a mask")?)),
        word => Err(Wrong::unexpected(word)),
    }
}

fn psc(words: &mut Words<'_>) -> Result<PscLie, Wrong> {
    Ok(match words.next("how")? {
        "pretend" => PscLie::Pretend,
        "partial" => PscLie::Partial(words.typed("a number of entries")?),
        "backwards" => PscLie::Backwards,
        "overshoot" => PscLie::Overshoot,
        "error" => PscLie::Error(words.typed("an error code")?),
        "opposite" => PscLie::Opposite,
        word => return Err(Wrong::unexpected(word)),
    })
}

fn ghcb(words: &mut Words<'_>) -> Result<Lie, Wrong> {
    Ok(Lie::Ghcb(match words.next("how")? {
        "silent" => GhcbLie::Silent,
        "invalid" => GhcbLie::Invalid,
        "exception" => GhcbLie::Exception {
            vector: words.typed("a vector")?,
            error: words.optional("an error code")?,
        },
        "set" => GhcbLie::Set {
            offset: words.field()?,
            value: words.typed("a value")?,
        },
        "flip" => GhcbLie::Flip {
            offset: words.field()?,
            value: words.typed("a value")?,
        },
        "watch" => GhcbLie::Watch,
        "poke" => {
            return Ok(Lie::GhcbPoke {
                offset: words.field()?,
                value: words.typed("a value")?,
            });
        }
        word => return Err(Wrong::unexpected(word)),
    }))
}

fn shared(words: &mut Words<'_>) -> Result<Lie, Wrong> {
    let how = words.next("how")?;
    let page = words.page("a page's address")?;
    if how == "watch" {
        return Ok(Lie::Shared(SharedLie::Watch(page)));
    }
    let (offset, value) = (words.field()?, words.typed("a value")?);
    Ok(match how {
        "poke" => Lie::SharedPoke {
            page,
            offset,
            value,
        },
        "set" => Lie::Shared(SharedLie::Set {
            page,
            offset,
            value,
        }),
        "rewrite" => Lie::Shared(SharedLie::Rewrite {
            page,
            offset,
            value,
        }),
        word => return Err(Wrong::unexpected(word)),
    })
}

fn run_vmpl(words: &mut Words<'_>) -> Result<RunVmplLie, Wrong> {
    Ok(match words.next("how")? {
        "spurious" => RunVmplLie::Spurious,
        "refuse" => RunVmplLie::Refuse,
        "level" => RunVmplLie::Level(words.number("a level", 3)? as u8),
        word => return Err(Wrong::unexpected(word)),
    })
}

fn apic_ids(words: &mut Words<'_>) -> Result<Lie, Wrong> {
    let count = words.typed("a count")?;
    let mut ids = [0; MAX_APIC_IDS];
    for id in &mut ids {
        match words.optional("an APIC ID")? {
            Some(named) => *id = named,
            None => break,
        }
    }
    Ok(Lie::ApicIds { count, ids })
}

fn ap_creation(words: &mut Words<'_>) -> Result<ApCreationLie, Wrong> {
    Ok(match words.next("how")? {
        "never" => ApCreationLie::Never,
        "on" => ApCreationLie::On(words.typed("an APIC ID")?),
        "twice" => ApCreationLie::Twice(words.typed("an APIC ID")?),
        "at" => ApCreationLie::At(words.number("a level", 3)? as u8),
        word => return Err(Wrong::unexpected(word)),
    })
}

#[cfg(test)]
mod tests;
