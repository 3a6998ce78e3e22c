//! The machine as a whole: set up, launch, run, end.

use alloc::boxed::Box;
use alloc::vec::Vec;

use protocols::snp::CpuidRegisters;
use snp_model::psp::SecureProcessor;
use snp_scenario::Event;

use crate::arch::port;
use crate::host::fw_cfg::{self, E820, FwCfg};
use crate::host::ioio::PM1A_CONTROL;
use crate::host::memory::Memory;
use crate::host::vmgexit::Ended;
use crate::host::{GHCB_VERSIONS, Host, cpuid, levels};
use crate::mem::heap::Frames;
use crate::mem::layout::RESERVE;
use crate::mem::phys;
use crate::options::{self, Options};
use crate::processor::intercepts;
use crate::processor::npt::C_BIT;
use crate::processor::park::Park;
use crate::processor::vcpu::Vcpu;
use crate::processor::vmcb::Vmcb;
use crate::processors;
use crate::psp::guest_request;
use crate::psp::launch::{self, Told};
use crate::report::console::println;
use crate::report::exit::{self, ExitStatus};
use crate::report::explain;
use crate::report::invariants::{Invariants, steps};
use crate::report::stats::Stats;
use crate::scenario::{self, Scenario};

/// The IGVM file, as QEMU was given it.
const IMAGE_FILE: &str = "opt/rampart/igvm";

/// 0xC0000–0xFFFFF is RAM to the guest: the q35 host bridge's PAM registers.
const PCI_ADDRESS: u16 = 0xcf8;
const PCI_DATA: u16 = 0xcfc;
const PAM0: u32 = 0x90;

/// Guest memory that is neither RAM nor in the image: OVMF validates the VGA
/// range, so it has to be there.
const LEGACY_VIDEO: (u64, u64) = (0xa_0000, 0x2_0000);

/// Everything, by role: processor, host, counters; the host's lies, and what they
/// must not break.
pub(crate) struct Machine {
    /// The vCPU that is being served: its processor lends it while it has the lock.
    pub(crate) vcpu: Vcpu,
    /// Its number.
    pub(crate) running: usize,
    /// Whether its processor was made to leave the guest by another one.
    pub(crate) was_kicked: bool,
    vcpus: Vec<VcpuSlot>,
    pub(crate) memory: Memory,
    pub(crate) host: Host,
    pub(crate) stats: Stats,
    /// The VMSA that the secure processor made: its GPA and system page.
    pub(crate) launch_vmsa: Option<(u64, u64)>,
    /// It answers guest messages once there is a guest.
    pub(crate) secure_processor: Option<SecureProcessor>,
    pub(crate) scenario: Scenario,
    pub(crate) invariants: Invariants,
}

/// What the machine keeps of one vCPU while its processor runs it.
struct VcpuSlot {
    /// Until the processor takes it.
    idle: Option<Box<(Vcpu, Park)>>,
    requests: Vec<levels::Request>,
    waiting: bool,
    /// The level that it runs.
    level: u8,
}

impl Machine {
    /// Hands a vCPU to its processor. The first one has been set up in `vcpu`.
    pub(crate) fn take_vcpu(&mut self, index: usize) -> Option<Box<(Vcpu, Park)>> {
        let mut vcpu = self.vcpus.get_mut(index)?.idle.take()?;
        if index == 0 {
            core::mem::swap(&mut self.vcpu, &mut vcpu.0);
        }
        Some(vcpu)
    }

    /// Asks something of another vCPU.
    pub(crate) fn request(&mut self, index: usize, request: levels::Request) {
        if let Some(slot) = self.vcpus.get_mut(index) {
            slot.requests.push(request);
            slot.waiting = false;
            processors::set_asked(index, true);
            processors::kick(index);
        }
    }

    /// Does what others asked of the vCPU that is being served.
    pub(crate) fn take_requests(&mut self) {
        let index = self.running;
        let requests = match self.vcpus.get_mut(index) {
            Some(slot) => core::mem::take(&mut slot.requests),
            None => Vec::new(),
        };
        processors::set_asked(index, false);
        for request in requests {
            levels::take(self, request);
        }
        if let Some(slot) = self.vcpus.get_mut(index) {
            slot.waiting = self.vcpu.is_waiting();
            slot.level = self.vcpu.level;
        }
    }

    /// Whether no vCPU runs VMPL0, the one that is being served included.
    pub(crate) fn nobody_is_at_vmpl0(&self) -> bool {
        let waits = |at_0: bool, waiting: bool| !at_0 || waiting;
        waits(self.vcpu.level == 0, self.vcpu.is_waiting())
            && self
                .vcpus
                .iter()
                .enumerate()
                .filter(|(index, _)| *index != self.running)
                .all(|(_, slot)| waits(slot.level == 0, slot.waiting))
    }

    /// Whether every vCPU waits, so that nothing can ever happen again.
    pub(crate) fn nobody_runs(&self) -> bool {
        self.vcpus.iter().all(|slot| slot.waiting)
    }

    /// CPUID on the vCPU that is being served.
    pub(crate) fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidRegisters {
        let id = self
            .host
            .apic_ids
            .get(self.running)
            .copied()
            .unwrap_or_default();
        cpuid::on_processor(&self.host.cpuid, id, leaf, subleaf)
    }
}

/// Sets the machine up, launches the image and runs it to its end.
pub(crate) fn start() -> ! {
    println!("This is an EMULATED SEV-SNP machine: no encryption, no protection, test keys only.");
    enable_low_ram();
    let Some(map) = fw_cfg::e820().map(without_machine) else {
        internal("QEMU's fw_cfg has no etc/e820");
    };
    let Some(image) = fw_cfg::read_file(IMAGE_FILE) else {
        println!("no image: QEMU needs -fw_cfg name={IMAGE_FILE},file=...");
        exit::end(ExitStatus::ImageRefused)
    };
    let options = options::load();
    let mut machine = match build(&map, &options) {
        Some(machine) => machine,
        None => internal("out of memory at set-up"),
    };
    let ram: u64 = machine
        .memory
        .ram()
        .iter()
        .map(|(start, end)| end - start)
        .sum();
    println!(
        "guest memory {} MiB, C-bit {}, host features {:#x}",
        ram >> 20,
        C_BIT,
        machine.host.features.bits()
    );
    let mut told = Told {
        cpuid: machine.host.cpuid,
        memory_map: launch::memory_map(machine.memory.ram()),
        vp_count: machine.host.apic_ids.len() as u32,
        sev_features: 0,
        policy_set: 0,
        policy_clear: 0,
    };
    scenario::launch::lie(&mut machine.scenario, &mut told);
    let launched = launch::launch(&image, &mut machine.memory, &mut machine.stats, &told);
    match launched {
        Ok(launched) => {
            let (measured, unmeasured) = machine.stats.launch_pages();
            println!(
                "launched {measured} measured and {unmeasured} other pages, policy {:#x}",
                launched.guest.policy.bits()
            );
            println!("launch digest {}", Hex(&launched.guest.digest));
            machine.vcpu.levels[0].vmsa = Some(launched.vmsa.0);
            machine.launch_vmsa = Some(launched.vmsa);
            let eax = machine.cpuid(1, 0).eax;
            machine.secure_processor = Some(guest_request::secure_processor(
                &launched.guest,
                eax,
                &options,
            ));
            machine.invariants.set_own(launched.brought);
            steps::prepare(&mut machine);
        }
        Err(reason) => {
            println!("image refused: {reason}");
            exit::end(ExitStatus::ImageRefused)
        }
    }
    drop(image);
    scenario::deeds_at(&mut machine, Event::Launched);
    if let Err(reason) = levels::enter(&mut machine, 0) {
        println!("image refused: its VMSA cannot be entered ({reason:?})");
        exit::end(ExitStatus::ImageRefused)
    }
    // A guest's firmware starts at the reset vector, an SVSM in long mode.
    if !machine.vcpu.paging() {
        machine.stats.set_plain();
        machine.invariants.set_own(Vec::new());
    }
    processors::run(machine)
}

/// Ends QEMU, after saying everything there is to say.
pub(crate) fn end(machine: &mut Machine, ended: Ended) -> ! {
    explain::explain(machine, ended);
    machine.stats.write();
    exit::end(verdict(machine).unwrap_or(match ended {
        Ended::Terminated { .. } => ExitStatus::Terminated,
        Ended::Reset => ExitStatus::Reset,
        _ => ExitStatus::Stuck,
    }))
}

/// What counts more than how the guest ended: a broken invariant, then a lie of
/// the scenario that was never told.
fn verdict(machine: &mut Machine) -> Option<ExitStatus> {
    if !machine.invariants.check(&machine.memory) {
        Some(ExitStatus::InvariantViolated)
    } else if !machine.scenario.all_told() {
        Some(ExitStatus::ScenarioNotApplied)
    } else {
        None
    }
}

/// The guest writes the sleep register. QEMU ends at a power-off, so everything
/// has to be said before.
pub(crate) fn sleep(machine: &mut Machine, value: u32) {
    machine.stats.write();
    if let Some(status) = verdict(machine) {
        exit::end(status)
    }
    port::write(PM1A_CONTROL, 2, value);
}

fn build(map: &[E820], options: &Options) -> Option<Box<Machine>> {
    let mut frames = Frames::new();
    let count = processors::start(&mut frames)?;
    let mut vcpus = Vec::new();
    for index in 0..count {
        let vcpu = new_vcpu(&mut frames)?;
        let park = Park::new(&mut frames)?;
        vcpus.push(VcpuSlot {
            idle: Some(Box::new((vcpu, park))),
            requests: Vec::new(),
            // The first one runs the image from the start, even if another
            // processor is the first to look.
            waiting: index != 0,
            level: 0,
        });
    }
    let vcpu = new_vcpu(&mut frames)?;
    let ram = map
        .iter()
        .filter(|entry| entry.is_ram())
        .map(|e| (e.start, e.start + e.len))
        .collect();
    let mut memory = Memory::new(ram, frames)?;
    memory.add_window(LEGACY_VIDEO.0, LEGACY_VIDEO.1)?;
    let host = Host {
        features: Host::offered_features(),
        ghcb_versions: GHCB_VERSIONS,
        c_bit: C_BIT as u8,
        cpuid: cpuid::table(),
        fw_cfg: FwCfg::new(map)?,
        apic_ids: processors::apic_ids().collect(),
        releases_ghcbs: options.release_ghcbs,
    };
    let scenario = scenario::load();
    if !options.count_instructions.is_empty() && !scenario.is_empty() {
        options::refuse("count_instructions goes with no scenario: both step through the guest");
    }
    Some(Box::new(Machine {
        vcpu,
        running: 0,
        was_kicked: false,
        vcpus,
        memory,
        host,
        stats: Stats::new(options),
        launch_vmsa: None,
        secure_processor: None,
        scenario,
        invariants: Invariants::new(options.check_every),
    }))
}

fn new_vcpu(frames: &mut Frames) -> Option<Vcpu> {
    let mut vmcb = Vmcb::new(frames.backing(0x1000)?);
    intercepts::init(&mut vmcb, frames)?;
    Some(Vcpu::new(vmcb))
}

/// QEMU's memory map without the machine's own share, which is the top of the
/// RAM below 4 GiB.
fn without_machine(mut map: Vec<E820>) -> Vec<E820> {
    let base = phys::machine_base();
    for entry in &mut map {
        if entry.is_ram() && entry.start <= base && base < entry.start + entry.len {
            debug_assert!(base + RESERVE >= entry.start + entry.len);
            entry.len = base - entry.start;
        }
    }
    map
}

fn enable_low_ram() {
    for (register, value) in [(PAM0, 0x3333_3330u32), (PAM0 + 4, 0x0033_3333)] {
        port::write(PCI_ADDRESS, 4, 0x8000_0000 | register);
        let old = port::read(PCI_DATA, 4);
        let keep = if register == PAM0 { 0xf } else { 0xff00_0000 };
        port::write(PCI_DATA, 4, old & keep | value & !keep);
    }
}

pub(crate) fn internal(reason: &str) -> ! {
    println!("internal error: {reason}");
    exit::end(ExitStatus::Internal)
}

struct Hex<'a>(&'a [u8]);

impl core::fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}
