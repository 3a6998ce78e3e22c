//! Calls whose answer is certain, whatever the other vCPUs do.

use protocols::addr::PAGE_4K;
use protocols::snp::{EFER_SVME, Vmsa};
use protocols::svsm::{
    CoreCall, ProtocolId, ProtocolQuery, PvalidateEntry, PvalidateHeader, Request, SvsmResult,
};

use super::mortal;
use super::worker::Worker;
use crate::arch::memory;
use crate::list::List;
use crate::lives::vmsa_of;
use crate::playground::is_ordinary;
use crate::svsm::{self, Transport, UNKNOWN_CALL};
use crate::vcpus::free_page;

/// The worker's page for VMSAs that are refused.
const SPARE: u64 = 0;
/// The worker's page for lists.
pub(super) const LIST: u64 = 1;
/// The worker's page for the calling areas of such VMSAs.
const SPARE_AREA: u64 = 2;

/// One of them.
pub(super) fn step(worker: &mut Worker) {
    match worker.noise.below(12) {
        0..3 => query(worker),
        3 => configure_vtom(worker),
        4 => unknown(worker),
        5 => not_pending(worker),
        6..9 => unusable(worker),
        9 => malformed_list(worker),
        _ => refused_vmsa(worker),
    }
}

fn query(worker: &mut Worker) {
    let protocol =
        worker
            .noise
            .of_these([ProtocolId::CORE, ProtocolId(0x77), ProtocolId(u32::MAX)]);
    let version = worker.noise.of_these([1, 1, 0, 2, u32::MAX]);
    let rcx = ProtocolQuery { protocol, version }.rcx();
    let reply = worker.core(CoreCall::QUERY_PROTOCOL, rcx);
    worker.expect("query_protocol", reply, &[SvsmResult::SUCCESS]);
    let want = match (protocol, version) {
        (ProtocolId::CORE, 1) => ProtocolQuery::answer(1, 1),
        _ => ProtocolQuery::NOT_OFFERED,
    };
    let [rcx, ..] = reply.values;
    if rcx != want {
        worker.fail("query_protocol/RCX", rcx);
    }
}

fn configure_vtom(worker: &mut Worker) {
    let rcx = worker.noise.next();
    let reply = worker.core(CoreCall::CONFIGURE_VTOM, rcx);
    let want = match rcx & 1 {
        1 => SvsmResult::SUCCESS,
        _ => SvsmResult::INVALID_REQUEST,
    };
    worker.expect("configure_vtom", reply, &[want]);
}

fn unknown(worker: &mut Worker) {
    let arguments = [0; 4].map(|_: u64| worker.noise.next());
    let call = 8 + worker.noise.next() as u32 % 0x7fff_0000;
    let protocol = ProtocolId(0x100 + worker.noise.next() as u32 % 0x7fff_0000);
    let (request, want) = match worker.noise.one_in(2) {
        true => (
            Request {
                protocol: ProtocolId::CORE,
                call,
            },
            SvsmResult::UNSUPPORTED_CALL,
        ),
        false => (Request { protocol, call }, SvsmResult::UNSUPPORTED_PROTOCOL),
    };
    let reply = worker.call(request, arguments);
    worker.expect("unknown call", reply, &[want]);
    if reply.values != arguments {
        worker.fail("registers after an unknown call", reply.values[0]);
    }
}

/// VMPL0 is run without a request, or with one that is none.
fn not_pending(worker: &mut Worker) {
    if worker.mortal {
        // What is not taken cannot be told from what was not heard.
        return;
    }
    let pending = worker.noise.of_these([0, 0, 2, 0xff]);
    let transport = worker.noise.of_these([Transport::Msr, Transport::Page]);
    let reply = svsm::exit(transport, pending, UNKNOWN_CALL.rax(), [0; 4]);
    let want = match pending {
        0 => SvsmResult(UNKNOWN_CALL.rax()),
        _ => SvsmResult::INVALID_FORMAT,
    };
    worker.expect("no request", reply, &[want]);
    worker.holds("no request/call_pending", reply.pending == 0);
}

/// Addresses that no call may take, and addresses that are none.
fn unusable(worker: &mut Worker) {
    let pages = worker.unusable;
    let gpa = worker.noise.of_these(pages);
    let offset = worker.noise.of_these([0, 0, 1, 4, 0x804]);
    let refused = match offset {
        0 => SvsmResult::INVALID_ADDRESS,
        _ => SvsmResult::INVALID_PARAMETER,
    };
    let spare = free_page(worker.vcpu, SPARE).gpa().get();
    let area = free_page(worker.vcpu, SPARE_AREA).gpa().get();
    let own = worker.vcpu as u64;
    let at = gpa + offset;
    let (call, arguments, want) = match worker.noise.below(5) {
        0 => (CoreCall::REMAP_CA, [at, 0, 0, 0], refused),
        1 => (CoreCall::PVALIDATE, [at, 0, 0, 0], refused),
        2 => (CoreCall::CREATE_VCPU, [at, area, own, 0], refused),
        3 => (CoreCall::CREATE_VCPU, [spare, at, own, 0], refused),
        _ => (
            CoreCall::DELETE_VCPU,
            [at, 0, 0, 0],
            SvsmResult::INVALID_PARAMETER,
        ),
    };
    let reply = worker.call(Request::core(call), arguments);
    worker.expect("an unusable address", reply, &[want]);
}

/// Lists with something wrong; nothing may be done of them.
fn malformed_list(worker: &mut Worker) {
    let list = List(free_page(worker.vcpu, LIST).gpa().get());
    let good = PvalidateEntry::new(free_page(worker.vcpu, SPARE), true);
    let pages = worker.unusable;
    let page = worker.noise.of_these(pages);
    let at_end = List(list.0 + PAGE_4K - 16);
    let header = PvalidateHeader::new(1);
    let parameter = SvsmResult::INVALID_PARAMETER;
    let (list, header, entry, want) = match worker.noise.below(7) {
        0 => (list, PvalidateHeader::new(0), good, parameter),
        1 => (list, PvalidateHeader { next: 1, ..header }, good, parameter),
        2 => (
            list,
            PvalidateHeader {
                reserved: 1,
                ..header
            },
            good,
            parameter,
        ),
        3 => (at_end, PvalidateHeader::new(2), good, parameter),
        4 => (list, header, PvalidateEntry(good.0 | 0x10), parameter),
        5 => (list, header, PvalidateEntry(good.0 | 2), parameter),
        _ => (
            list,
            header,
            PvalidateEntry(page | 4),
            SvsmResult::INVALID_ADDRESS,
        ),
    };
    list.write(header, &[entry]);
    let reply = worker.core(CoreCall::PVALIDATE, list.0);
    worker.expect("a malformed list", reply, &[want]);
    worker.holds("a malformed list/next", list.next() == header.next);
}

/// A VMSA with something wrong keeps its content, and its page stays ordinary memory.
fn refused_vmsa(worker: &mut Worker) {
    let page = free_page(worker.vcpu, SPARE);
    let area = free_page(worker.vcpu, SPARE_AREA);
    let stack = memory::stacks_of(worker.vcpu)[0];
    let mut content = vmsa_of(worker.vcpu, mortal::never, stack, 0);
    let own = worker.vcpu as u64;
    let (mut apic_id, mut area) = (own, area.gpa().get());
    let mut want = SvsmResult::INVALID_PARAMETER;
    match worker.noise.below(6) {
        0 => content.vmpl = worker.noise.of_these([0, 1, 3, 4, 0xff]),
        1 => content.efer &= !EFER_SVME,
        2 => content.sev_features ^= 1 << worker.noise.below(64),
        3 => {
            apic_id = worker
                .noise
                .of_these([own + 0x7700, u64::MAX, own | 1 << 32])
        }
        4 => area = page.gpa().get(),
        _ => {
            area = svsm::calling_area();
            want = SvsmResult::INVALID_ADDRESS;
        }
    }
    memory::write(page.gpa().get(), &content);
    let request = Request::core(CoreCall::CREATE_VCPU);
    let reply = worker.call(request, [page.gpa().get(), area, apic_id, 0]);
    worker.expect("a refused VMSA", reply, &[want]);
    let kept: Vmsa = memory::read(page.gpa().get());
    worker.holds("a refused VMSA/content", kept.rip == content.rip);
    worker.holds(
        "a refused VMSA/is ordinary memory",
        is_ordinary(page).is_ok(),
    );
}
