//! What must hold of every command in the table.

use crate::command::{Role, all};
use crate::wire::CommandAttributes;
use std::collections::BTreeSet;
use std::vec::Vec;

#[test]
fn codes_are_unique_and_listed_in_order() {
    let codes: Vec<u32> = all().map(|c| c.code).collect();
    let sorted: BTreeSet<u32> = codes.iter().copied().collect();
    assert_eq!(codes, sorted.into_iter().collect::<Vec<_>>());
    let in_lists: usize = crate::chapters::ALL.iter().map(|l| l.len()).sum();
    assert_eq!(codes.len(), in_lists, "a code is declared twice");
}

#[test]
fn handles_that_need_an_authorization_come_first() {
    for c in all() {
        let roles: Vec<Option<Role>> = c.handles.iter().map(|h| h.role).collect();
        assert!(roles.is_sorted_by_key(|r| r.is_none()), "{}", c.name);
        assert!(c.handles.len() <= crate::limits::MAX_HANDLE_NUM);
        assert!(!(c.flags.no_sessions && c.auth_handles() > 0), "{}", c.name);
    }
}

#[test]
fn attributes_are_those_of_the_specification() {
    let of = |name: &str| all().find(|c| c.name == name).map(|c| c.attributes());
    assert_eq!(of("PcrExtend"), Some(CommandAttributes(0x0240_0182)));
    assert_eq!(of("Startup"), Some(CommandAttributes(0x0040_0144)));
    assert_eq!(of("GetCapability"), Some(CommandAttributes(0x0000_017A)));
}

/// The rows of the list of what is left out: names and codes.
fn left_out() -> Vec<u32> {
    let text = include_str!("../../../../docs/vtpm.md");
    let list = text.split("## Left out").nth(1).expect("the section");
    let list = list.split("## Tests").next().expect("the section's end");
    list.lines()
        .filter(|l| l.starts_with("| "))
        .skip(1)
        .filter_map(|row| row.split('|').nth(2))
        .flat_map(|codes| codes.split(','))
        .map(|code| u32::from_str_radix(code.trim(), 16).expect("a code"))
        .collect()
}

#[test]
fn every_command_of_the_library_is_there_or_said_to_be_left_out() {
    // Codes that the specification gives to no command (Part 2, 6.5.2).
    const UNASSIGNED: [u32; 5] = [0x123, 0x15A, 0x15F, 0x166, 0x175];
    let left_out = left_out();
    for code in 0x11F..=0x1A0 {
        let there = crate::command::find(code).is_some();
        let said = left_out.contains(&code);
        let unassigned = UNASSIGNED.contains(&code);
        assert!(
            u8::from(there) + u8::from(said) + u8::from(unassigned) == 1,
            "{code:#x}"
        );
    }
}
