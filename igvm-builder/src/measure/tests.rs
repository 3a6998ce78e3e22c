use igvm::IgvmDirectiveHeader;
use igvm::measurement::generate_snp_measurement;
use igvm_defs::{IgvmPageDataFlags, IgvmPageDataType};
use proptest::prelude::*;

use super::{
    Image, KvmHost, MeasureError, Measurement, Sequence, Vmsa, hex, measure, measure_with_kvm,
    sequence,
};
use crate::container;
use crate::testing::*;

fn of(bytes: &[u8]) -> Measurement {
    measure("x.igvm", bytes).unwrap()
}

fn with_kvm(bytes: &[u8], vcpus: u32) -> Result<Measurement, MeasureError> {
    let signature = Some(0x80_0f12);
    measure_with_kvm("x.igvm", bytes, KvmHost { vcpus, signature })
}

/// The digest as the `igvm` crate calculates it: VMSAs where they stand, which in our
/// images is after all pages.
fn by_igvm_crate(bytes: &[u8]) -> String {
    let file = container::parse(bytes).unwrap();
    let digest = generate_snp_measurement(file.initializations(), file.directives(), 1);
    hex::digits(&digest.unwrap())
}

#[test]
fn another_image_has_another_digest() {
    let (plain, rampart) = (of(&plain_image()), of(&rampart_image()));
    assert_ne!(plain.launch_digest, rampart.launch_digest);
    assert_eq!(plain.launch_digest.len(), 96);
    assert_eq!(plain.policy.0, 0x3_0000);
    assert_eq!(of(&plain_image()), plain);
}

#[test]
fn our_images_have_the_digest_that_the_igvm_crate_calculates() {
    for file in [plain_image(), rampart_image()] {
        assert_eq!(of(&file).launch_digest, by_igvm_crate(&file));
    }
}

#[test]
fn kvm_measures_our_plain_image_as_it_is() {
    let file = plain_image();
    let measured = with_kvm(&file, 1).unwrap();
    assert_eq!(measured.launch_digest, of(&file).launch_digest);
    let kvm = measured.kvm.unwrap();
    assert_eq!((kvm.changes, kvm.refusals), (vec![], vec![]));
    let two = with_kvm(&file, 2).unwrap();
    assert_ne!(two.launch_digest, of(&file).launch_digest);
    assert_eq!(two.save_areas, 2);
}

#[test]
fn a_file_without_a_boot_processor_has_no_digest() {
    let file = igvm_file(0x3_0000, vec![page(0, IgvmPageDataType::NORMAL, vec![1])]);
    assert!(matches!(measure("x", &file), Err(MeasureError::NoVmsa)));
    assert!(matches!(
        measure("x", b"text"),
        Err(MeasureError::Container(_))
    ));
}

#[test]
fn what_the_secure_processor_cannot_load_is_named_with_its_offset() {
    let file = igvm_file(
        0x3_0000,
        vec![
            page(0x1000, IgvmPageDataType::NORMAL, vec![]),
            IgvmDirectiveHeader::PageData {
                gpa: 0x20_0000,
                compatibility_mask: 1,
                flags: IgvmPageDataFlags::new().with_is_2mb_page(true),
                data_type: IgvmPageDataType::NORMAL,
                data: vec![],
            },
            boot_processor(),
        ],
    );
    let error = measure("x", &file).unwrap_err().to_string();
    let expected = "directive 1 (PAGE_DATA) at offset 0x68: pages of 2 MiB are not launched";
    assert_eq!(error, expected);
}

#[test]
fn a_parameter_area_after_pages_is_measured_before_them_by_qemu() {
    let mut directives = vec![page(0x1000, IgvmPageDataType::NORMAL, vec![1])];
    directives.extend(area(0, 0x2000, 1));
    directives.push(boot_processor());
    let file = igvm_file(0x3_0000, directives);
    let measured = with_kvm(&file, 1).unwrap();
    assert!(measured.kvm.as_ref().unwrap().reordered);
    assert_ne!(measured.launch_digest, of(&file).launch_digest);
    assert!(measured.to_string().contains("reordered"), "{measured}");
}

#[test]
fn a_vmsa_elsewhere_is_measured_where_it_stands_and_refused_by_qemu() {
    let with_vmsa_at = |gpa| {
        let mut vmsa = boot_processor();
        if let IgvmDirectiveHeader::SnpVpContext { gpa: at, .. } = &mut vmsa {
            *at = gpa;
        }
        igvm_file(
            0x3_0000,
            vec![vmsa, page(0x1000, IgvmPageDataType::NORMAL, vec![1])],
        )
    };
    let elsewhere = with_vmsa_at(0x5000);
    assert_eq!(of(&elsewhere).launch_digest, by_igvm_crate(&elsewhere));
    let kvm = with_kvm(&elsewhere, 1).unwrap().kvm.unwrap();
    assert_eq!(kvm.refusals[0].what.field, "its address");
    // At KVM's own address it is measured last wherever it stands.
    let first = with_vmsa_at(Vmsa::LAUNCH_GPA);
    let last = igvm_file(
        0x3_0000,
        vec![
            page(0x1000, IgvmPageDataType::NORMAL, vec![1]),
            boot_processor(),
        ],
    );
    assert_eq!(of(&first).launch_digest, of(&last).launch_digest);
}

proptest! {
    /// Any launch of pages has the digest that the `igvm` crate calculates.
    #[test]
    fn digests_are_those_of_the_igvm_crate(file in any_image()) {
        prop_assert_eq!(of(&file).launch_digest, by_igvm_crate(&file));
    }

    /// QEMU's order is a permutation, and the file's own where every parameter area
    /// stands before the pages.
    #[test]
    fn qemu_reorders_only_around_parameter_areas(file in any_image()) {
        let image = Image::parse(&file).unwrap();
        let sequence = Sequence::of(&image).unwrap();
        let ordered = sequence.in_qemus_order();
        let key = |step: &sequence::Step<'_>| (step.directive, step.gpa);
        let mut sorted: Vec<_> = ordered.iter().map(key).collect();
        sorted.sort_unstable();
        prop_assert_eq!(&sorted, &sequence.steps.iter().map(key).collect::<Vec<_>>());
        let unmeasured_last = sequence.steps.iter().rev().find(|step| {
            matches!(image.file.directives()[step.directive], IgvmDirectiveHeader::ParameterInsert(_))
        });
        if unmeasured_last.is_none() {
            prop_assert_eq!(ordered, sequence.steps);
        }
    }

    #[test]
    fn damaged_files_never_panic(file in any_damage(rampart_image())) {
        let _ = measure("x", &file);
        let _ = with_kvm(&file, 3).map(|measured| measured.to_string());
    }
}
