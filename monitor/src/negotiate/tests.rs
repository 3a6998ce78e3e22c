use protocols::ghcb::MsrValue;

use super::*;
use crate::testing::Machine;

fn answering(answer: MsrResponse) -> Machine {
    let mut machine = Machine::new();
    machine.host.on_msr(move |_| answer.encode());
    machine
}

fn versions(min_version: u16, max_version: u16) -> Result<SevInfo, Fatal> {
    sev_info(&mut answering(MsrResponse::SevInfo {
        max_version,
        min_version,
        c_bit: 51,
    }))
}

#[test]
fn threat_19_the_protocol_version_is_settled_once_and_not_below_two() {
    let settled = Ok(SevInfo {
        c_bit: 51,
        version: 2,
    });
    assert_eq!(versions(1, 2), settled);
    assert_eq!(versions(2, 2), settled);
    assert_eq!(versions(0, 9), settled);
    for (min, max) in [(1, 1), (3, 9), (0, 0), (2, 1), (u16::MAX, u16::MAX)] {
        let offered = u64::from(max) << 16 | u64::from(min);
        let end = Fatal::with_detail(RampartReason::GhcbProtocolVersion, offered);
        assert_eq!(versions(min, max), Err(end));
    }
}

#[test]
fn threat_18_another_answer_ends_the_machine() {
    for value in [0, 2, 0x81, u64::MAX, 0x0002_0001_3300_0101] {
        let mut machine = Machine::new();
        machine.host.on_msr(move |_| MsrValue(value));
        let end = Fatal::with_detail(RampartReason::BadMsrAnswer, value);
        assert_eq!(sev_info(&mut machine), Err(end));
    }
    let mut machine = Machine::new();
    machine.host.on_msr(|_| MsrValue(0x80));
    let end = Fatal::with_detail(RampartReason::BadMsrAnswer, 0x80);
    assert_eq!(hypervisor_features(&mut machine), Err(end));
}

#[test]
fn threat_12_three_sources_have_to_name_the_same_c_bit() {
    assert_eq!(agree_on_c_bit(51, 51, 51), Ok(51));
    for (image, cpuid, host) in [(51, 51, 47), (51, 47, 51), (47, 51, 51), (51, 47, 47)] {
        assert!(matches!(
            agree_on_c_bit(image, cpuid, host),
            Err(Fatal::Rampart(RampartReason::CBitMismatch, _))
        ));
    }
}

#[test]
fn threat_19_each_hypervisor_feature_has_its_own_reason() {
    let all = HvFeatures::SNP | HvFeatures::AP_CREATION | HvFeatures::MULTI_VMPL;
    assert_eq!(
        hypervisor_features(&mut answering(MsrResponse::HvFeatures(all))),
        Ok(all)
    );
    for (missing, reason) in [
        (HvFeatures::SNP, RampartReason::NoSnpFeature),
        (HvFeatures::AP_CREATION, RampartReason::NoApCreation),
        (HvFeatures::MULTI_VMPL, RampartReason::NoMultiVmpl),
    ] {
        let offered = HvFeatures::from_bits_retain((1 << 52) - 1).difference(missing);
        assert_eq!(
            hypervisor_features(&mut answering(MsrResponse::HvFeatures(offered))),
            Err(Fatal::with_detail(reason, offered.bits()))
        );
    }
}

#[test]
fn each_sev_status_bit_is_required_harmless_or_refused() {
    let snp = SevStatus::from_bits_retain(7);
    assert_eq!(check_sev_status(snp), Ok(()));
    for bit in 0..64 {
        let mask = 1u64 << bit;
        let result = check_sev_status(snp ^ SevStatus::from_bits_retain(mask));
        match bit {
            0..=2 => assert_eq!(
                result,
                Err(Fatal::with_detail(RampartReason::NotSnp, 7 ^ mask))
            ),
            // Debug swap, host IBS prevention, BTB isolation, IBS virtualisation, SMT
            // protection, IBPB on entry.
            7 | 8 | 9 | 14 | 17 | 23 => assert_eq!(result, Ok(())),
            _ => assert_eq!(result, Err(Fatal::UnsupportedFeatures(mask)), "bit {bit}"),
        }
    }
}

#[test]
fn threat_46_vmsa_register_protection_is_refused_until_it_is_supported() {
    let status = (SevFeatures::SNP | SevFeatures::VMSA_REGISTER_PROTECTION).status();
    assert_eq!(
        check_sev_status(status),
        Err(Fatal::UnsupportedFeatures(1 << 16))
    );
}

#[test]
fn all_unsupported_bits_are_told_at_once() {
    let status = SevStatus::from_bits_retain(7 | 1 << 3 | 1 << 8 | 1 << 40);
    let mask = 1 << 3 | 1 << 40;
    assert_eq!(
        check_sev_status(status),
        Err(Fatal::UnsupportedFeatures(mask))
    );
}

#[test]
fn the_guest_gets_the_firmware_s_features_without_debug_swap() {
    let own = SevFeatures::SNP | SevFeatures::BTB_ISOLATION | SevFeatures::DEBUG_SWAP;
    let guest = SevFeatures::SNP | SevFeatures::BTB_ISOLATION;
    assert_eq!(guest_features(own.status()), guest);
}
