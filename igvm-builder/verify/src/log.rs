//! The event log of the guest's firmware and loader (TCG PC Client Platform Firmware
//! Profile, crypto-agile format), replayed and named.

mod parse;
mod words;

use std::collections::BTreeMap;

use serde::Serialize;
use vtpm::crypto::hash::HashAlg;

pub use parse::{Event, Log, read};
pub use words::{Proof, describe};

use crate::claim::{Claims, Failure, Id, refuted, unproven};
use crate::demands::bank_name;
use crate::evidence::Evidence;
use crate::tpm::Pcrs;

/// PCRs that a reset sets to ones: those of a dynamic launch.
const ONES: std::ops::RangeInclusive<usize> = 17..=22;
/// How many PCRs a list of differences names.
const MOST_NAMED: usize = 8;

/// An event in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The PCR.
    pub pcr: u32,
    /// Its type.
    pub kind: String,
    /// What it says of itself.
    pub text: String,
    /// Whether its digest shows that.
    pub proof: Proof,
}

/// Says what becomes of the log; its events in words.
pub fn check(evidence: &Evidence, pcrs: Option<&Pcrs>, claims: &mut Claims) -> Vec<Named> {
    let log = match evidence.log.as_deref().map(read) {
        Some(Ok(log)) => log,
        other => {
            let failure = match other {
                Some(Err(why)) => Failure::Refuted(why),
                _ => Failure::Unproven("there is no event log".into()),
            };
            claims.add(Id::LogFormat, Err(failure));
            for id in [Id::LogReplay, Id::LogNames] {
                claims.add(id, unproven("there is no event log that can be read"));
            }
            return Vec::new();
        }
    };
    let banks: Vec<_> = log.banks.iter().map(|(alg, _)| parse::bank(*alg)).collect();
    claims.add(
        Id::LogFormat,
        Ok(format!(
            "{} events, with {}",
            log.events.len(),
            banks.join(", ")
        )),
    );
    claims.add(Id::LogReplay, replay(&log, pcrs));
    let named: Vec<_> = log.events.iter().map(describe).collect();
    claims.add(Id::LogNames, names(&named));
    named
}

/// The PCRs of a bank after all events.
fn replayed(log: &Log<'_>, bank: HashAlg) -> Option<BTreeMap<u32, Vec<u8>>> {
    let mut pcrs = BTreeMap::new();
    for event in &log.events {
        if event.is_measured() {
            let digest = event.digest(bank)?;
            let pcr = pcrs
                .entry(event.pcr)
                .or_insert_with(|| initial(log, bank, event.pcr));
            *pcr = bank.digest(&[pcr, digest]).to_vec();
        }
    }
    Some(pcrs)
}

/// A PCR after a reset.
fn initial(log: &Log<'_>, bank: HashAlg, pcr: u32) -> Vec<u8> {
    let is_of_ones = usize::try_from(pcr).is_ok_and(|pcr| ONES.contains(&pcr));
    let mut value = vec![if is_of_ones { 0xff } else { 0 }; bank.digest_size()];
    if let (0, Some(last)) = (pcr, value.last_mut()) {
        *last = log.startup_locality;
    }
    value
}

fn replay(log: &Log<'_>, pcrs: Option<&Pcrs>) -> Result<String, Failure> {
    let Some(pcrs) = pcrs else {
        return unproven("there are no PCR values that were quoted");
    };
    let mut banks: Vec<HashAlg> = pcrs.keys().map(|(bank, _)| *bank).collect();
    banks.dedup();
    let mut wrong = Vec::new();
    let mut extended = 0;
    for bank in &banks {
        let Some(replayed) = replayed(log, *bank) else {
            return refuted(format!("the log has no digests of {}", bank_name(*bank)));
        };
        let of_bank = pcrs.iter().filter(|((of, _), _)| of == bank);
        for (&(_, pcr), value) in of_bank {
            let number = u32::try_from(pcr).unwrap_or(u32::MAX);
            let expected = replayed.get(&number);
            extended += usize::from(expected.is_some());
            let is_explained = match expected {
                Some(expected) => expected == value,
                None => initial(log, *bank, number) == *value,
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
        "{} events are named by their digests, {} by the log alone, {} were not measured",
        count(Proof::Digest),
        count(Proof::LogAlone),
        count(Proof::NotMeasured)
    ))
}
