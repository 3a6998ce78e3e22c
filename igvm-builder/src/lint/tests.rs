use igvm::IgvmDirectiveHeader as Directive;
use igvm_defs::{IGVM_VHS_PARAMETER, IgvmPageDataFlags, IgvmPageDataType};
use proptest::prelude::*;

use super::*;
use crate::testing::*;

fn findings(bytes: &[u8]) -> Vec<Finding> {
    lint(&Image::parse(bytes).unwrap())
}

fn data(gpa: u64) -> Directive {
    page(gpa, IgvmPageDataType::NORMAL, vec![1])
}

/// The rules that do not hold in a file of these directives, with page 0 and, unless
/// there is another, the boot processor.
fn broken(directives: impl IntoIterator<Item = Directive>) -> Vec<&'static str> {
    let mut all = vec![];
    all.extend(directives);
    all.push(data(0));
    if !all
        .iter()
        .any(|directive| matches!(directive, Directive::SnpVpContext { .. }))
    {
        all.push(boot_processor());
    }
    names(&igvm_file(0x3_0000, all))
}

fn names(bytes: &[u8]) -> Vec<&'static str> {
    findings(bytes).iter().map(|finding| finding.rule).collect()
}

fn parameter(area: u32, offset: u32) -> IGVM_VHS_PARAMETER {
    IGVM_VHS_PARAMETER {
        parameter_area_index: area,
        byte_offset: offset,
    }
}

/// The boot processor, changed.
fn vmsa(change: impl FnOnce(&mut u64, &mut u16, &mut igvm::snp_defs::SevVmsa)) -> Directive {
    let mut directive = boot_processor();
    if let Directive::SnpVpContext {
        gpa,
        vp_index,
        vmsa,
        ..
    } = &mut directive
    {
        change(gpa, vp_index, vmsa);
    }
    directive
}

#[test]
fn our_images_hold_all_rules() {
    assert_eq!(findings(&plain_image()), []);
    // Its policy allows debugging and it has restricted injection, on purpose.
    assert_eq!(names(&rampart_image()), ["closed-policy"]);
    assert_eq!(broken([]), [] as [&str; 0]);
}

#[test]
fn every_rule_finds_what_it_is_for() {
    let [place, insert] = area(0, 0x5000, 1);
    let with_area = |parameters: Vec<Directive>| {
        let mut all = vec![place.clone()];
        all.extend(parameters);
        all.push(insert.clone());
        broken(all)
    };
    let flags = |gpa, flags| Directive::PageData {
        gpa,
        compatibility_mask: 1,
        flags,
        data_type: IgvmPageDataType::NORMAL,
        data: vec![],
    };
    let none = IgvmPageDataFlags::new();
    let area_with_data = Directive::ParameterArea {
        number_of_bytes: 0x1000,
        parameter_area_index: 1,
        initial_data: vec![7; 0x1000],
    };
    let cases: Vec<(&str, Vec<&str>)> = vec![
        (
            "header-set",
            with_area(vec![Directive::Srat(parameter(0, 0))]),
        ),
        (
            "new-headers",
            with_area(vec![Directive::Madt(parameter(0, 0))]),
        ),
        ("vmsa-address", broken([vmsa(|gpa, _, _| *gpa = 0x8000)])),
        ("vmsa-once", broken([boot_processor(), boot_processor()])),
        ("vmsa-fields", broken([vmsa(|_, _, vmsa| vmsa.star = 1)])),
        ("vmsa-kept", broken([vmsa(|_, _, vmsa| vmsa.rflags = 0)])),
        (
            "measured-order",
            broken([data(0x1000), place.clone(), insert.clone()]),
        ),
        (
            "memory-map-offset",
            with_area(vec![Directive::MemoryMap(parameter(0, 8))]),
        ),
        (
            "memory-map-first",
            with_area(vec![
                Directive::VpCount(parameter(0, 0xc0)),
                Directive::MemoryMap(parameter(0, 0)),
            ]),
        ),
        (
            "parameter-fits",
            with_area(vec![Directive::VpCount(parameter(0, 0xffd))]),
        ),
        ("area-data", broken([area_with_data])),
        (
            "private-pages",
            broken([flags(0x1000, none.with_shared(true))]),
        ),
        ("loaded-once", broken([data(0x1000), data(0x1000)])),
    ];
    for (rule, found) in &cases {
        assert_eq!(found, &[*rule]);
    }
    assert_eq!(
        broken([vmsa(|_, processor, _| *processor = 1)]),
        ["boot-processor", "vmsa-processor"]
    );
    // Nothing else is said of such a file: it has no launch.
    assert_eq!(
        broken([flags(0x20_0000, none.with_is_2mb_page(true))]),
        ["small-pages"]
    );
    assert_eq!(
        with_area(vec![
            Directive::MemoryMap(parameter(0, 0)),
            Directive::VpCount(parameter(0, 0xffc))
        ]),
        [] as [&str; 0]
    );
    let policy = |policy| names(&igvm_file(policy, vec![data(0), boot_processor()]));
    assert_eq!(policy(0x1_0000), ["policy"]);
    assert_eq!(policy(0x2_0000), ["kvm-policy"]);
    assert_eq!(policy(0x13_0000), ["kvm-policy"]);
    assert_eq!(policy(0xb_0000), ["closed-policy"]);
    let tried: BTreeSet<_> = cases.iter().map(|(rule, _)| *rule).collect();
    let elsewhere = [
        "boot-processor",
        "vmsa-processor",
        "small-pages",
        "policy",
        "kvm-policy",
        "closed-policy",
        "snp-platform",
        "stated-policy",
        "one-id-block",
    ];
    for rule in RULES {
        assert!(
            tried.contains(rule.name) || elsewhere.contains(&rule.name),
            "{}",
            rule.name
        );
    }
}

#[test]
fn a_file_for_another_platform_is_named() {
    let mut file = plain_image();
    // The platform's type: SEV_SNP becomes NATIVE; the VMSA is then a native context.
    file[24 + 8 + 5] = 0;
    fix_checksum(&mut file);
    let error = Image::parse(&file).map(|image| lint(&image));
    let Ok(findings) = error else {
        return;
    };
    assert!(
        findings
            .iter()
            .any(|finding| finding.rule == "snp-platform"),
        "{findings:?}"
    );
}

#[test]
fn two_id_blocks_and_no_policy_are_found() {
    let id_block = crate::id_block::SignedIdBlock {
        block: zerocopy::FromZeros::new_zeroed(),
        authentication: zerocopy::FromZeros::new_zeroed(),
    }
    .to_directive(1);
    assert_eq!(broken([id_block.clone(), id_block]), ["one-id-block"]);
    let mut file = igvm_file(0x3_0000, vec![data(0), boot_processor()]);
    // The policy's mask: of no platform.
    file[24 + 24 + 8 + 8] = 2;
    fix_checksum(&mut file);
    assert_eq!(names(&file), ["stated-policy"]);
}

#[test]
fn findings_name_the_directive_and_the_reason() {
    let file = igvm_file(0x3_0000, vec![data(0), vmsa(|_, _, vmsa| vmsa.rflags = 0)]);
    let finding = findings(&file).remove(0).to_string();
    let expected = "error: vmsa-kept: directive 1 (VP_CONTEXT) at offset 0x68: rflags is 0x0 in the \
                    file and 0x2 with KVM: bit 1 is always set; KVM makes the VMSA";
    assert!(finding.starts_with(expected), "{finding}");
}

proptest! {
    #[test]
    fn damaged_files_never_panic(file in any_damage(rampart_image())) {
        if let Ok(image) = Image::parse(&file) {
            let _ = lint(&image);
        }
    }

    /// The order is broken exactly where QEMU measures another digest.
    #[test]
    fn the_order_is_found_exactly_where_it_counts(file in any_image()) {
        let host = crate::measure::KvmHost { vcpus: 1, signature: None };
        let kvm = crate::measure::measure_with_kvm("x", &file, host).unwrap();
        let same = kvm.launch_digest == kvm.kvm.unwrap().file_launch_digest;
        prop_assert_eq!(names(&file).contains(&"measured-order"), !same);
    }
}
