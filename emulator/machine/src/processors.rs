//! The processors under the machine: each runs one vCPU of the guest.
//!
//! One lock orders everything but the guest's own execution. A processor has it
//! from an exit to the next entry; meanwhile the machine's `vcpu` is its own.
//!
//! QEMU's processors keep translations until their next exit. Whoever takes
//! nested entries away therefore kicks the others out of the guest and waits
//! until they have left. A kick is an NMI, which the machine takes itself.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use alloc::boxed::Box;
use spin::Mutex;

use crate::arch::{apic, exceptions, msr, svm};
use crate::host::vmgexit::{Ended, Next};
use crate::host::{fw_cfg, levels};
use crate::machine::{self, Machine};
use crate::mem::heap::Frames;
use crate::mem::layout::TABLES_OFFSET;
use crate::mem::phys;
use crate::processor::exit as vmexit;
use crate::processor::park::Park;
use crate::processor::vcpu::{Run, Vcpu};
use crate::scenario;

/// The most processors that the machine starts.
pub(crate) const MAX: usize = 64;
const _: () = assert!(MAX <= snp_model::stale::MAX_PROCESSORS);

/// Where boot/ap.s runs: a page below 1 MiB, free before the guest is loaded.
const TRAMPOLINE: u64 = 0x8000;
/// Bytes of a processor's stack; boot/ap.s has the same figure.
const STACK: u64 = 0x1_0000;
/// After how many rounds of its loop the machine reminds a processor that is to leave the guest.
const IMPATIENCE: u32 = 1 << 14;
/// How long the machine waits for its processors, in rounds of its loop.
const PATIENCE: u64 = 1 << 32;

/// What other processors may look at.
struct Processor {
    apic_id: AtomicU32,
    /// It is in the guest, or on its way in with an entry of old tables possible.
    in_guest: AtomicBool,
    /// It rests: it has left the guest since it last ran it, and QEMU has dropped its translations.
    /// Changed by itself, with the lock held.
    parked: AtomicBool,
    /// An NMI of the machine is under way to it.
    kicked: AtomicBool,
    /// Others asked something of its vCPU that it has not done yet. Changed with the lock held.
    asked: AtomicBool,
}

static PROCESSORS: [Processor; MAX] = [const {
    Processor {
        apic_id: AtomicU32::new(0),
        in_guest: AtomicBool::new(false),
        parked: AtomicBool::new(false),
        kicked: AtomicBool::new(false),
        asked: AtomicBool::new(false),
    }
}; MAX];
static COUNT: AtomicUsize = AtomicUsize::new(1);
static ARRIVED: AtomicUsize = AtomicUsize::new(1);

/// Who has the lock.
static HOLDER: AtomicUsize = AtomicUsize::new(0);

static MACHINE: Mutex<Option<Box<Machine>>> = Mutex::new(None);

unsafe extern "C" {
    static ap_start: u8;
    static ap_words: u8;
    static ap_end: u8;
}

/// Starts the other processors that QEMU has; they wait for [`run`]. Gives the
/// APIC IDs of all, the first processor's first. None: no memory for them, or
/// one did not come.
pub(crate) fn start(frames: &mut Frames) -> Option<usize> {
    let count = usize::from(fw_cfg::processor_count()).clamp(1, MAX);
    COUNT.store(count, Ordering::SeqCst);
    note_apic_id(0);
    if count == 1 {
        return Some(1);
    }
    let stacks = frames.backing(count as u64 * STACK)?;
    let (from, words, end) = (
        (&raw const ap_start) as u64,
        (&raw const ap_words) as u64,
        (&raw const ap_end) as u64,
    );
    let len = (end - from) as usize;
    let mut code = alloc::vec![0; len];
    phys::read_bytes(phys::of(&raw const ap_start), &mut code);
    phys::write_bytes(TRAMPOLINE, &code);
    let words = TRAMPOLINE + (words - from);
    phys::write(words + 8, phys::machine_base() + TABLES_OFFSET);
    phys::write(words + 16, phys::virtual_address(stacks));
    phys::write(
        words + 24,
        ap_main as extern "sysv64" fn(u64) -> ! as usize as u64,
    );
    apic::start_others((TRAMPOLINE >> 12) as u8);
    let mut patience = PATIENCE;
    while ARRIVED.load(Ordering::SeqCst) < count {
        patience = patience.checked_sub(1)?;
        core::hint::spin_loop();
    }
    phys::fill(TRAMPOLINE, len as u64, 0);
    Some(count)
}

/// APIC IDs of the processors that were started.
pub(crate) fn apic_ids() -> impl Iterator<Item = u32> {
    PROCESSORS
        .iter()
        .take(COUNT.load(Ordering::SeqCst))
        .map(|processor| processor.apic_id.load(Ordering::SeqCst))
}

fn note_apic_id(index: usize) {
    if let Some(processor) = PROCESSORS.get(index) {
        let id = core::arch::x86_64::__cpuid(1).ebx >> 24;
        processor.apic_id.store(id, Ordering::SeqCst);
    }
}

/// A processor but the first, on its own stack.
extern "sysv64" fn ap_main(index: u64) -> ! {
    svm::disable_global_interrupts();
    exceptions::load();
    let index = index as usize;
    note_apic_id(index);
    ARRIVED.fetch_add(1, Ordering::SeqCst);
    let vcpu = loop {
        let taken = MACHINE
            .lock()
            .as_mut()
            .and_then(|machine| machine.take_vcpu(index));
        match taken {
            Some(vcpu) => break vcpu,
            // The first processor is still at the launch.
            None => core::hint::spin_loop(),
        }
    };
    enter_loop(index, vcpu)
}

/// Hands the machine to all processors; this one goes on as the first.
pub(crate) fn run(mut machine: Box<Machine>) -> ! {
    let vcpu = machine.take_vcpu(0);
    *MACHINE.lock() = Some(machine);
    match vcpu {
        Some(vcpu) => enter_loop(0, vcpu),
        None => machine::internal("the first vCPU is missing"),
    }
}

fn enter_loop(index: usize, mut own: Box<(Vcpu, Park)>) -> ! {
    if !msr::try_write(msr::VM_HSAVE_PA, own.1.host_save_area()) {
        machine::internal("VM_HSAVE_PA cannot be written");
    }
    let mut code = None;
    loop {
        let run = {
            let mut guard = MACHINE.lock();
            let Some(machine) = guard.as_mut() else {
                machine::internal("there is no machine")
            };
            core::mem::swap(&mut machine.vcpu, &mut own.0);
            HOLDER.store(index, Ordering::SeqCst);
            machine.running = index;
            let run = next(machine, index, code.take());
            core::mem::swap(&mut machine.vcpu, &mut own.0);
            let parked = matches!(run, Run::Park);
            PROCESSORS[index].parked.store(parked, Ordering::SeqCst);
            let leaves = !matches!(run, Run::Wait(_));
            PROCESSORS[index].in_guest.store(leaves, Ordering::SeqCst);
            run
        };
        code = match run {
            Run::Guest => Some(own.0.run()),
            Run::Park => {
                own.1.wait();
                None
            }
            Run::Wait(other) => {
                let mut rounds = 0;
                while rounds < IMPATIENCE && is_asked(other) && !is_asked(index) {
                    rounds += 1;
                    core::hint::spin_loop();
                }
                None
            }
        };
        PROCESSORS[index].in_guest.store(false, Ordering::SeqCst);
    }
}

/// From an exit to the next entry.
fn next(machine: &mut Machine, index: usize, code: Option<u64>) -> Run {
    machine.was_kicked = PROCESSORS[index].kicked.swap(false, Ordering::SeqCst);
    if machine.was_kicked {
        exceptions::take_nmi();
    }
    if let Some(code) = code {
        match vmexit::serve(machine, code) {
            Next::Resume if machine.invariants.is_violated() => {
                machine::end(machine, Ended::InvariantViolated)
            }
            Next::Resume => {}
            Next::End(ended) => machine::end(machine, ended),
        }
    }
    machine.take_requests();
    if machine.vcpu.is_waiting() {
        levels::rest(machine);
        if machine.nobody_runs() {
            machine::end(machine, Ended::NobodyRuns);
        }
        return Run::Park;
    }
    if let Some(other) = machine.vcpu.stopping {
        if is_asked(other) {
            remind(other);
            return Run::Wait(other);
        }
        machine.vcpu.stopping = None;
    }
    if let Some(reason) = scenario::processor::before_entry(machine) {
        machine::end(machine, Ended::Stuck(reason));
    }
    machine.vcpu.select_root(machine.memory.npt());
    Run::Guest
}

/// Notes whether others asked something of a vCPU that it has not done yet.
pub(crate) fn set_asked(index: usize, asked: bool) {
    if let Some(processor) = PROCESSORS.get(index) {
        processor.asked.store(asked, Ordering::SeqCst);
    }
}

fn is_asked(index: usize) -> bool {
    PROCESSORS
        .get(index)
        .is_some_and(|processor| processor.asked.load(Ordering::SeqCst))
}

/// Makes a processor leave the guest, or its rest, and look for requests.
pub(crate) fn kick(index: usize) {
    let Some(processor) = PROCESSORS.get(index) else {
        return;
    };
    if processor.in_guest.load(Ordering::SeqCst) && !processor.kicked.swap(true, Ordering::SeqCst) {
        apic::send_nmi(processor.apic_id.load(Ordering::SeqCst));
    }
}

/// Sends a kick that was not answered again. The caller has the lock.
///
/// QEMU may have handled something else first, and not look again while the guest loops. As
/// kicks are answered with the lock held, the first NMI is still pending: this is the same one.
fn remind(index: usize) {
    if let Some(processor) = PROCESSORS.get(index)
        && processor.in_guest.load(Ordering::SeqCst)
        && processor.kicked.load(Ordering::SeqCst)
    {
        apic::send_nmi(processor.apic_id.load(Ordering::SeqCst));
    }
}

/// Who has the lock.
pub(crate) fn holder() -> usize {
    HOLDER.load(Ordering::SeqCst)
}

/// Makes every other processor drop its translations: none of them is in the
/// guest with an old one when this returns. The caller has the lock.
pub(crate) fn flush_others() {
    let own = holder();
    let count = COUNT.load(Ordering::SeqCst);
    // One that rests cannot come back to the guest without the lock.
    let may_have = |index: usize| index != own && !PROCESSORS[index].parked.load(Ordering::SeqCst);
    for index in (0..count).filter(|&index| may_have(index)) {
        kick(index);
    }
    for (index, processor) in PROCESSORS.iter().take(count).enumerate() {
        let mut rounds = 0u32;
        while may_have(index) && processor.in_guest.load(Ordering::SeqCst) {
            rounds = rounds.wrapping_add(1);
            if rounds.is_multiple_of(IMPATIENCE) {
                remind(index);
            }
            core::hint::spin_loop();
        }
    }
}
