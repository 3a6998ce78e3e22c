//! The verdict as text.

use std::fmt::Write;

use rampart_verify::Verdict;
use rampart_verify::claim::{Claim, Id, Outcome, Status};
use rampart_verify::log::{Measurer, Proof};

/// Columns of a line of text.
const WIDTH: usize = 100;
/// Where words begin.
const INDENT: usize = 29;

/// The claims, the events, and what it all comes to.
pub(crate) fn text(verdict: &Verdict) -> String {
    let mut out = String::new();
    for claim in &verdict.claims {
        let _ = writeln!(
            out,
            "{:<9} {:<18} {}",
            claim.status,
            claim.id.name(),
            claim.claim
        );
        wrap(&mut out, &claim.why);
    }
    if !verdict.events.is_empty() {
        out.push_str("\nevents, with * if the digest is of what the event says, + if of its contents alone:\n");
    }
    for event in &verdict.events {
        let mark = match event.proof {
            Proof::Digest => '*',
            Proof::Contents => '+',
            Proof::LogAlone => ' ',
            Proof::Wrong => '!',
            Proof::NotMeasured => '-',
        };
        let by = match event.by {
            Measurer::Svsm => "by the firmware at VMPL0, ",
            Measurer::Guest => "",
        };
        let _ = writeln!(
            out,
            "{mark} PCR {:<2} {by}{}: {}",
            event.pcr, event.kind, event.text
        );
    }
    let count = |status| {
        let claims = verdict.claims.iter();
        claims.filter(|claim| claim.status == status).count()
    };
    let (proven, refuted, unproven) = (
        count(Status::Proven),
        count(Status::Refuted),
        count(Status::Unproven),
    );
    let _ = match verdict.outcome {
        Outcome::Verified => writeln!(
            out,
            "\nVERIFIED: all {proven} claims that were asked are proven."
        ),
        Outcome::Refuted => writeln!(
            out,
            "\nREFUTED: {refuted} claims do not hold, {unproven} more are not proven."
        ),
        Outcome::Incomplete => writeln!(
            out,
            "\nINCOMPLETE: nothing is refuted, and {unproven} claims could not be proven."
        ),
    };
    let is_unasked = |claim: &Claim| claim.id == Id::PcrValues && claim.status == Status::Unasked;
    if verdict.outcome == Outcome::Verified && verdict.claims.iter().any(is_unasked) {
        out.push_str(
            "No PCR values were demanded: which loader, kernel and initial RAM disk run is not judged.\n",
        );
    }
    out
}

/// Why a claim is what it is, in lines.
fn wrap(out: &mut String, text: &str) {
    let mut column = INDENT;
    let _ = write!(out, "{:INDENT$}", "");
    for (index, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if index > 0 && column + 1 + width > WIDTH {
            let _ = write!(out, "\n{:INDENT$}", "");
            column = INDENT;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out.push('\n');
}
