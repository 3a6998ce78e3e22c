//! Both calls, against the model's secure processor.

mod bad_input;

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use protocols::addr::{GpaRange, PAGE_4K};
use protocols::ghcb::{ExitCode, GuestRequestResult};
use protocols::ovmf::Guid;
use protocols::snp::{AttestationReport, CertificateEntry, CertificateKind, GuestPolicy};
use protocols::svsm::{
    AttestBuffer, AttestNonce, AttestServices, AttestSingleService, GUID_EVENT_LOG,
    GUID_VTPM_SERVICE, ProtocolId, Request, ServicesManifestEntry, ServicesManifestHeader,
};
use zerocopy::FromBytes;

use super::*;
use crate::services::{Services, TpmDevice, TpmService};
use crate::testing::{Courier, World};

/// Where the guest has its buffers, as Linux does.
const REQUEST: u64 = World::CALLING_AREA + 8;
const NONCE: u64 = World::SMALL + 0x1_0fc0;
const REPORT: u64 = World::SMALL + 0x1_1000;
const MANIFEST: u64 = World::SMALL + 0x1_2000;
const CERTIFICATES: u64 = World::SMALL + 0x1_3000;
const BUFFERS_END: u64 = World::SMALL + 0x1_7000;

/// What the buffers hold before a call.
const UNTOUCHED: u8 = 0xa5;

struct NoTpm;

impl TpmDevice for NoTpm {
    fn execute(&mut self, _locality: u8, _command: &[u8], _response: &mut [u8; 4092]) -> usize {
        0
    }
}

/// TPMT_PUBLIC to whoever knows no TPM.
fn endorsement_key() -> Vec<u8> {
    (0..314u16).map(|at| at as u8).collect()
}

/// A guest whose firmware attests, with a TPM or without.
struct Scene {
    world: World,
    courier: Courier,
}

/// A call's result and its registers.
type Answer = (ResultCode, Arguments);

impl Scene {
    fn new(tpm: bool) -> Self {
        Self::with(tpm.then(|| TpmService::new(Box::new(NoTpm), endorsement_key(), None)))
    }

    fn with(tpm: Option<TpmService>) -> Self {
        let courier = Courier::new(GuestPolicy::MUST_BE_ONE);
        let mut world = World::new();
        world.machine.host.on_page(courier.honest());
        world.shared.offer(Services {
            attestation: Some(Lock::new(Attestation::new(courier.channel()).unwrap())),
            tpm,
        });
        let mut scene = Self { world, courier };
        scene.blank();
        scene
    }

    fn blank(&mut self) {
        let pages = vec![UNTOUCHED; (BUFFERS_END - REPORT) as usize];
        self.world.poke(REPORT, &pages);
        self.world.poke(NONCE, &[0x4e; 64]);
    }

    fn is_blank(&mut self) -> bool {
        let bytes: [u8; (BUFFERS_END - REPORT) as usize] = self.world.peek(REPORT);
        bytes.iter().all(|&byte| byte == UNTOUCHED)
    }

    fn call(&mut self, call: AttestationCall, request: &AttestSingleService) -> Answer {
        let bytes = match call {
            AttestationCall::SERVICES => request.services.as_bytes(),
            _ => request.as_bytes(),
        };
        self.world.poke(REQUEST, bytes);
        self.call_at(call, REQUEST)
    }

    fn call_at(&mut self, call: AttestationCall, rcx: u64) -> Answer {
        let rax = Request {
            protocol: ProtocolId::ATTESTATION,
            call: call.0,
        };
        let outcome = self.world.call_on(World::BSP, rax.rax(), preset(rcx));
        (outcome.result, outcome.arguments)
    }

    fn services(&mut self, request: AttestServices) -> Answer {
        let mut single = single(Guid([0; 16]), 0);
        single.services = request;
        self.call(AttestationCall::SERVICES, &single)
    }

    fn report(&mut self) -> AttestationReport {
        AttestationReport::read_from_bytes(&self.world.peek::<0x4a0>(REPORT)).unwrap()
    }

    /// The manifest, of this length.
    fn manifest(&mut self, len: u64) -> Vec<u8> {
        self.world.peek::<4096>(MANIFEST)[..len as usize].to_vec()
    }

    fn sent(&self) -> usize {
        self.courier.post().sent.len()
    }
}

/// Registers as Linux presets them.
fn preset(rcx: u64) -> Arguments {
    Arguments {
        rcx,
        rdx: u64::MAX,
        r8: u64::MAX,
        r9: 0x99,
    }
}

fn buffer(gpa: u64, size: u32) -> AttestBuffer {
    AttestBuffer {
        gpa,
        size,
        reserved: 0,
    }
}

/// The buffers of Linux: a page, a page, four pages.
fn linux() -> AttestServices {
    AttestServices {
        report: buffer(REPORT, 0x1000),
        nonce: AttestNonce {
            gpa: NONCE,
            size: 64,
            reserved: [0; 6],
        },
        manifest: buffer(MANIFEST, 0x1000),
        certificates: buffer(CERTIFICATES, 0x4000),
    }
}

fn single(service: Guid, manifest_version: u32) -> AttestSingleService {
    AttestSingleService {
        services: linux(),
        service,
        manifest_version,
        reserved: 0,
    }
}

/// A table with one certificate of that length.
fn table(len: usize) -> Vec<u8> {
    let entry = CertificateEntry {
        kind: CertificateKind::VCEK,
        offset: 48,
        length: len as u32,
    };
    let certificate = (0..len).map(|at| at as u8 | 1);
    let head = entry.as_bytes().iter().copied().chain([0; 24]);
    head.chain(certificate).collect()
}

fn digest(nonce: &[u8], manifest: &[u8]) -> [u8; 64] {
    Sha512::digest([nonce, manifest].concat()).into()
}

#[test]
fn the_services_manifest_is_bound_to_the_nonce_in_a_report_of_vmpl0() {
    for tpm in [false, true] {
        let mut scene = Scene::new(tpm);
        scene.courier.post().certificates = table(1000);
        let (result, registers) = scene.services(linux());
        assert_eq!(result, ResultCode::SUCCESS);
        let len = if tpm { 24 + 24 + 314 } else { 24 };
        let expected = Arguments {
            rcx: len,
            rdx: 1048,
            r8: 0x4a0,
            r9: 0x99,
        };
        assert_eq!(registers, expected);

        let manifest = scene.manifest(len);
        let (header, rest) = ServicesManifestHeader::read_from_prefix(&manifest).unwrap();
        assert_eq!(
            std::format!("{}", header.guid),
            "63849ebb-3d92-4670-a1ff-58f9c94b87bb"
        );
        assert_eq!(
            (u64::from(header.size), header.count),
            (len, u32::from(tpm))
        );
        if tpm {
            let (entry, _) = ServicesManifestEntry::read_from_prefix(rest).unwrap();
            assert_eq!(
                (entry.guid, entry.offset, entry.size),
                (GUID_VTPM_SERVICE, 48, 314)
            );
            assert_eq!(manifest[48..], endorsement_key());
        }

        let report = scene.report();
        assert_eq!(report.vmpl, 0);
        assert_eq!(report.report_data, digest(&[0x4e; 64], &manifest));
        assert_eq!(scene.world.peek::<1048>(CERTIFICATES)[..], table(1000));
        // Nothing is written beyond the lengths.
        let ends = [(REPORT, 0x4a0), (MANIFEST, len), (CERTIFICATES, 1048)];
        for (start, len) in ends {
            assert_eq!(scene.world.peek::<1>(start + len), [UNTOUCHED]);
        }
    }
}

#[test]
fn a_single_service_has_its_own_manifest_and_nothing_else() {
    let mut scene = Scene::new(true);
    let request = single(GUID_VTPM_SERVICE, 0);
    let (result, registers) = scene.call(AttestationCall::SINGLE_SERVICE, &request);
    assert_eq!(result, ResultCode::SUCCESS);
    assert_eq!(
        (registers.rcx, registers.rdx, registers.r8),
        (314, 0, 0x4a0)
    );
    assert_eq!(scene.manifest(314), endorsement_key());
    assert_eq!(
        scene.report().report_data,
        digest(&[0x4e; 64], &endorsement_key())
    );
}

#[test]
fn the_firmware_s_own_event_log_is_a_service_of_the_manifest() {
    let log = b"what was measured".to_vec();
    let tpm = || TpmService::new(Box::new(NoTpm), endorsement_key(), Some(log.clone()));
    let mut scene = Scene::with(Some(tpm()));
    let (result, registers) = scene.services(linux());
    assert_eq!(result, ResultCode::SUCCESS);
    let manifest = scene.manifest(registers.rcx);
    let (header, rest) = ServicesManifestHeader::read_from_prefix(&manifest).unwrap();
    assert_eq!((header.size as usize, header.count), (manifest.len(), 2));
    let ([first, second], bytes) = <[ServicesManifestEntry; 2]>::read_from_prefix(rest).unwrap();
    assert_eq!(
        (first.guid, first.offset, first.size),
        (GUID_VTPM_SERVICE, 72, 314)
    );
    assert_eq!(
        (second.guid, second.offset, second.size),
        (GUID_EVENT_LOG, 72 + 314, 17)
    );
    assert_eq!(bytes, [endorsement_key(), log.clone()].concat());
    assert_eq!(scene.report().report_data, digest(&[0x4e; 64], &manifest));

    let mut scene = Scene::with(Some(tpm()));
    let request = single(GUID_EVENT_LOG, 0);
    let (result, registers) = scene.call(AttestationCall::SINGLE_SERVICE, &request);
    assert_eq!((result, registers.rcx), (ResultCode::SUCCESS, 17));
    assert_eq!(scene.manifest(17), log);
}

#[test]
fn unknown_services_and_versions_are_refused() {
    let mut scene = Scene::new(true);
    for (service, version) in [
        (Guid([0; 16]), 0),
        (protocols::svsm::GUID_SERVICES_MANIFEST, 0),
        (GUID_VTPM_SERVICE, 1),
        (GUID_VTPM_SERVICE, u32::MAX),
        // There is none: nothing was measured.
        (GUID_EVENT_LOG, 0),
    ] {
        let answer = scene.call(AttestationCall::SINGLE_SERVICE, &single(service, version));
        assert_eq!(answer, (ResultCode::INVALID_PARAMETER, preset(REQUEST)));
    }
    assert_eq!(scene.sent(), 0);
    // Without a TPM its service is unknown as well.
    let mut scene = Scene::new(false);
    let request = single(GUID_VTPM_SERVICE, 0);
    let (result, _) = scene.call(AttestationCall::SINGLE_SERVICE, &request);
    assert_eq!(result, ResultCode::INVALID_PARAMETER);
    let (result, _) = scene.call(AttestationCall(2), &request);
    assert_eq!(result, ResultCode::UNSUPPORTED_CALL);
}

/// Linux's way to buffers that are large enough, from whatever it begins with.
fn as_linux_does(scene: &mut Scene, sizes: [u32; 3]) -> (ResultCode, usize, [u64; 3]) {
    let mut sizes = sizes;
    for round in 0..=3 {
        let [report, manifest, certificates] = sizes;
        let mut request = linux();
        request.report.size = report;
        request.manifest.size = manifest;
        request.certificates.size = certificates;
        let (result, registers) = scene.services(request);
        // What was not written stays what it was before.
        let told = |register: u64, preset: u64, size: u32| match register == preset {
            true => u64::from(size),
            false => register,
        };
        let lengths = [
            told(registers.r8, u64::MAX, report),
            told(registers.rcx, REQUEST, manifest),
            told(registers.rdx, u64::MAX, certificates),
        ];
        let larger: Vec<_> = lengths
            .iter()
            .zip(sizes)
            .map(|(&len, size)| len > size.into())
            .collect();
        if result != ResultCode::INVALID_PARAMETER || !larger.contains(&true) {
            return (result, round, lengths);
        }
        for (size, len) in sizes.iter_mut().zip(lengths) {
            if len > u64::from(*size) {
                *size = len.next_multiple_of(PAGE_4K) as u32;
            }
        }
    }
    panic!("Linux gives up");
}

#[test]
fn too_small_buffers_are_told_their_lengths() {
    for (sizes, rounds) in [
        ([0x1000, 0x1000, 0x4000], 0),
        ([0x4a0, 362, 0x3048], 0),
        ([0x49f, 361, 0x3047], 2),
        ([0, 0, 1], 2),
        ([0x1000, 0x1000, 0x1000], 1),
        ([0x1000, 0, 0x4000], 1),
    ] {
        let mut scene = Scene::new(true);
        scene.courier.post().certificates = table(0x3018);
        let found = as_linux_does(&mut scene, sizes);
        let lengths = [0x4a0, 362, 0x3048];
        assert_eq!(found, (ResultCode::SUCCESS, rounds, lengths), "{sizes:x?}");
        assert_eq!(scene.world.peek::<0x3048>(CERTIFICATES)[..], table(0x3018));
    }
}

#[test]
fn a_buffer_that_is_too_small_is_not_written_and_neither_are_the_others() {
    let mut scene = Scene::new(true);
    scene.courier.post().certificates = table(0x1000);
    let sizes = [
        (0x49f, 0x1000, 0x4000),
        (0x4a0, 361, 0x4000),
        (0x4a0, 362, 0x1000),
    ];
    for (report, manifest, certificates) in sizes {
        let mut request = linux();
        request.report.size = report;
        request.manifest.size = manifest;
        request.certificates.size = certificates;
        let (result, registers) = scene.services(request);
        assert_eq!(result, ResultCode::INVALID_PARAMETER);
        assert_eq!((registers.rcx, registers.r8), (362, 0x4a0));
        assert!(scene.is_blank());
    }
}

#[test]
fn who_wants_no_certificates_is_asked_for_none() {
    let mut scene = Scene::new(true);
    scene.courier.post().certificates = table(100);
    let mut request = linux();
    // The address is of no interest then.
    request.certificates = buffer(u64::MAX, 0);
    let (result, registers) = scene.services(request);
    assert_eq!((result, registers.rdx), (ResultCode::SUCCESS, 0));
    assert_eq!(scene.courier.post().sent[0].0, ExitCode::GUEST_REQUEST);
}

#[test]
fn threat_55_a_table_that_makes_no_sense_is_none() {
    let entry = |offset: u32, length: u32| CertificateEntry {
        kind: CertificateKind::ARK,
        offset,
        length,
    };
    let mut endless = vec![1; CERTIFICATE_BYTES];
    endless[..24].copy_from_slice(entry(24, 24).as_bytes());
    for bytes in [
        entry(0x4000, 1).as_bytes().to_vec(),
        entry(u32::MAX, u32::MAX).as_bytes().to_vec(),
        entry(0, 0x4001).as_bytes().to_vec(),
        [entry(48, 8).as_bytes(), entry(1, u32::MAX).as_bytes()].concat(),
        vec![0; 24],
        endless,
    ] {
        let mut scene = Scene::new(true);
        scene.courier.post().certificates = bytes;
        let (result, registers) = scene.services(linux());
        assert_eq!((result, registers.rdx), (ResultCode::SUCCESS, 0));
        assert_eq!(scene.world.peek::<1>(CERTIFICATES), [UNTOUCHED]);
    }
    // As large as there is room for is well.
    let mut scene = Scene::new(true);
    scene.courier.post().certificates = table(CERTIFICATE_BYTES - 48);
    let (result, registers) = scene.services(linux());
    assert_eq!((result, registers.rdx), (ResultCode::SUCCESS, 0x4000));
}

#[test]
fn certificates_that_need_more_pages_than_there_are_stay_away() {
    let mut scene = Scene::new(true);
    scene.courier.post().certificates = table(CERTIFICATE_BYTES);
    let (result, registers) = scene.services(linux());
    assert_eq!((result, registers.rdx), (ResultCode::SUCCESS, 0));
    assert_eq!(scene.report().vmpl, 0);
}

#[test]
fn threat_50_after_a_doubt_the_guest_is_told_for_ever_and_the_log_once() {
    let mut scene = Scene::new(true);
    assert_eq!(scene.services(linux()).0, ResultCode::SUCCESS);
    scene.blank();
    let dropped = scene.courier.carried_by(Box::new(|_, _| 0));
    scene.world.machine.host.on_page(dropped);
    for _ in 0..3 {
        let answer = scene.services(linux());
        assert_eq!(answer, (ResultCode::ATTESTATION_NO_KEY, preset(REQUEST)));
        scene.world.machine.host.on_page(scene.courier.honest());
    }
    assert_eq!(scene.sent(), 2);
    assert!(scene.is_blank());
    let said = "no attestation any more: the answer has another sequence number: VMPCK0 is wiped";
    assert_eq!(scene.world.machine.log, [said]);
    // The guest goes on.
    let core = scene
        .world
        .core(protocols::svsm::CoreCall::QUERY_PROTOCOL, 1, 0, 0);
    assert_eq!(core, ResultCode::SUCCESS);
}

#[test]
fn a_host_that_is_busy_for_ever_costs_a_call_and_no_key() {
    let mut scene = Scene::new(true);
    let busy = |_: &mut crate::testing::Post, _: &mut protocols::ghcb::Ghcb| {
        GuestRequestResult::new(GuestRequestResult::HOST_BUSY, 0).0
    };
    let busy = scene.courier.carried_by(Box::new(busy));
    scene.world.machine.host.on_page(busy);
    let answer = scene.services(linux());
    assert_eq!(answer, (ResultCode::ATTESTATION_HOST_BUSY, preset(REQUEST)));
    scene.world.machine.host.on_page(scene.courier.honest());
    assert_eq!(scene.services(linux()).0, ResultCode::SUCCESS);
}

#[test]
fn threat_60_the_own_report_shows_the_policy() {
    let courier = Courier::new(GuestPolicy::MUST_BE_ONE | GuestPolicy::DEBUG);
    let mut world = World::new();
    world.machine.host.on_page(courier.honest());
    let mut attestation = Attestation::new(courier.channel()).unwrap();
    let report = *attestation.own_report(&mut world.machine).unwrap();
    assert_eq!(report.report_data, [0; 64]);
    let judged = crate::keys::may_hold_keys(&report);
    assert_eq!(judged, Err(crate::keys::KeysRefused::Debug));
}

#[test]
fn threat_56_no_nonce_takes_over_the_head_of_a_manifest() {
    let mut scene = Scene::new(true);
    for size in [0, 1, 16, 63, 65, 64 + 48, u16::MAX] {
        let mut request = linux();
        request.nonce.gpa = World::SMALL + 0x1_0000;
        request.nonce.size = size;
        let answer = scene.services(request);
        assert_eq!(answer, (ResultCode::INVALID_PARAMETER, preset(REQUEST)));
    }
    assert_eq!(scene.sent(), 0);
}

fn pages(start: u64, end: u64) -> GpaRange {
    crate::testing::range(start, end - start)
}
