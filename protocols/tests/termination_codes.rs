//! docs/termination-codes.md lists every reason with its code and its words, and nothing else.

use protocols::ghcb::RampartReason;

const DOCUMENT: &str = include_str!("../../docs/termination-codes.md");

#[test]
fn the_document_lists_exactly_the_reasons() {
    let own = DOCUMENT
        .split("## Set 8")
        .nth(1)
        .and_then(|rest| rest.split("## Set 9").next());
    let documented: Vec<&str> = own
        .expect("set 8")
        .lines()
        .filter(|line| line.starts_with("| 0x"))
        .collect();
    let expected: Vec<String> = RampartReason::ALL
        .iter()
        .map(|reason| {
            format!(
                "| {:#04x} | {reason:?} | {} |",
                reason.code(),
                reason.description()
            )
        })
        .collect();
    assert_eq!(documented, expected);
}
