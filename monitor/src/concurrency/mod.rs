//! Several vCPUs at once: `loom` runs a few requests side by side in every order that a bounded
//! number of preemptions can make, on the model. Each step of VMPL0 (an instruction on the reverse
//! map, a copy, an atomic operation) and each look at a lock is a place where another vCPU may come
//! in between. After each step the invariants of the reverse map are checked, and at the end what
//! the firmware remembers is compared with it.
//!
//! Translations that a vCPU has cached are kept until a flush, as silicon does.

mod hands;
pub(crate) mod lock;
mod scenarios;

use core::mem::offset_of;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::Vec;

use loom::sync::Mutex;
use loom::thread::{self, JoinHandle};
use protocols::addr::{Gpa, GpaPage, GpaRange, PAGE_2M, PAGE_4K};
use protocols::ghcb::ExitCode;
use protocols::snp::{GuestPolicy, Rights, Vmpl, Vmsa};
use protocols::svsm::{
    AttestServices, AttestationCall, CoreCall, DepositEntry, ProtocolId, PvalidateEntry,
    PvalidateHeader, Request, ResultCode,
};
use snp_model::access::Encryption::Private;
use snp_model::entry::RmpEntry;
use zerocopy::IntoBytes;

use crate::services::Services;
use crate::shared::{Server, Shared};
use crate::svsm::attestation::Attestation;
use crate::svsm::request::{Next, is_waiting, serve};
use crate::sync::Lock;
use crate::testing::{Courier, FrameStore, Machine, World, page};
use hands::Hands;

/// Preemptions that an order may have, unless the environment has another number in
/// `RAMPART_PREEMPTIONS`. Where a vCPU has to wait, or ends, any other goes on, and that is none.
const PREEMPTIONS: usize = 2;

/// Words of a thread's stack.
const STACK: usize = 1 << 16;

const LOWER: [Vmpl; 3] = [Vmpl::VMPL1, Vmpl::VMPL2, Vmpl::VMPL3];

/// Small pages of the guest: 0 is the boot vCPU's calling area.
const fn p(number: u64) -> u64 {
    World::SMALL + number * PAGE_4K
}

/// Runs `scenario` in all orders.
fn explore(scenario: impl Fn() + Copy + Sync + Send + 'static) {
    let preemptions = std::env::var("RAMPART_PREEMPTIONS");
    let preemptions = preemptions.map_or(PREEMPTIONS, |number| number.parse().unwrap());
    explore_with(preemptions, scenario);
}

fn explore_with(preemptions: usize, scenario: impl Fn() + Copy + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    let orders = Arc::new(AtomicUsize::new(0));
    let count = orders.clone();
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        in_thread(scenario).join().unwrap();
    });
    std::println!("orders: {}", orders.load(Ordering::Relaxed));
}

/// A thread with a stack that a world fits on.
fn in_thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let builder = thread::Builder::new().stack_size(STACK);
    builder.spawn(body).unwrap()
}

/// The machine and what is cached of it.
struct Arena {
    machine: Machine,
    /// Pages that a vCPU of the guest has a cached right to write.
    cached: BTreeSet<u64>,
}

/// A guest with several vCPUs, and its firmware.
#[derive(Clone)]
struct Several {
    arena: Arc<Mutex<Arena>>,
    shared: Arc<Shared<FrameStore>>,
}

/// What the guest does on one vCPU.
#[derive(Clone, Copy)]
enum Call {
    Core(CoreCall, [u64; 3]),
    /// A call with a list of one page, at that address or in the calling area's buffer.
    List(CoreCall, Option<u64>, u64),
    /// A report over all services, into the page at that address.
    Attest(u64),
    /// The guest writes, and the host enters VMPL0 without having been asked to.
    Write(u64),
}

fn query() -> Call {
    Call::Core(CoreCall::QUERY_PROTOCOL, [1, 0, 0])
}

fn create(vmsa: u64, area: u64, apic_id: u32) -> Call {
    Call::Core(CoreCall::CREATE_VCPU, [vmsa, area, apic_id.into()])
}

fn delete(vmsa: u64) -> Call {
    Call::Core(CoreCall::DELETE_VCPU, [vmsa, 0, 0])
}

fn remap(area: u64) -> Call {
    Call::Core(CoreCall::REMAP_CA, [area, 0, 0])
}

fn validate(page: GpaPage) -> Call {
    pvalidate(None, PvalidateEntry::new(page, true))
}

fn rescind(page: GpaPage) -> Call {
    pvalidate(None, PvalidateEntry::new(page, false))
}

fn pvalidate(list: Option<u64>, entry: PvalidateEntry) -> Call {
    Call::List(CoreCall::PVALIDATE, list, entry.0)
}

fn deposit(page: GpaPage) -> Call {
    Call::List(CoreCall::DEPOSIT_MEM, None, DepositEntry::new(page).0)
}

fn withdraw(list: u64) -> Call {
    Call::Core(CoreCall::WITHDRAW_MEM, [list, 0, 0])
}

/// How a call ended for the guest: `None` when it never got an answer.
type Answer = Option<ResultCode>;

impl Several {
    /// The boot vCPU, and one for each of `aps`: {APIC ID, VMSA, calling area}.
    fn new(aps: &[(u32, u64, u64)]) -> Self {
        let World { machine, shared } = World::tiny();
        let several = Several {
            arena: Arc::new(Mutex::new(Arena {
                machine,
                cached: BTreeSet::new(),
            })),
            shared: Arc::new(shared),
        };
        for &(apic_id, vmsa, area) in aps {
            several.prepare_vmsa(vmsa);
            let answers = several.vcpu(World::BSP, &[create(vmsa, area, apic_id)]);
            assert_eq!(answers, [Some(ResultCode::SUCCESS)]);
        }
        several
    }

    /// The same with a way to the secure processor.
    fn attesting(aps: &[(u32, u64, u64)]) -> (Self, Courier) {
        let courier = Courier::new(GuestPolicy::MUST_BE_ONE);
        let several = Self::new(aps);
        let honest = courier.honest();
        several.arena.lock().unwrap().machine.host.on_page(honest);
        let attestation = Attestation::new(courier.channel()).unwrap();
        let mut shared = Arc::into_inner(several.shared).expect("nobody else has it");
        shared.offer(Services {
            attestation: Some(Lock::new(attestation)),
            tpm: None,
        });
        let several = Self {
            arena: several.arena,
            shared: Arc::new(shared),
        };
        (several, courier)
    }

    /// Writes what CREATE_VCPU accepts into an ordinary page.
    fn prepare_vmsa(&self, gpa: u64) {
        let vmsa = Vmsa::reset_vector(Vmpl::VMPL2, protocols::snp::SevFeatures::SNP);
        let written = self
            .arena
            .lock()
            .unwrap()
            .guest_writes(gpa, vmsa.as_bytes());
        assert!(written, "an ordinary page");
    }

    /// Lets each of these vCPUs make its calls, all at the same time, and returns the answers. At the
    /// end what the firmware remembers is what there is.
    fn side_by_side(&self, vcpus: &[(u32, &[Call])]) -> Vec<Vec<Answer>> {
        let threads: Vec<_> = vcpus
            .iter()
            .map(|&(apic_id, calls)| {
                let (several, calls) = (self.clone(), calls.to_vec());
                in_thread(move || several.vcpu(apic_id, &calls))
            })
            .collect();
        let answers = threads.into_iter().map(|thread| thread.join().unwrap());
        let answers = answers.collect();
        self.check_truth();
        answers
    }

    /// A vCPU whose guest makes these calls, one after the other, until one is not answered.
    fn vcpu(&self, apic_id: u32, calls: &[Call]) -> Vec<Answer> {
        let mut server = Server::new(&self.shared, apic_id).unwrap();
        let mut hands = Hands(self.arena.clone());
        let mut answers = Vec::new();
        // The host runs the VMSA that it was told of last.
        for call in calls {
            let current = self.shared.lock().vcpus.current(apic_id);
            let ran = current.is_some_and(|vcpu| {
                let (vmsa, area) = (vcpu.vmsa.get(), vcpu.calling_area.get());
                let entered = self.arena.lock().unwrap().enter(vmsa);
                entered && self.arena.lock().unwrap().exit(vmsa, area, call)
            });
            let next = serve(&mut server, &mut hands).expect("no reason to end");
            let answer = match current {
                Some(vcpu) if ran && next == Next::Enter => {
                    self.arena.lock().unwrap().answer(vcpu.vmsa.get())
                }
                _ => None,
            };
            if next == Next::Park {
                // What is there to be asked was asked, or has gone.
                let waits = is_waiting(&mut server, &mut hands).expect("no reason to end");
                assert!(!waits, "a request of {apic_id} waits");
            }
            answers.push(answer);
            if answer.is_none() {
                break;
            }
        }
        answers
    }

    /// What the firmware remembers is what there is. Nobody runs any more.
    fn check_truth(&self) {
        let guest = self.shared.lock();
        let arena = self.arena.lock().unwrap();
        for apic_id in guest.vcpus.apic_ids() {
            let seat = self.shared.seat(apic_id).unwrap().try_take();
            assert_eq!(*seat.expect("free"), guest.vcpus.current(apic_id));
        }
        for gpa in Arena::pages() {
            let (entry, page) = (arena.entry(gpa), page(gpa));
            let known = guest.pages.is_valid(page.range());
            let deposited = guest.pages.covers_deposit(page.range());
            assert_eq!(known || deposited, entry.is_validated(), "{gpa:#x}");
            let live = guest.vcpus.find(page.gpa()).is_some();
            assert_eq!(live, entry.is_vmsa(), "{gpa:#x}");
            if deposited {
                for level in LOWER {
                    assert!(entry.rights(level).is_empty(), "{gpa:#x}");
                }
            }
            if known && !live {
                for level in [Vmpl::VMPL1, Vmpl::VMPL2] {
                    assert_eq!(entry.rights(level), Rights::all(), "{gpa:#x}");
                }
            }
        }
    }
}

impl Arena {
    /// The pages that the scenarios use.
    fn pages() -> impl Iterator<Item = u64> {
        (0..16)
            .map(p)
            .chain([0, 1, 511, 512].map(|n| World::PENDING + n * PAGE_4K))
    }

    fn entry(&self, gpa: u64) -> RmpEntry {
        let spa = self.machine.system.translate(Gpa::new(gpa)).unwrap();
        self.machine.system.rmp().entry(spa)
    }

    /// What holds after each step.
    fn check(&self) {
        for gpa in Self::pages() {
            let entry = self.entry(gpa);
            if !entry.is_vmsa() {
                continue;
            }
            assert!(entry.is_validated(), "the VMSA {gpa:#x} is not valid");
            for level in LOWER {
                let most = Rights::READ.contains(entry.rights(level));
                assert!(most, "{level} may write the VMSA {gpa:#x}");
            }
        }
    }

    /// The guest writes, by a right that it has or that it had when it was cached.
    fn guest_writes(&mut self, gpa: u64, bytes: &[u8]) -> bool {
        let page = Gpa::new(gpa)
            .page_base(protocols::addr::PageSize::Size4K)
            .get();
        let entry = self.entry(gpa);
        let allowed = entry.is_validated() && entry.rights(Vmpl::VMPL2).contains(Rights::WRITE);
        if allowed {
            self.cached.insert(page);
        } else if !self.cached.contains(&page) {
            return false;
        }
        assert!(!entry.is_vmsa(), "the guest writes the VMSA {page:#x}");
        assert!(
            entry.is_validated(),
            "the guest writes {page:#x}, which is not valid"
        );
        let level = Vmpl::VMPL0;
        let written = self
            .machine
            .system
            .write(level, Private, Gpa::new(gpa), bytes);
        assert_eq!(written, Ok(()));
        true
    }

    /// The host runs the VMSA.
    fn enter(&mut self, vmsa: u64) -> bool {
        let spa = self.machine.system.translate(Gpa::new(vmsa)).unwrap();
        self.machine.system.enter_vmsa(spa).is_ok()
    }

    /// The guest makes the call: the processor stores the registers. Whether there was one.
    fn exit(&mut self, vmsa: u64, area: u64, call: &Call) -> bool {
        let (call, arguments) = match *call {
            Call::Core(call, arguments) => (Some(Request::core(call)), arguments),
            Call::List(call, list, entry) => {
                let list = list.unwrap_or(area + 8);
                self.guest_writes(list, PvalidateHeader::new(1).as_bytes());
                self.guest_writes(list + 8, entry.as_bytes());
                (Some(Request::core(call)), [list, 0, 0])
            }
            Call::Attest(report) => {
                let mut request = AttestServices::default();
                (request.report.gpa, request.report.size) = (report, PAGE_4K as u32);
                (request.manifest.gpa, request.manifest.size) = (p(14), PAGE_4K as u32);
                (request.nonce.gpa, request.nonce.size) = (p(15), 64);
                self.guest_writes(area + 8, request.as_bytes());
                let call = Request {
                    protocol: ProtocolId::ATTESTATION,
                    call: AttestationCall::SERVICES.0,
                };
                (Some(call), [area + 8, 0, 0])
            }
            Call::Write(gpa) => {
                self.guest_writes(gpa, &[0; 8]);
                (None, [0; 3])
            }
        };
        if call.is_some() {
            self.guest_writes(area, &[1]);
        }
        let registers = [
            (offset_of!(Vmsa, rax), call.map_or(0, Request::rax)),
            (offset_of!(Vmsa, rcx), arguments[0]),
            (offset_of!(Vmsa, rdx), arguments[1]),
            (offset_of!(Vmsa, r8), arguments[2]),
            (offset_of!(Vmsa, guest_exit_code), ExitCode::VMGEXIT.0),
        ];
        assert!(self.entry(vmsa).is_vmsa(), "it is in use");
        for (offset, value) in registers {
            let at = Gpa::new(vmsa + offset as u64);
            let bytes = value.to_le_bytes();
            let stored = self.machine.system.write(Vmpl::VMPL0, Private, at, &bytes);
            assert_eq!(stored, Ok(()));
        }
        let spa = self.machine.system.translate(Gpa::new(vmsa)).unwrap();
        self.machine.system.leave_vmsa(spa);
        call.is_some()
    }

    /// RAX, if the VMSA is still one.
    fn answer(&mut self, vmsa: u64) -> Answer {
        if !self.entry(vmsa).is_vmsa() {
            return None;
        }
        let mut rax = [0; 8];
        let at = Gpa::new(vmsa + offset_of!(Vmsa, rax) as u64);
        let read = self.machine.system.read(Vmpl::VMPL0, Private, at, &mut rax);
        assert_eq!(read, Ok(()));
        Some(ResultCode {
            0: u64::from_le_bytes(rax),
        })
    }

    /// The RMP entries of a range.
    fn entries(&self, range: GpaRange) -> impl Iterator<Item = RmpEntry> {
        assert!(range.len() <= PAGE_2M);
        let first = range.start().get() & !(PAGE_4K - 1);
        (first..range.end().get())
            .step_by(PAGE_4K as usize)
            .map(|gpa| self.entry(gpa))
    }
}
