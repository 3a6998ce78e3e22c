use igvm_defs::IgvmPageDataType;
use proptest::prelude::*;
use protocols::boot::layout;

use super::*;
use crate::testing::*;

fn of(first: &[u8], second: &[u8]) -> Diff {
    diff(("a", first), ("b", second)).unwrap()
}

fn lines(first: &[u8], second: &[u8]) -> Vec<String> {
    let text = of(first, second).to_string();
    // Without both digests and the verdict.
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[2..lines.len() - 1].to_vec()
}

fn data(gpa: u64, byte: u8) -> Directive {
    page(gpa, IgvmPageDataType::NORMAL, vec![byte; 16])
}

#[test]
fn an_image_is_as_itself() {
    for file in [plain_image(), rampart_image()] {
        let diff = of(&file, &file);
        assert!(diff.same_digest);
        assert_eq!(lines(&file, &file), [] as [&str; 0]);
    }
}

#[test]
fn pages_are_named_with_their_owner() {
    let first = rampart_image();
    let mut second = first.clone();
    // stage2 is 0x1800 bytes of 0x90.
    let at = first
        .windows(64)
        .position(|window| window == [0x90; 64])
        .unwrap();
    second[at + 0x1004] = 0;
    second[at + 0x1005] = 0;
    assert_eq!(
        lines(&first, &second),
        [format!(
            "{:#012x}..{:#012x}  1 page of stage2: 2 bytes differ, from {:#x} on",
            layout::STAGE2_BASE + 0x1000,
            layout::STAGE2_BASE + 0x2000,
            layout::STAGE2_BASE + 0x1004
        )]
    );
    assert!(!of(&first, &second).same_digest);
}

#[test]
fn every_kind_of_difference_has_its_words() {
    let file = |policy, directives: &[Directive]| {
        let mut all = directives.to_vec();
        all.push(boot_processor());
        igvm_file(policy, all)
    };
    let one = file(
        0x3_0000,
        &[data(0x1000, 1), data(0x2000, 1), data(0x3000, 1)],
    );
    let two = file(
        0xb_0000,
        &[
            data(0x2000, 1),
            data(0x1000, 1),
            data(0x4000, 1),
            data(0x5000, 2),
        ],
    );
    assert_eq!(
        lines(&one, &two),
        [
            "0x0000003000..0x0000004000  1 page: only in the first",
            "0x0000004000..0x0000006000  2 pages: only in the second",
            "pages are loaded in another order, from 0x1000 on",
            "not measured: policy: 0x30000: SMT; firmware ABI at least 0.0 in the first, \
             0xb0000: SMT, debugging; firmware ABI at least 0.0 in the second",
        ]
    );
    let secrets = file(
        0x3_0000,
        &[
            data(0x1000, 1),
            page(0x2000, IgvmPageDataType::SECRETS, vec![]),
        ],
    );
    let plain = file(0x3_0000, &[data(0x1000, 1), data(0x2000, 1)]);
    assert_eq!(
        lines(&plain, &secrets),
        ["0x0000002000..0x0000003000  1 page: data in the first, secrets in the second"]
    );
}

#[test]
fn fields_of_vmsas_and_headers_are_named() {
    let mut vmsa = boot_processor();
    if let Directive::SnpVpContext { vmsa, .. } = &mut vmsa {
        vmsa.rip = 0x1234;
        vmsa.cs.base = 0;
    }
    let first = igvm_file(0x3_0000, vec![data(0, 1), boot_processor()]);
    let second = igvm_file(0x3_0000, vec![data(0, 1), vmsa]);
    assert_eq!(
        lines(&first, &second),
        [
            "VMSA of processor 0: cs.base: 0xffff0000 in the first, 0x0 in the second",
            "VMSA of processor 0: rip: 0xfff0 in the first, 0x1234 in the second",
        ]
    );
    let diff = of(&plain_image(), &rampart_image());
    assert!(!diff.same_digest);
    let names: Vec<_> = diff
        .image_header
        .iter()
        .map(|field| field.field.as_str())
        .collect();
    assert!(
        names.contains(&"kernel.packed") && names.contains(&"guest_vmpl"),
        "{names:?}"
    );
}

#[test]
fn an_id_block_changes_no_digest() {
    let key = crate::keys::private(include_str!("../../tests/data/id-key.pem")).unwrap();
    let request = sign::Request::default();
    let unsigned = plain_image();
    let signed = sign::sign("x", &unsigned, &request, &key, None, sign::Place::Embedded).unwrap();
    let diff = of(&unsigned, &signed.file);
    assert!(diff.same_digest);
    assert!(
        diff.unmeasured
            .iter()
            .all(|field| field.field.starts_with("ID block: "))
    );
    assert_eq!(diff.unmeasured.len(), 6);
}

#[test]
fn errors_name_the_file() {
    let good = plain_image();
    let (name, error) = diff(("good", &good), ("bad", b"text")).unwrap_err();
    assert_eq!(name, "bad");
    assert!(error.to_string().contains("no IGVM file"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Digests differ exactly where a measured difference is named.
    #[test]
    fn a_reason_is_found_exactly_where_digests_differ(first in any_image(), second in any_image()) {
        for (a, b) in [(&first, &second), (&first, &first)] {
            let diff = of(a, b);
            let measured = diff.pages.iter().any(|pages| pages.measured)
                || diff.order.is_some()
                || !diff.save_areas.is_empty();
            prop_assert_eq!(measured, !diff.same_digest);
        }
    }

    #[test]
    fn damaged_files_never_panic(file in any_damage(rampart_image())) {
        let _ = diff(("a", &file), ("b", &rampart_image())).map(|diff| diff.to_string());
        let _ = crate::inspect::inspect(&file).map(|report| report.to_string());
    }
}
