//! The three VMSAs that the vCPU runs. A successful CREATE_VCPU makes the SVSM serve the new VMSA
//! on this vCPU and no longer the old one, so each is the way to the next and there is no way back.

use protocols::addr::GpaPage;
use protocols::boot::layout::GUEST_CPUID_PAGE;
use protocols::snp::{CpuidPage, Segment, SevFeatures, Vmsa};
use protocols::svsm::{CoreCall, Request};

use crate::arch::exceptions::{gdt, idt};
use crate::arch::layout::PAGE_TABLES;
use crate::arch::{CODE64, DATA, cpu, exceptions, memory, percpu};
use crate::check::{Outcome, counts, holds, report, same, succeeds};
use crate::console::println;
use crate::playground::{self, Area};
use crate::svsm::{self, Reply, Transport};
use crate::{checks, end, host};

/// VMSA of the second life. Like every VMSA not aligned to 2 MiB.
pub(crate) const SECOND_VMSA: GpaPage = Area::WORK.page(0x10);
/// Calling area of the second life.
pub(crate) const SECOND_AREA: GpaPage = Area::WORK.page(0x11);
/// VMSA of the third life.
pub(crate) const THIRD_VMSA: GpaPage = Area::WORK.page(0x12);
/// Calling area of the third life.
pub(crate) const THIRD_AREA: GpaPage = Area::WORK.page(0x13);

/// What the next life finds in RDI: the VMSA's registers have to be those that were written.
const GREETING: u64 = 0x0005_11fe_c0de;
/// How often the host may return to a VMSA that it was told to leave.
const TRIES: usize = 3;

/// The VMSA that the launch made.
pub(crate) fn first() -> ! {
    checks::at_launch();
    report("playground/opened", playground::open());
    checks::in_first_life();
    let [_, stack] = memory::stacks();
    become_vcpu(SECOND_VMSA, SECOND_AREA, second, stack)
}

extern "C" fn second(greeting: u64) -> ! {
    report("vcpu/the second VMSA runs", born(greeting, SECOND_AREA));
    checks::in_second_life();
    // The first VMSA is never entered again.
    let [stack, _] = memory::stacks();
    become_vcpu(THIRD_VMSA, THIRD_AREA, third, stack)
}

extern "C" fn third(greeting: u64) -> ! {
    report("vcpu/the third VMSA runs", born(greeting, THIRD_AREA));
    checks::in_third_life();
    finish()
}

/// The entry of VMSAs that are to be refused.
pub(crate) extern "C" fn never(_greeting: u64) -> ! {
    report(
        "create_vcpu/a refused VMSA does not run",
        holds("refused", false),
    );
    finish()
}

/// The sum, and the end.
pub(crate) fn finish() -> ! {
    let (passed, failed) = counts();
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
        end::power_off()
    } else {
        end::terminate(end::Reason::ChecksFailed)
    }
}

/// A VMSA of the first vCPU that starts `entry` in 64-bit mode with this stack and [`GREETING`].
pub(crate) fn vmsa(entry: extern "C" fn(u64) -> !, stack: u64) -> Vmsa {
    vmsa_of(0, entry, stack, GREETING)
}

/// The same for any vCPU, with what `entry` is called with.
pub(crate) fn vmsa_of(
    vcpu: usize,
    entry: extern "C" fn(u64) -> !,
    stack: u64,
    argument: u64,
) -> Vmsa {
    // A function finds the stack as a call leaves it: 8 bytes below a multiple of 16.
    let rsp = stack - size_of::<u64>() as u64;
    let entry = entry as *const () as u64;
    let mut vmsa = Vmsa::long_mode_start(svsm::level(), features(), entry, rsp, PAGE_TABLES);
    vmsa.cs.selector = CODE64;
    for segment in [
        &mut vmsa.ds,
        &mut vmsa.es,
        &mut vmsa.ss,
        &mut vmsa.fs,
        &mut vmsa.gs,
    ] {
        segment.selector = DATA;
    }
    let table = |table: exceptions::Table| Segment::new(0, 0, table.limit.into(), table.base);
    (vmsa.gdtr, vmsa.idtr) = (table(gdt()), table(idt()));
    vmsa.gs.base = percpu::gs_base(vcpu);
    vmsa.rdi = argument;
    vmsa
}

/// SEV_FEATURES of the running VMSA, which every other one must have.
pub(crate) fn features() -> SevFeatures {
    cpu::sev_status().features()
}

/// APIC ID of the vCPU, as the CPUID page says.
#[inline(never)]
pub(crate) fn apic_id() -> u32 {
    const FEATURES: u32 = 1;
    const TOPOLOGY: u32 = 0xb;
    let page: CpuidPage = memory::read(GUEST_CPUID_PAGE);
    match page.lookup(TOPOLOGY, 0, 0, 0) {
        Some(topology) if topology.ebx != 0 => topology.edx,
        _ => page
            .lookup(FEATURES, 0, 0, 0)
            .map_or(0, |features| features.ebx >> 24),
    }
}

/// CREATE_VCPU.
pub(crate) fn create_vcpu(vmsa: u64, calling_area: u64, apic_id: u64) -> Reply {
    svsm::call(
        Request::core(CoreCall::CREATE_VCPU),
        [vmsa, calling_area, apic_id, 0],
    )
}

/// Makes a VMSA and goes on as that.
fn become_vcpu(page: GpaPage, area: GpaPage, entry: extern "C" fn(u64) -> !, stack: u64) -> ! {
    // call_pending of a fresh area is 0.
    memory::fill(area.gpa().get(), area.bytes(), 0);
    memory::fill(page.gpa().get(), page.bytes(), 0);
    memory::write(page.gpa().get(), &vmsa(entry, stack));
    let reply = create_vcpu(page.gpa().get(), area.gpa().get(), apic_id().into());
    let created = succeeds("result", reply);
    report("create_vcpu/as it should be", created);
    if created.is_ok() {
        let told = host::create_vcpu(apic_id(), svsm::level(), page.gpa().get(), features());
        let returned = holds("AP creation", told).and_then(|()| leave());
        report("vcpu/the host runs the new VMSA", returned);
    }
    finish()
}

/// Runs VMPL0 without a call: the host enters the new VMSA when it comes back to this level. So
/// what comes back here is wrong.
fn leave() -> Outcome {
    for _ in 0..TRIES {
        svsm::exit(Transport::Msr, 0, 0, [0; 4]);
    }
    holds("the old VMSA is left", false)
}

/// What the first instructions of a life find.
fn born(greeting: u64, area: GpaPage) -> Outcome {
    svsm::use_calling_area(area.gpa().get());
    let registered = host::register_ghcb();
    same("RDI", greeting, GREETING)?;
    holds("GHCB registration", registered)
}
