//! Launch digests against tools that share no code with this project; see
//! tests/data/README.md for how the vectors were made.

mod common;

use common::{boot_processor, firmware_alone};
use igvm_builder::kvm;
use igvm_builder::measure::{KvmHost, measure, measure_with_kvm};

/// What `sev-snp-measure` 0.0.13 says of the firmware: processor, vCPUs, features, digest.
const VECTORS: [(&str, u32, u64, &str); 5] = [
    (
        "EPYC-v4",
        1,
        0x1,
        "69a0816ba6a4fa5086f1da946714a2c3c595fd6b044ca13697b6cf4fb5c21e67b2176052ca97df6f09a95ba6becfd437",
    ),
    (
        "EPYC-v4",
        2,
        0x1,
        "969cd7f7ab704225a6b2d3291af088170e9ba267587bc8be16b5166498216c78da89851e014ef58c94930068fd444aaa",
    ),
    (
        "EPYC-Milan",
        4,
        0x1,
        "9eeaa3625af2decde8d6913e5837954d6e18f0cb9598cea88c8e9faa6975b92544386f29ce8da3cd7d7446602d9198f9",
    ),
    (
        "EPYC-Genoa",
        3,
        0x21,
        "d1c0cb44259e7b94dbd794ddcce35c21b4fe34b2f0bd94a3cff90afee1a067126a7a74075f99a15c1b0f0a5ee49c62e6",
    ),
    (
        "EPYC-Turin",
        255,
        0x1,
        "823ef8690c764cb92fc1ecbecd6bee14ccab9c7927a89fbe2f8e7ed8014fc4827ba56785d468e068a2705781241cdb7e",
    ),
];

#[test]
fn digests_with_kvm_are_those_of_sev_snp_measure() {
    for (model, vcpus, features, digest) in VECTORS {
        let host = KvmHost {
            vcpus,
            signature: kvm::model(model),
        };
        let file = firmware_alone(boot_processor(model, features));
        let measured = measure_with_kvm("x", &file, host).unwrap();
        assert_eq!(measured.launch_digest, digest, "{model}, {vcpus} vCPUs");
        let kvm = measured.kvm.unwrap();
        assert_eq!((kvm.changes, kvm.refusals), (vec![], vec![]));
        assert!(!kvm.reordered);
        let alone = measure("x", &file).unwrap();
        assert_eq!(alone.launch_digest == digest, vcpus == 1);
    }
}

#[test]
fn one_changed_byte_changes_the_digest() {
    let (model, _, features, digest) = VECTORS[0];
    let mut file = firmware_alone(boot_processor(model, features));
    // The data lies after the headers, which the file's checksum covers.
    *file.last_mut().unwrap() ^= 1;
    assert_ne!(measure("x", &file).unwrap().launch_digest, digest);
}

#[test]
fn the_processor_counts_with_several_vcpus() {
    let file = firmware_alone(boot_processor("EPYC-v4", 1));
    let host = |vcpus, signature| KvmHost { vcpus, signature };
    let error = measure_with_kvm("x", &file, host(3, None)).unwrap_err();
    assert!(
        error.to_string().contains("2 vCPUs have no VMSA"),
        "{error}"
    );
    let digest = |model| {
        let host = host(2, kvm::model(model));
        measure_with_kvm("x", &file, host).unwrap().launch_digest
    };
    assert_ne!(digest("EPYC-v4"), digest("EPYC-Milan"));
    assert_eq!(digest("EPYC-v4"), VECTORS[1].3);
}
