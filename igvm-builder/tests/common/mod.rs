//! Small images of fixed bytes, and changes to them that have found something.
#![allow(dead_code, reason = "each test uses a part of this")]

pub(crate) mod fuzz;

use igvm::snp_defs::SevVmsa;
use igvm::{
    IgvmDirectiveHeader, IgvmFile, IgvmInitializationHeader, IgvmPlatformHeader, IgvmRevision,
};
use igvm_builder::kvm;
use igvm_builder::vmsa::{reset_vector, to_igvm};
use igvm_defs::{
    IGVM_VHS_SUPPORTED_PLATFORM, IgvmPageDataFlags, IgvmPageDataType, IgvmPlatformType,
};
use protocols::snp::{SevFeatures, Vmsa};

const FIRMWARE: &[u8] = include_bytes!("../data/firmware.bin");
/// A private key in PEM form.
pub(crate) const ID_KEY: &str = include_str!("../data/id-key.pem");

/// The launch of the firmware as QEMU does it without IGVM, written as an IGVM file: the
/// ROM, the sections of the metadata in their order, the boot processor.
pub(crate) fn firmware_alone(boot_processor: Box<SevVmsa>) -> Vec<u8> {
    let page = |gpa, data_type, data| IgvmDirectiveHeader::PageData {
        gpa,
        compatibility_mask: 1,
        flags: IgvmPageDataFlags::new(),
        data_type,
        data,
    };
    let rom = 0x1_0000_0000 - FIRMWARE.len() as u64;
    let mut directives: Vec<_> = (0u64..)
        .zip(FIRMWARE.chunks(0x1000))
        .map(|(number, bytes)| {
            page(
                rom + number * 0x1000,
                IgvmPageDataType::NORMAL,
                bytes.to_vec(),
            )
        })
        .collect();
    directives.push(page(0x80_D000, IgvmPageDataType::SECRETS, vec![]));
    directives.push(page(0x80_E000, IgvmPageDataType::CPUID_DATA, vec![]));
    directives.push(IgvmDirectiveHeader::SnpVpContext {
        gpa: Vmsa::LAUNCH_GPA,
        compatibility_mask: 1,
        vp_index: 0,
        vmsa: boot_processor,
    });
    let platform = IgvmPlatformHeader::SupportedPlatform(IGVM_VHS_SUPPORTED_PLATFORM {
        compatibility_mask: 1,
        highest_vtl: 0,
        platform_type: IgvmPlatformType::SEV_SNP,
        platform_version: 1,
        shared_gpa_boundary: 0,
    });
    let policy = IgvmInitializationHeader::GuestPolicy {
        policy: 0x3_0000,
        compatibility_mask: 1,
    };
    let file = IgvmFile::new(IgvmRevision::V1, vec![platform], vec![policy], directives).unwrap();
    let mut bytes = Vec::new();
    file.serialize(&mut bytes).unwrap();
    bytes
}

/// The boot processor as QEMU resets it: the signature is in RDX.
pub(crate) fn boot_processor(model: &str, features: u64) -> Box<SevVmsa> {
    let vmsa = Vmsa {
        rdx: kvm::model(model).unwrap().into(),
        ..reset_vector(SevFeatures::from_bits_retain(features))
    };
    to_igvm(&vmsa)
}
