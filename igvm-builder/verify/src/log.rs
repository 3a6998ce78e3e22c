//! The event log of the guest's firmware and loader (TCG PC Client Platform Firmware
//! Profile, crypto-agile format), replayed and named.

mod parse;
mod proof;
mod values;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use vtpm::crypto::hash::HashAlg;

pub use parse::{Event, Log, read};
pub use proof::Proof;
pub use words::describe;

use crate::claim::{Claims, Failure, Id, refuted, unproven};
use crate::demands::bank_name;
use crate::evidence::Evidence;
use crate::tpm::Pcrs;

/// PCRs that a reset sets to ones: those of a dynamic launch.
const ONES: std::ops::RangeInclusive<usize> = 17..=22;
/// PCRs of a static boot's firmware, which it extends with a separator at least.
const FIRMWARE: std::ops::Range<u32> = 0..8;
/// How many PCRs a list of differences names.
const MOST_NAMED: usize = 8;

/// Whose log an event is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measurer {
    /// The firmware at VMPL0, before the guest began.
    Svsm,
    /// The guest's firmware, loader and kernel.
    Guest,
}

/// An event in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Who measured it.
    pub by: Measurer,
    /// The PCR.
    pub pcr: u32,
    /// Its type.
    pub kind: String,
    /// What it says of itself.
    pub text: String,
    /// Whether its digest shows that.
    pub proof: Proof,
}

/// Says what becomes of the guest's log, and of the firmware's own if the manifest has one;
/// their events in words.
pub fn check(
    evidence: &Evidence,
    own: Option<&[u8]>,
    pcrs: Option<&Pcrs>,
    claims: &mut Claims,
) -> Vec<Named> {
    let logs = match logs(evidence, own) {
        Ok(logs) => logs,
        Err(failure) => {
            claims.add(Id::LogFormat, Err(failure));
            for id in [Id::LogReplay, Id::LogNames] {
                claims.add(id, unproven("there is no event log that can be read"));
            }
            return Vec::new();
        }
    };
    claims.add(Id::LogFormat, Ok(logs.words()));
    claims.add(Id::LogReplay, replay(&logs, pcrs));
    let own = logs.own.iter().flat_map(|log| &log.events);
    let is_quoted = |event: &Event<'_>| is_quoted(event, pcrs);
    let describe = |event, by| describe(event, by, is_quoted(event));
    let named = own.map(|event| describe(event, Measurer::Svsm));
    let of_guest = logs.guest.events.iter();
    let named: Vec<_> = named
        .chain(of_guest.map(|event| describe(event, Measurer::Guest)))
        .collect();
    claims.add(Id::LogNames, names(&named));
    named
}

/// The logs, in the order in which they were measured.
struct Logs<'a> {
    /// The firmware's at VMPL0.
    own: Option<Log<'a>>,
    guest: Log<'a>,
}

fn logs<'a>(evidence: &'a Evidence, own: Option<&'a [u8]>) -> Result<Logs<'a>, Failure> {
    let Some(guest) = &evidence.log else {
        return unproven("there is no event log");
    };
    let own = own.map(read).transpose();
    let own = own.map_err(|why| Failure::Refuted(format!("in the manifest: {why}")))?;
    let guest = read(guest).map_err(Failure::Refuted)?;
    Ok(Logs { own, guest })
}

impl<'a> Logs<'a> {
    fn events(&self) -> impl Iterator<Item = &Event<'a>> {
        let own = self.own.iter().flat_map(|log| &log.events);
        own.chain(&self.guest.events)
    }

    fn words(&self) -> String {
        let guest = &self.guest;
        let banks: Vec<_> = guest
            .banks
            .iter()
            .map(|(alg, _)| parse::bank(*alg))
            .collect();
        let own = self.own.as_ref().map_or_else(String::new, |own| {
            format!(", after {} of the firmware's own", own.events.len())
        });
        format!(
            "{} events{own}, with {}",
            guest.events.len(),
            banks.join(", ")
        )
    }
}

/// The PCRs of a bank after all events.
fn replayed(logs: &Logs<'_>, bank: HashAlg) -> Option<BTreeMap<u32, Vec<u8>>> {
    let mut pcrs = BTreeMap::new();
    for event in logs.events() {
        if event.is_measured() {
            let digest = event.digest(bank)?;
            let pcr = pcrs
                .entry(event.pcr)
                .or_insert_with(|| initial(logs, bank, event.pcr));
            *pcr = bank.digest(&[pcr, digest]).to_vec();
        }
    }
    Some(pcrs)
}

/// A PCR after a reset.
fn initial(logs: &Logs<'_>, bank: HashAlg, pcr: u32) -> Vec<u8> {
    let is_of_ones = usize::try_from(pcr).is_ok_and(|pcr| ONES.contains(&pcr));
    let mut value = vec![if is_of_ones { 0xff } else { 0 }; bank.digest_size()];
    if let (0, Some(last)) = (pcr, value.last_mut()) {
        // Of the one who started the TPM.
        *last = logs.own.as_ref().unwrap_or(&logs.guest).startup_locality;
    }
    value
}

/// Whether this bank's PCRs say what was measured: of SHA-1 one can find another log.
fn counts(bank: HashAlg) -> bool {
    bank != HashAlg::Sha1
}

/// Whether a quote says what became of this event.
fn is_quoted(event: &Event<'_>, pcrs: Option<&Pcrs>) -> bool {
    let mut quoted = pcrs.into_iter().flat_map(BTreeMap::keys);
    quoted.any(|&(bank, pcr)| {
        let is_same = u32::try_from(pcr) == Ok(event.pcr);
        counts(bank) && is_same && event.digest(bank).is_some()
    })
}

/// PCRs that have to be quoted and are not: those of the firmware's boot, and all that the
/// logs name. Of a PCR that was not quoted a log can say anything.
fn unquoted(logs: &Logs<'_>, pcrs: &Pcrs) -> BTreeSet<u32> {
    let measured = logs.events().filter(|event| event.is_measured());
    let mut missing: BTreeSet<u32> = FIRMWARE.chain(measured.map(|event| event.pcr)).collect();
    for (bank, pcr) in pcrs.keys() {
        if let (true, Ok(pcr)) = (counts(*bank), u32::try_from(*pcr)) {
            missing.remove(&pcr);
        }
    }
    missing
}

fn replay(logs: &Logs<'_>, pcrs: Option<&Pcrs>) -> Result<String, Failure> {
    let Some(pcrs) = pcrs else {
        return unproven("there are no PCR values that were quoted");
    };
    let mut banks: Vec<HashAlg> = pcrs.keys().map(|(bank, _)| *bank).collect();
    banks.dedup();
    let mut wrong = Vec::new();
    let mut extended = 0;
    for bank in &banks {
        let Some(replayed) = replayed(logs, *bank) else {
            return refuted(format!("the log has no digests of {}", bank_name(*bank)));
        };
        let of_bank = pcrs.iter().filter(|((of, _), _)| of == bank);
        for (&(_, pcr), value) in of_bank {
            let number = u32::try_from(pcr).unwrap_or(u32::MAX);
            let expected = replayed.get(&number);
            extended += usize::from(expected.is_some());
            let is_explained = match expected {
                Some(expected) => expected == value,
                None => initial(logs, *bank, number) == *value,
            };
            if !is_explained {
                let why = match expected {
                    Some(_) => "the log gives another value",
                    None => "the log has no event for it, and it was extended",
                };
                wrong.push(format!("PCR {pcr} of {}: {why}", bank_name(*bank)));
            }
        }
    }
    let missing: Vec<_> = unquoted(logs, pcrs).iter().map(u32::to_string).collect();
    if wrong.is_empty() && !missing.is_empty() {
        let missing = missing.join(", ");
        return unproven(format!(
            "the quote leaves out what the log says of PCR {missing}, or has it of SHA-1 alone"
        ));
    }
    if wrong.is_empty() {
        return Ok(format!(
            "{extended} PCRs have the value that the log gives, {} were never extended",
            pcrs.len() - extended
        ));
    }
    let more = wrong.len().saturating_sub(MOST_NAMED);
    wrong.truncate(MOST_NAMED);
    if more > 0 {
        wrong.push(format!("and {more} more"));
    }
    refuted(wrong.join("; "))
}

fn names(events: &[Named]) -> Result<String, Failure> {
    let count = |proof| events.iter().filter(|event| event.proof == proof).count();
    if let Some(index) = events.iter().position(|event| event.proof == Proof::Wrong) {
        let event = events.get(index);
        let text = event.map_or_else(String::new, |event| event.text.clone());
        return refuted(format!(
            "event {index} says \"{text}\", and something else was measured"
        ));
    }
    Ok(format!(
        "{} events are named by their digests, {} in part, {} by the log alone, {} were not measured",
        count(Proof::Digest),
        count(Proof::Contents),
        count(Proof::LogAlone),
        count(Proof::NotMeasured)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of one event in PCR 4, with one bank.
    fn logs(bank: HashAlg, digest: &[u8]) -> Logs<'_> {
        let event = Event {
            pcr: 4,
            kind: 0xd,
            digests: vec![(bank.id(), digest)],
            data: &[],
        };
        let guest = Log {
            banks: vec![(bank.id(), digest.len())],
            startup_locality: 0,
            events: vec![event],
        };
        Logs { own: None, guest }
    }

    /// What the first PCRs are after that event.
    fn quoted(bank: HashAlg, digest: &[u8], count: usize) -> Pcrs {
        let zeros = vec![0; bank.digest_size()];
        let value = |pcr| match pcr {
            4 => bank.digest(&[&zeros, digest]).to_vec(),
            _ => zeros.clone(),
        };
        (0..count).map(|pcr| ((bank, pcr), value(pcr))).collect()
    }

    #[test]
    fn a_bank_of_sha1_proves_no_log() {
        for (bank, is_proven) in [
            (HashAlg::Sha1, false),
            (HashAlg::Sha256, true),
            (HashAlg::Sha384, true),
        ] {
            let digest = vec![7; bank.digest_size()];
            let (logs, pcrs) = (logs(bank, &digest), quoted(bank, &digest, 8));
            let found = replay(&logs, Some(&pcrs));
            assert_eq!(found.is_ok(), is_proven, "{found:?}");
            assert!(is_proven || matches!(found, Err(Failure::Unproven(_))));
            assert_eq!(is_quoted(&logs.guest.events[0], Some(&pcrs)), is_proven);
        }
    }

    #[test]
    fn the_first_locality_is_told_by_who_started_the_tpm() {
        let digest = [7; 32];
        let mut logs = logs(HashAlg::Sha256, &digest);
        let last = |logs: &Logs<'_>| initial(logs, HashAlg::Sha256, 0).pop();
        logs.guest.startup_locality = 3;
        assert_eq!(last(&logs), Some(3));
        logs.own = Some(Log {
            startup_locality: 0,
            ..logs.guest.clone()
        });
        assert_eq!(last(&logs), Some(0));
    }

    #[test]
    fn what_is_not_quoted_is_named() {
        let digest = [7; 32];
        let (logs, pcrs) = (
            logs(HashAlg::Sha256, &digest),
            quoted(HashAlg::Sha256, &digest, 4),
        );
        let Err(Failure::Unproven(why)) = replay(&logs, Some(&pcrs)) else {
            panic!()
        };
        assert!(why.contains("PCR 4, 5, 6, 7,"), "{why}");
        assert!(!is_quoted(&logs.guest.events[0], Some(&pcrs)));
        assert!(!is_quoted(&logs.guest.events[0], None));
    }
}
