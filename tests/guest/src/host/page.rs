//! The page protocol: a request is made in a copy of the GHCB, and so is the answer read.
//!
//! The copy is 4 KiB of a small stack: no function with one is inlined into another.

use protocols::addr::{Gpa, GpaPage};
use protocols::ghcb::{
    ApCreation, ApOperation, ExitCode, Ghcb, GhcbField, GuestRequestResult, IoSize, IoioInfo,
    MsrValue, PSC_MAX_ENTRIES, PscEntry, PscHeader, PscOperation, PscResult, Response,
    SHARED_BUFFER_OFFSET, SHARED_BUFFER_SIZE,
};
use protocols::snp::{SevFeatures, Vmpl};
use zerocopy::{FromBytes, IntoBytes};

use crate::arch::cpu::{Registers, vmgexit};
use crate::arch::memory;

const COM1: u16 = 0x3f8;
/// The segment register of OUTS: DS.
const DS: u8 = 3;

/// Address of the GHCB's shared buffer.
fn shared_buffer() -> u64 {
    super::ghcb() + SHARED_BUFFER_OFFSET as u64
}

/// Writes the GHCB, exits with `registers`, and reads the GHCB again.
fn exchange(ghcb: &mut Ghcb, registers: &mut Registers) -> Response {
    let page = super::ghcb();
    memory::write(page, ghcb);
    let _address = vmgexit(MsrValue::from_page(Gpa::new(page)), registers);
    memory::read_into(page, ghcb);
    ghcb.response()
}

fn request(ghcb: &mut Ghcb) -> bool {
    exchange(ghcb, &mut Registers::default()) == Response::NO_ACTION
}

/// OUT of one value.
#[inline(never)]
pub(crate) fn port_out(port: u16, size: IoSize, value: u32) -> bool {
    let mut ghcb = Ghcb::zeroed();
    ghcb.begin(ExitCode::IOIO, IoioInfo::port_out(port, size).0, 0);
    ghcb.set(GhcbField::RAX, u64::from(value));
    request(&mut ghcb)
}

/// IN of one value; ones if the host refuses.
#[inline(never)]
pub(crate) fn port_in(port: u16, size: IoSize) -> u32 {
    let mut ghcb = Ghcb::zeroed();
    ghcb.begin(ExitCode::IOIO, IoioInfo::port_in(port, size).0, 0);
    if request(&mut ghcb) {
        ghcb.get(GhcbField::RAX).map_or(u32::MAX, |rax| rax as u32)
    } else {
        u32::MAX
    }
}

/// Rests until the host starts another VMSA on this vCPU, or for ever.
#[inline(never)]
pub(crate) fn rest() -> ! {
    loop {
        let mut ghcb = Ghcb::zeroed();
        ghcb.begin(ExitCode::AP_RESET_HOLD, 0, 0);
        let _woken = request(&mut ghcb);
    }
}

/// Sends bytes to COM1 in as few exits as the shared buffer allows. Whether it worked is nobody's
/// to hear.
#[inline(never)]
pub(crate) fn write_serial(bytes: &[u8]) {
    let info = IoioInfo::port_out(COM1, IoSize::Byte).with_string(true, DS);
    for chunk in bytes.chunks(SHARED_BUFFER_SIZE) {
        let mut ghcb = Ghcb::zeroed();
        ghcb.begin(ExitCode::IOIO, info.0, chunk.len() as u64);
        ghcb.set(GhcbField::SCRATCH, shared_buffer());
        ghcb.shared_buffer[..chunk.len()].copy_from_slice(chunk);
        let _sent = request(&mut ghcb);
    }
}

/// Changes the state of pages, in as few exits as the shared buffer allows.
#[inline(never)]
pub(crate) fn change_pages(pages: impl Iterator<Item = GpaPage>, operation: PscOperation) -> bool {
    let mut pages = pages
        .filter_map(|page| PscEntry::new(page, operation))
        .peekable();
    while pages.peek().is_some() {
        let mut ghcb = Ghcb::zeroed();
        ghcb.begin(ExitCode::PAGE_STATE_CHANGE, 0, 0);
        ghcb.set(GhcbField::SCRATCH, shared_buffer());
        let mut count = 0;
        while count < PSC_MAX_ENTRIES
            && let Some(entry) = pages.next()
        {
            let at = size_of::<PscHeader>() + count * size_of::<PscEntry>();
            ghcb.shared_buffer[at..at + size_of::<PscEntry>()].copy_from_slice(entry.as_bytes());
            count += 1;
        }
        if !change_batch(&mut ghcb, count) {
            return false;
        }
    }
    true
}

/// Asks until the host is past the last entry, or fails, or makes no progress.
fn change_batch(ghcb: &mut Ghcb, count: usize) -> bool {
    let Some(mut header) = PscHeader::for_count(count) else {
        return false;
    };
    let entries = ghcb.shared_buffer;
    loop {
        ghcb.shared_buffer = entries;
        let head = &mut ghcb.shared_buffer[..size_of::<PscHeader>()];
        head.copy_from_slice(header.as_bytes());
        let answered = request(ghcb) && PscResult(ghcb.sw_exit_info2).is_success();
        let Ok((after, _)) = PscHeader::read_from_prefix(&ghcb.shared_buffer) else {
            return false;
        };
        if !answered || after.is_done() {
            return answered;
        }
        if after.cur_entry <= header.cur_entry {
            return false;
        }
        header = after;
        ghcb.begin(ExitCode::PAGE_STATE_CHANGE, 0, 0);
        ghcb.set(GhcbField::SCRATCH, shared_buffer());
    }
}

/// Tells the host which VMSA a vCPU is to run at a level.
#[inline(never)]
pub(crate) fn create_vcpu(apic_id: u32, level: Vmpl, vmsa: u64, features: SevFeatures) -> bool {
    ask_for_vcpu(ApOperation::CREATE, apic_id, level, vmsa, features)
}

/// Tells the host that a vCPU is to run nothing at a level any more.
pub(crate) fn destroy_vcpu(apic_id: u32, level: Vmpl, vmsa: u64) -> bool {
    let features = SevFeatures::empty();
    ask_for_vcpu(ApOperation::DESTROY, apic_id, level, vmsa, features)
}

fn ask_for_vcpu(
    operation: ApOperation,
    apic_id: u32,
    level: Vmpl,
    vmsa: u64,
    features: SevFeatures,
) -> bool {
    let creation = ApCreation {
        apic_id,
        vmpl: level.get(),
        operation,
    };
    let mut ghcb = Ghcb::zeroed();
    ghcb.begin(ExitCode::AP_CREATION, creation.exit_info1(), vmsa);
    ghcb.set(GhcbField::RAX, features.bits());
    request(&mut ghcb)
}

/// Has the host hand the message at `request` to the secure processor, and the answer be put at
/// `response`. With `data`, an address and a number of pages, it is an extended request; the
/// number of pages after it is given as well. None: the host takes it for malformed.
#[inline(never)]
pub(crate) fn guest_request(
    request: u64,
    response: u64,
    data: Option<(u64, u64)>,
) -> Option<(GuestRequestResult, Option<u64>)> {
    let mut ghcb = Ghcb::zeroed();
    match data {
        None => ghcb.begin(ExitCode::GUEST_REQUEST, request, response),
        Some((gpa, pages)) => {
            ghcb.begin(ExitCode::EXTENDED_GUEST_REQUEST, request, response);
            ghcb.set(GhcbField::RAX, gpa);
            ghcb.set(GhcbField::RBX, pages);
        }
    }
    let answered = exchange(&mut ghcb, &mut Registers::default()) == Response::NO_ACTION;
    answered.then(|| {
        let result = GuestRequestResult(ghcb.sw_exit_info2);
        (result, ghcb.get(GhcbField::RBX))
    })
}

/// Runs VMPL0 with an SVSM call in `registers`.
#[inline(never)]
pub(crate) fn run_vmpl0(registers: &mut Registers) -> bool {
    let mut ghcb = Ghcb::zeroed();
    ghcb.begin(ExitCode::RUN_VMPL, u64::from(Vmpl::VMPL0.get()), 0);
    exchange(&mut ghcb, registers) == Response::NO_ACTION
}
