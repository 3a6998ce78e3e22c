//! A scenario while the machine runs: counts events, tells which lies are due, and
//! remembers which were told.

use alloc::vec::Vec;

use crate::lie::{Class, Lie};
use crate::parse::Line;
use crate::point::Event;

/// A lie that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its place in the scenario, for [`Script::told`].
    pub index: usize,
    /// The lie.
    pub lie: Lie,
}

#[derive(Clone, Debug)]
struct Entry {
    line: Line,
    /// How many of its points, but for the last, have come.
    passed: usize,
    /// Events that the point after those has counted.
    seen: u32,
    /// Whether it was ever told.
    told: bool,
}

impl Entry {
    fn is_due(&mut self, event: Event) -> bool {
        let Some(&point) = self.line.points.get(self.passed) else {
            return matches!(
                (self.line.lie.class(), event),
                (Class::Deed, Event::Launched)
                    | (Class::Answer, Event::Exit { .. })
                    | (Class::End, Event::Terminate { .. })
            );
        };
        if !point.fits(event) {
            return false;
        }
        self.seen = self.seen.saturating_add(1);
        let due = point.times.contains(self.seen);
        let is_last = self.passed + 1 == self.line.points.len();
        if due && !is_last {
            self.passed += 1;
            self.seen = 0;
        }
        due && is_last
    }
}

/// A scenario with its counters.
#[derive(Clone, Debug, Default)]
pub struct Script {
    entries: Vec<Entry>,
}

impl Script {
    /// A scenario that has not begun.
    pub fn new(lines: Vec<Line>) -> Self {
        let entry = |line| Entry {
            line,
            passed: 0,
            seen: 0,
            told: false,
        };
        Self {
            entries: lines.into_iter().map(entry).collect(),
        }
    }

    /// Whether there is no lie at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The lies of the launch.
    pub fn at_launch(&self) -> impl Iterator<Item = Due> + '_ {
        self.entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.line.lie.class() == Class::Launch)
            .map(|(index, entry)| Due {
                index,
                lie: entry.line.lie,
            })
    }

    /// Counts an event, and gives the lies that are due at it, in the scenario's
    /// order. All are counted before the first is given.
    pub fn due(&mut self, event: Event) -> impl Iterator<Item = Due> + use<> {
        let due: Vec<Due> = self
            .entries
            .iter_mut()
            .enumerate()
            .filter_map(|(index, entry)| {
                entry.is_due(event).then_some(Due {
                    index,
                    lie: entry.line.lie,
                })
            })
            .collect();
        due.into_iter()
    }

    /// Notes that a lie was told. The line, if this was the first time.
    pub fn told(&mut self, index: usize) -> Option<&Line> {
        let entry = self.entries.get_mut(index)?;
        let first = !core::mem::replace(&mut entry.told, true);
        first.then_some(&entry.line)
    }

    /// The lies that were never told, and how often the point came that each
    /// waits for.
    pub fn untold(&self) -> impl Iterator<Item = (&Line, u32)> {
        self.entries
            .iter()
            .filter(|entry| !entry.told)
            .map(|entry| (&entry.line, entry.seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lie::PscLie;
    use crate::parse::parse;
    use crate::point::Request;

    const PSC: u64 = 0x8000_0010;

    fn script(text: &str) -> Script {
        Script::new(parse(text).unwrap())
    }

    fn exit(vmpl: u8, request: Request) -> Event {
        Event::Exit { vmpl, request }
    }

    fn lies(script: &mut Script, event: Event) -> Vec<Lie> {
        script.due(event).map(|due| due.lie).collect()
    }

    #[test]
    fn a_point_counts_only_what_fits_it() {
        let mut s = script("when nae 0x80000010 vmpl0 #2 psc pretend");
        let psc = exit(0, Request::Nae(PSC));
        assert!(lies(&mut s, psc).is_empty());
        for other in [
            exit(2, Request::Nae(PSC)),
            exit(0, Request::Nae(0x7b)),
            exit(0, Request::Msr(0x14)),
            exit(0, Request::None),
            Event::Enter { vmpl: 0 },
        ] {
            assert!(lies(&mut s, other).is_empty(), "{other:?}");
        }
        assert_eq!(lies(&mut s, psc), [Lie::Psc(PscLie::Pretend)]);
        assert!(lies(&mut s, psc).is_empty());
    }

    #[test]
    fn counts_are_every_one_or_from() {
        let event = Event::Enter { vmpl: 2 };
        for (text, expected) in [
            ("when enter force-4k", [true, true, true]),
            ("when enter #2 force-4k", [false, true, false]),
            ("when enter #2+ force-4k", [false, true, true]),
        ] {
            let mut s = script(text);
            for (number, expected) in expected.into_iter().enumerate() {
                assert_eq!(
                    lies(&mut s, event).len(),
                    usize::from(expected),
                    "{text} at {number}"
                );
            }
        }
    }

    #[test]
    fn without_a_point_a_lie_holds_from_launch_on() {
        let mut s = script("force-4k\npsc pretend\nresume-after-termination 1\nvp-count 3");
        assert_eq!(
            s.at_launch().map(|due| due.lie).collect::<Vec<_>>(),
            [Lie::VpCount(3)]
        );
        assert_eq!(lies(&mut s, Event::Launched), [Lie::Force4k(true)]);
        for _ in 0..2 {
            assert_eq!(
                lies(&mut s, exit(0, Request::Msr(2))),
                [Lie::Psc(PscLie::Pretend)]
            );
        }
        assert_eq!(
            lies(&mut s, Event::Terminate { vmpl: 0 }),
            [Lie::ResumeAfterTermination(1)]
        );
    }

    #[test]
    fn a_point_counts_from_the_one_before() {
        let mut s = script("when pvalidate then enter vmpl2 #2 remap 0");
        let pvalidate = Event::Pvalidate { vmpl: 0, gpa: 0 };
        let enter = Event::Enter { vmpl: 2 };
        for early in [enter, enter, enter, pvalidate, pvalidate, enter] {
            assert!(lies(&mut s, early).is_empty());
        }
        assert_eq!(lies(&mut s, enter), [Lie::Remap(0)]);
        assert!(lies(&mut s, enter).is_empty());
    }

    #[test]
    fn pages_are_told_apart() {
        let mut s = script("when pvalidate 0x2400000 remap 0x2400000\nwhen rmpadjust force-4k");
        let pvalidate = |gpa| Event::Pvalidate { vmpl: 0, gpa };
        assert!(lies(&mut s, pvalidate(0x240_1000)).is_empty());
        assert_eq!(lies(&mut s, pvalidate(0x240_0000)).len(), 1);
        let rmpadjust = Event::Rmpadjust { vmpl: 2, gpa: 0 };
        assert_eq!(lies(&mut s, rmpadjust), [Lie::Force4k(true)]);
    }

    #[test]
    fn what_was_not_told_is_known() {
        let mut s = script("when enter #2 force-4k\npsc pretend");
        lies(&mut s, Event::Enter { vmpl: 0 });
        let untold: Vec<_> = s.untold().map(|(line, seen)| (line.number, seen)).collect();
        assert_eq!(untold, [(1, 1), (2, 0)]);
        assert_eq!(s.told(1).unwrap().number, 2);
        assert_eq!(s.told(1), None);
        assert_eq!(s.told(7), None);
        assert_eq!(s.untold().count(), 1);
    }
}
