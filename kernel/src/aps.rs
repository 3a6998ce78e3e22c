//! The CPUs but the first: which there are, their making, and their first steps.
//!
//! Nothing waits for them. One that the host never starts takes part in nothing and is in nobody's
//! way. Who it is was decided when its VMSA was made: its stack and its data come with the VMSA's
//! registers, whatever vCPU the host runs it on, and the processor lets no VMSA run twice at a
//! time (threat 47).

use alloc::vec::Vec;
use core::convert::Infallible;
use core::sync::atomic::{AtomicUsize, Ordering};

use monitor::apic_ids::{self, LIST_BYTES, MAX_VCPUS};
use monitor::cpuid::CpuidTable;
use monitor::fatal::Fatal;
use monitor::ghcb_client::{create_vcpu, register};
use protocols::addr::Gpa;
use protocols::boot::HandOff;
use protocols::ghcb::{Ghcb, HvFeatures, RampartReason};
use protocols::snp::{SevFeatures, SevStatus, Vmpl, Vmsa};

use crate::arch::percpu::{self, Ap, PerCpu};
use crate::arch::{ap_entry, cpu, descriptors, exceptions};
use crate::boot::Memory;
use crate::console::log;
use crate::ghcb::Transport;
use crate::mm::ap_memory::{ApMemory, ApPages, read_shared, registered, share_ghcbs};
use crate::mm::space::KernelSpace;
use crate::{fatal, run};

/// How many have announced themselves.
static ANNOUNCED: AtomicUsize = AtomicUsize::new(0);

/// The CPUs but the first, in the order of their APIC IDs.
pub(crate) struct Aps {
    list: Vec<(u32, ApMemory)>,
    features: SevFeatures,
}

impl Aps {
    /// Finds out which CPUs there are beside the boot CPU, and makes their VMSAs.
    ///
    /// # Errors
    /// [`Fatal`] for a list of APIC IDs that cannot be right, and a host that does not play along.
    #[inline(never)]
    pub(crate) fn prepare(
        ghcb: &mut Ghcb,
        space: &mut KernelSpace,
        hand_off: &HandOff,
        cpuid: &CpuidTable,
        memory: &Memory,
    ) -> Result<Self, Fatal> {
        let features = SevStatus::from_bits_retain(hand_off.sev_status).features();
        let mut aps = Self {
            list: Vec::new(),
            features,
        };
        if memory.vp_count <= 1 {
            return Ok(aps);
        }
        let offered = HvFeatures::from_bits_retain(hand_off.hypervisor_features);
        if !offered.contains(HvFeatures::APIC_ID_LIST) {
            log!("the host offers no list of APIC IDs: one vCPU");
            return Ok(aps);
        }
        if !cpuid.has_invlpgb() {
            log!("no INVLPGB to flush other vCPUs with: one vCPU");
            return Ok(aps);
        }
        let mut pages = ApPages::new(memory.firmware.aps, cpuid.needs_eviction());
        pages.bring_up(space, 1)?;
        // The list comes in what is going to be the GHCB page of the first of them.
        let first = ApMemory::take(&mut pages, space, 0)?;
        let ids = ask_for_ids(ghcb, first, cpuid.apic_id(), memory.vp_count)?;
        let others = ids.get(1..).unwrap_or_default();
        aps.list
            .try_reserve_exact(others.len())
            .map_err(|_| Fatal::new(RampartReason::OutOfMemory))?;
        pages.bring_up(space, others.len().saturating_sub(1) as u64)?;
        for (index, &apic_id) in (0u64..).zip(others) {
            let memory = match index {
                0 => first,
                _ => ApMemory::take(&mut pages, space, index)?,
            };
            aps.list.push((apic_id, memory));
        }
        let shared = aps.list.iter().skip(1).map(|(_, memory)| memory.ghcb);
        share_ghcbs(ghcb, shared)?;
        for (apic_id, memory) in &aps.list {
            make(*apic_id, memory, features)?;
        }
        Ok(aps)
    }

    /// Their APIC IDs, behind that of the boot CPU.
    ///
    /// # Errors
    /// [`Fatal`] when there is no memory for the list.
    pub(crate) fn apic_ids(&self, boot: u32) -> Result<Vec<u32>, Fatal> {
        let mut ids = Vec::new();
        ids.try_reserve_exact(self.list.len().saturating_add(1))
            .map_err(|_| Fatal::new(RampartReason::OutOfMemory))?;
        ids.push(boot);
        ids.extend(self.list.iter().map(|(apic_id, _)| *apic_id));
        Ok(ids)
    }

    /// Tells the host to run them. What they share has to be there ([`run::share`]).
    ///
    /// # Errors
    /// [`Fatal`] when the host refuses.
    pub(crate) fn start(&self, ghcb: &mut Ghcb) -> Result<(), Fatal> {
        if self.list.is_empty() {
            return Ok(());
        }
        percpu::others_may_run();
        for (apic_id, memory) in &self.list {
            let vmsa = memory.vmsa.gpa();
            create_vcpu(
                &mut Transport,
                ghcb,
                *apic_id,
                Vmpl::VMPL0,
                vmsa,
                self.features,
            )?;
        }
        Ok(())
    }
}

/// The APIC IDs of all vCPUs, the boot CPU's first.
#[inline(never)]
fn ask_for_ids(
    ghcb: &mut Ghcb,
    first: ApMemory,
    boot: u32,
    vp_count: u32,
) -> Result<Vec<u32>, Fatal> {
    share_ghcbs(ghcb, core::iter::once(first.ghcb))?;
    apic_ids::ask(&mut Transport, ghcb, first.ghcb.gpa())?;
    let mut list = [0; LIST_BYTES];
    read_shared(first.ghcb, &mut list);
    apic_ids::parse(&list, boot, vp_count)
}

/// Makes a CPU's data and its VMSA.
fn make(apic_id: u32, memory: &ApMemory, features: SevFeatures) -> Result<(), Fatal> {
    let mut place = Vec::new();
    place
        .try_reserve_exact(1)
        .map_err(|_| Fatal::new(RampartReason::OutOfMemory))?;
    place.push(PerCpu::new(Some(Ap {
        apic_id,
        ghcb: memory.ghcb.gpa().get(),
        interrupt_stacks: memory.interrupt_stacks,
    })));
    let [data] = place.leak() else {
        return Err(Fatal::INTERNAL);
    };
    let data: &'static PerCpu = data;
    let mut vmsa = Vmsa::long_mode_start(
        Vmpl::VMPL0,
        features,
        ap_entry(),
        memory.stack,
        cpu::page_tables(),
    );
    vmsa.gs.base = data.seal();
    memory.make_vmsa(&vmsa)
}

/// Called by the entry code of a CPU but the first, on its own stack.
pub(crate) extern "C" fn ap_main() -> ! {
    descriptors::load();
    exceptions::load();
    cpu::enforce_write_protection();
    let Err(end) = ap();
    fatal::end(end)
}

/// From the first step to the guest's last exit.
fn ap() -> Result<Infallible, Fatal> {
    let cpu = percpu::this();
    let ap = cpu.ap.ok_or(Fatal::INTERNAL)?;
    if cpu.started.swap(true, Ordering::SeqCst) {
        // Only a second run of the entry code comes here, and no VMSA starts twice.
        return Err(Fatal::INTERNAL);
    }
    register(&mut Transport, Gpa::new(ap.ghcb))?;
    // SAFETY: the boot CPU has shared the page for this CPU, which has just registered it and comes
    // here once.
    percpu::set_ghcb(unsafe { registered(ap.ghcb) });
    let announced = ANNOUNCED.fetch_add(1, Ordering::Relaxed) + 1;
    log!("vCPU {announced} with APIC ID {} is up", ap.apic_id);
    run::run(ap.apic_id)
}

/// Whether so many processors can be served.
pub(crate) const fn can_serve(vp_count: u32) -> bool {
    vp_count != 0 && vp_count as usize <= MAX_VCPUS
}
