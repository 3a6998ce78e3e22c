//! The manual has every rule, with its weight and its reason, and every command.

use igvm_builder::lint::{self, Rule, Weight};
use igvm_builder::verify;

const MANUAL: &str = include_str!("../../docs/igvm-builder.md");

fn row(rule: &Rule) -> String {
    let weight = match rule.weight {
        Weight::Error => "error",
        Weight::Warning => "warning",
    };
    format!("| `{}` | {weight} | {} |", rule.name, rule.reason)
}

#[test]
fn the_manual_has_every_rule() {
    let rows: Vec<_> = verify::RULES.iter().chain(lint::RULES).map(row).collect();
    let table: Vec<_> = MANUAL
        .lines()
        .filter(|line| {
            line.starts_with("| `") && (line.contains("| error |") || line.contains("| warning |"))
        })
        .collect();
    assert_eq!(
        table,
        rows,
        "docs/igvm-builder.md should have:\n{}",
        rows.join("\n")
    );
}

#[test]
fn the_manual_has_every_policy_bit() {
    for bit in igvm_builder::policy::BITS {
        assert!(MANUAL.contains(&format!("`{}`", bit.name)), "{}", bit.name);
    }
}
