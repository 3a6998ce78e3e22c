//! Protocol 1: reports of VMPL0. Who signed them is looked at on the host, not here.

use protocols::addr::PAGE_4K;
use protocols::snp::{AttestationReport, CertificateEntry, CertificateKind, GuestPolicy};
use protocols::svsm::{
    AttestBuffer, AttestNonce, AttestServices, AttestSingleService, AttestationCall, CoreCall,
    GUID_SERVICES_MANIFEST, GUID_VTPM_SERVICE, ProtocolId, ProtocolQuery, Request,
    ServicesManifestEntry, ServicesManifestHeader, SvsmResult,
};
use sha2::{Digest, Sha512};
use zerocopy::FromZeros;

use super::unusable;
use crate::arch::memory;
use crate::check::{Check, Failure, Outcome, check, holds, refused, result, same, succeeds};
use crate::console::println;
use crate::playground::{Area, holds_only};
use crate::svsm::{self, Reply, Transport};

pub(crate) const CHECKS: &[Check] = &[
    check("attestation/version 1 is offered", offered),
    check("attestation/all services", || with_reports(all_services)),
    check("attestation/all services, by the GHCB page", || {
        with_reports(by_page)
    }),
    check("attestation/the vTPM alone", || with_reports(vtpm)),
    check("attestation/no certificates are wanted", || {
        with_reports(no_certificates)
    }),
    check("attestation/too small buffers", || with_reports(too_small)),
    check("attestation/unknown services, versions and calls", unknown),
    check("attestation/unusable addresses", unusable_addresses),
    check("attestation/buffers over the end of memory", over_the_end),
    check("attestation/wrong alignment", misaligned),
    check("attestation/across the end of a page", across),
    check("attestation/reserved bytes, other nonces", malformed),
];

const REQUEST: u64 = at(0x80);
const NONCE: u64 = at(0x81) - 64;
const REPORT: u64 = at(0x81);
const MANIFEST: u64 = at(0x82);
const CERTIFICATES: u64 = at(0x83);
const CERTIFICATES_SIZE: u64 = 4 * PAGE_4K;

/// What the buffers hold before a call.
const UNTOUCHED: u64 = 0xa5a5_a5a5_a5a5_a5a5;
/// What RDX and R8 hold before a call, as Linux has it.
const PRESET: u64 = u64::MAX;
const REPORT_SIZE: u64 = size_of::<AttestationReport>() as u64;

const fn at(page: u64) -> u64 {
    Area::WORK.page(page).gpa().get()
}

fn nonce() -> [u8; 64] {
    core::array::from_fn(|at| at as u8 ^ 0x5a)
}

const fn buffer(gpa: u64, size: u64) -> AttestBuffer {
    AttestBuffer {
        gpa,
        size: size as u32,
        reserved: 0,
    }
}

fn usual() -> AttestSingleService {
    let mut request = AttestSingleService::new_zeroed();
    request.services = AttestServices {
        report: buffer(REPORT, PAGE_4K),
        nonce: AttestNonce {
            gpa: NONCE,
            size: 64,
            reserved: [0; 6],
        },
        manifest: buffer(MANIFEST, PAGE_4K),
        certificates: buffer(CERTIFICATES, CERTIFICATES_SIZE),
    };
    request.service = GUID_VTPM_SERVICE;
    request
}

fn attest_by(transport: Transport, call: AttestationCall, rcx: u64) -> Reply {
    memory::fill(REPORT, CERTIFICATES + CERTIFICATES_SIZE - REPORT, UNTOUCHED);
    memory::write(NONCE, &nonce());
    let call = Request {
        protocol: ProtocolId::ATTESTATION,
        call: call.0,
    };
    svsm::call_by(transport, call, [rcx, PRESET, PRESET, 0])
}

fn attest(call: AttestationCall, request: &AttestSingleService) -> Reply {
    memory::write(REQUEST, request);
    attest_by(Transport::Msr, call, REQUEST)
}

fn services(change: impl Fn(&mut AttestServices)) -> Reply {
    let mut request = usual();
    change(&mut request.services);
    attest(AttestationCall::SERVICES, &request)
}

/// Nothing was written, and no length told.
fn nothing_was_done(reply: Reply) -> Outcome {
    same("RCX", reply.values[0], REQUEST)?;
    same("RDX", reply.values[1], PRESET)?;
    same("R8", reply.values[2], PRESET)?;
    nothing_was_written()
}

fn nothing_was_written() -> Outcome {
    (0x81..0x87).try_for_each(|page| holds_only("a buffer", Area::WORK.page(page), UNTOUCHED))
}

fn is_refused(what: &'static str, reply: Reply, want: SvsmResult) -> Outcome {
    refused(what, reply, want)?;
    nothing_was_done(reply)
}

fn offered() -> Outcome {
    let protocol = ProtocolId::ATTESTATION;
    for (version, want) in [(0, 0), (1, ProtocolQuery::answer(1, 1)), (2, 0)] {
        let rcx = ProtocolQuery { protocol, version }.rcx();
        let reply = svsm::core(CoreCall::QUERY_PROTOCOL, rcx);
        succeeds("result", reply)?;
        same("RCX", reply.values[0], want)?;
    }
    Ok(())
}

/// What a call that was done has left: the report is over nonce and manifest. Returns the lengths
/// of manifest and certificates.
#[inline(never)]
fn is_attested(reply: Reply) -> Result<[u64; 2], Failure> {
    succeeds("result", reply)?;
    let [manifest, certificates, report, _] = reply.values;
    same("length of the report", report, REPORT_SIZE)?;
    holds("length of the manifest", (1..=PAGE_4K).contains(&manifest))?;
    let report: AttestationReport = memory::read(REPORT);
    same("VMPL of the report", report.vmpl, 0u32)?;
    let policy = GuestPolicy::from_bits_retain(report.policy);
    holds("policy", policy.contains(GuestPolicy::MUST_BE_ONE))?;
    holds("version", [2, 3, 5].contains(&report.version))?;
    holds("measurement", report.measurement != [0; 48])?;
    let bytes: [u8; PAGE_4K as usize] = memory::read(MANIFEST);
    let (manifest_bytes, behind) = bytes.split_at(manifest as usize);
    let digest = Sha512::new_with_prefix(nonce()).chain_update(manifest_bytes);
    holds("report data", digest.finalize()[..] == report.report_data)?;
    holds(
        "behind the manifest",
        behind.iter().all(|&byte| byte == UNTOUCHED as u8),
    )?;
    let behind: u64 = memory::read(REPORT + REPORT_SIZE);
    same("behind the report", behind, UNTOUCHED)?;
    Ok([manifest, certificates])
}

#[inline(never)]
fn is_complete(reply: Reply) -> Outcome {
    let [manifest, certificates] = is_attested(reply)?;
    let header: ServicesManifestHeader = memory::read(MANIFEST);
    holds(
        "GUID of the manifest",
        header.guid == GUID_SERVICES_MANIFEST,
    )?;
    same("size in the manifest", header.size, manifest)?;
    holds("number of services", header.count <= 1)?;
    if header.count == 1 {
        let entry: ServicesManifestEntry = memory::read(MANIFEST + size_of_val(&header) as u64);
        holds("the service is the vTPM", entry.guid == GUID_VTPM_SERVICE)?;
        same("its manifest begins", entry.offset, 48u32)?;
        same(
            "its manifest ends",
            u64::from(entry.offset + entry.size),
            manifest,
        )?;
    }
    let first: CertificateEntry = memory::read(CERTIFICATES);
    holds(
        "the chip's certificate",
        first.kind == CertificateKind::VCEK,
    )?;
    let end = u64::from(first.offset + first.length);
    holds("it is in the buffer", (48..=certificates).contains(&end))?;
    holds(
        "length of the certificates",
        certificates <= CERTIFICATES_SIZE,
    )
}

/// Makes a check that needs reports. Under a host or a secure processor that lets VMPL0 have none,
/// looks at how the guest is told instead.
#[inline(never)]
fn with_reports(check: fn() -> Outcome) -> Outcome {
    let reply = services(|_| ());
    let told = [
        SvsmResult::ATTESTATION_NO_KEY,
        SvsmResult::ATTESTATION_HOST_BUSY,
        SvsmResult::ATTESTATION_REFUSED,
    ];
    if !told.contains(&reply.result) {
        return check();
    }
    println!("no report: result {:#x}", reply.result.0);
    nothing_was_done(reply)?;
    if reply.result == SvsmResult::ATTESTATION_NO_KEY {
        is_refused("for ever", services(|_| ()), reply.result)?;
        if has_vtpm()? {
            let single = attest(AttestationCall::SINGLE_SERVICE, &usual());
            is_refused("for ever, the vTPM", single, reply.result)?;
        }
    }
    // Everything else goes on.
    offered()
}

fn all_services() -> Outcome {
    is_complete(services(|_| ()))
}

fn by_page() -> Outcome {
    memory::write(REQUEST, &usual());
    is_complete(attest_by(
        Transport::Page,
        AttestationCall::SERVICES,
        REQUEST,
    ))
}

fn has_vtpm() -> Result<bool, Failure> {
    let rcx = ProtocolQuery {
        protocol: ProtocolId::VTPM,
        version: 1,
    };
    let reply = svsm::core(CoreCall::QUERY_PROTOCOL, rcx.rcx());
    succeeds("QUERY_PROTOCOL", reply)?;
    Ok(reply.values[0] != ProtocolQuery::NOT_OFFERED)
}

/// The manifest of the vTPM is the public area of an RSA key of 2,048 bits, as it stands in the
/// services manifest.
#[inline(never)]
fn vtpm() -> Outcome {
    if !has_vtpm()? {
        let reply = attest(AttestationCall::SINGLE_SERVICE, &usual());
        return is_refused("without a vTPM", reply, SvsmResult::INVALID_PARAMETER);
    }
    let [all, _] = is_attested(services(|_| ()))?;
    let within: [u8; PAGE_4K as usize - 48] = memory::read(MANIFEST + 48);
    let [alone, _] = is_attested(attest(AttestationCall::SINGLE_SERVICE, &usual()))?;
    same("length", alone, all - 48)?;
    let manifest: [u8; PAGE_4K as usize - 48] = memory::read(MANIFEST);
    let len = alone as usize;
    holds("the same bytes", manifest.get(..len) == within.get(..len))?;
    let [high, low, ..] = manifest;
    same(
        "type of the key: RSA",
        u16::from_be_bytes([high, low]),
        1u16,
    )
}

fn no_certificates() -> Outcome {
    // Where they would go is of no interest.
    let reply = services(|request| request.certificates = buffer(u64::MAX, 0));
    let [_, certificates] = is_attested(reply)?;
    same("length of the certificates", certificates, 0u64)?;
    holds_only("their buffer", Area::WORK.page(0x83), UNTOUCHED)
}

/// As Linux finds out what it needs.
#[inline(never)]
fn too_small() -> Outcome {
    let [manifest, certificates] = is_attested(services(|_| ()))?;
    let short: [fn(&mut AttestServices); 3] = [
        |request| request.report.size = REPORT_SIZE as u32 - 1,
        |request| request.manifest.size = 0,
        |request| request.certificates.size = 1,
    ];
    for (buffer, shorten) in short.into_iter().enumerate() {
        let reply = services(shorten);
        refused("result", reply, SvsmResult::INVALID_PARAMETER)?;
        same("length of the manifest", reply.values[0], manifest)?;
        // The host is not asked for certificates while something else is too small already.
        let told = if buffer == 2 { certificates } else { PRESET };
        same("length of the certificates", reply.values[1], told)?;
        same("length of the report", reply.values[2], REPORT_SIZE)?;
        nothing_was_written()?;
    }
    let reply = services(|request| {
        request.report.size = REPORT_SIZE as u32;
        request.manifest.size = manifest as u32;
        request.certificates.size = certificates as u32;
    });
    is_attested(reply).map(|_| ())
}

fn unknown() -> Outcome {
    let invalid = SvsmResult::INVALID_PARAMETER;
    let single = AttestationCall::SINGLE_SERVICE;
    let mut request = usual();
    for version in [1, u32::MAX] {
        request.manifest_version = version;
        is_refused("version of a manifest", attest(single, &request), invalid)?;
    }
    request.manifest_version = 0;
    for service in [protocols::ovmf::Guid([0; 16]), GUID_SERVICES_MANIFEST] {
        request.service = service;
        is_refused("service", attest(single, &request), invalid)?;
    }
    for call in [2, u32::MAX] {
        let reply = attest(AttestationCall(call), &usual());
        is_refused("call", reply, SvsmResult::UNSUPPORTED_CALL)?;
    }
    Ok(())
}

type Place = fn(&mut AttestServices) -> &mut u64;

const PLACES: [Place; 4] = [
    |request| &mut request.report.gpa,
    |request| &mut request.manifest.gpa,
    |request| &mut request.certificates.gpa,
    |request| &mut request.nonce.gpa,
];

#[inline(never)]
fn unusable_addresses() -> Outcome {
    for place in PLACES {
        unusable::are_refused(|gpa| services(|request| *place(request) = gpa))?;
        nothing_was_written()?;
    }
    let area = svsm::calling_area();
    for place in PLACES {
        let reply = services(|request| *place(request) = area);
        is_refused("the calling area", reply, SvsmResult::INVALID_ADDRESS)?;
        let not_validated = Area::INVALID.page(7).gpa().get();
        let reply = services(|request| *place(request) = not_validated);
        is_refused("not validated", reply, SvsmResult::INVALID_ADDRESS)?;
    }
    unusable::are_refused(|gpa| attest_by(Transport::Msr, AttestationCall::SERVICES, gpa))?;
    nothing_was_written()
}

fn over_the_end() -> Outcome {
    let invalid = SvsmResult::INVALID_ADDRESS;
    // Its first page is usable, what follows is the SVSM's.
    let before = svsm::described().base - PAGE_4K;
    let size = CERTIFICATES_SIZE;
    let reply = services(|request| request.certificates = buffer(before, size));
    is_refused("into the SVSM", reply, invalid)?;
    let high = 0u64.wrapping_sub(16 * PAGE_4K);
    for size in [PAGE_4K, u64::from(u32::MAX)] {
        let reply = services(|request| request.report = buffer(high, size));
        is_refused("report at the top of all addresses", reply, invalid)?;
        let reply = services(|request| request.manifest = buffer(high, size));
        is_refused("manifest at the top of all addresses", reply, invalid)?;
    }
    Ok(())
}

fn misaligned() -> Outcome {
    let invalid = SvsmResult::INVALID_PARAMETER;
    for place in &PLACES[..3] {
        for by in [1, 8, 0x800] {
            let reply = services(|request| *place(request) += by);
            is_refused("buffer", reply, invalid)?;
        }
    }
    memory::write(REQUEST + 4, &usual().services);
    let reply = attest_by(Transport::Msr, AttestationCall::SERVICES, REQUEST + 4);
    refused("request", reply, invalid)
}

fn across() -> Outcome {
    let invalid = SvsmResult::INVALID_PARAMETER;
    let reply = services(|request| request.nonce.gpa += 1);
    is_refused("nonce", reply, invalid)?;
    for (call, len) in [
        (AttestationCall::SERVICES, size_of::<AttestServices>()),
        (
            AttestationCall::SINGLE_SERVICE,
            size_of::<AttestSingleService>(),
        ),
    ] {
        let late = REQUEST + PAGE_4K - len as u64 + 8;
        refused("request", attest_by(Transport::Msr, call, late), invalid)?;
        nothing_was_written()?;
    }
    result(
        "top",
        attest_by(Transport::Msr, AttestationCall::SERVICES, u64::MAX - 7),
        invalid,
    )
}

fn malformed() -> Outcome {
    let changes: [fn(&mut AttestServices); 8] = [
        |request| request.report.reserved = 1,
        |request| request.nonce.reserved[5] = 1,
        |request| request.manifest.reserved = 1 << 31,
        |request| request.certificates.reserved = 1,
        |request| request.nonce.size = 0,
        |request| request.nonce.size = 63,
        |request| request.nonce.size = 65,
        |request| request.nonce.size = u16::MAX,
    ];
    for change in changes {
        is_refused("result", services(change), SvsmResult::INVALID_PARAMETER)?;
    }
    let mut request = usual();
    request.reserved = 1;
    let reply = attest(AttestationCall::SINGLE_SERVICE, &request);
    is_refused("single service", reply, SvsmResult::INVALID_PARAMETER)
}

/// Pages of each vCPU that asks at the same time as others: request and nonce, report, manifest.
const fn own_pages(index: usize) -> [u64; 3] {
    let first = 0x90 + 3 * index as u64;
    [at(first), at(first + 1), at(first + 2)]
}

/// Writes the request of one of several vCPUs, and says how it is made.
pub(super) fn prepare_own(index: usize) -> (Request, [u64; 4]) {
    let [request, report, manifest] = own_pages(index);
    let mut order = usual().services;
    (order.report.gpa, order.manifest.gpa) = (report, manifest);
    order.nonce.gpa = request + PAGE_4K - 64;
    order.certificates = buffer(0, 0);
    memory::write(request, &order);
    memory::write(order.nonce.gpa, &[index as u8; 64]);
    memory::fill(report, PAGE_4K, UNTOUCHED);
    let call = Request {
        protocol: ProtocolId::ATTESTATION,
        call: AttestationCall::SERVICES.0,
    };
    (call, [request, PRESET, PRESET, 0])
}

/// Its report is over its own nonce.
#[inline(never)]
pub(super) fn is_own(index: usize) -> Outcome {
    let [_, report, manifest] = own_pages(index);
    let report: AttestationReport = memory::read(report);
    let header: ServicesManifestHeader = memory::read(manifest);
    let bytes: [u8; PAGE_4K as usize] = memory::read(manifest);
    let manifest = bytes.get(..header.size as usize).unwrap_or_default();
    let digest = Sha512::new_with_prefix([index as u8; 64]).chain_update(manifest);
    holds("report data", digest.finalize()[..] == report.report_data)?;
    same("VMPL of the report", report.vmpl, 0u32)
}
