//! A program that calls what a firmware calls. What it is given and what it
//! gets is hidden from the compiler, which so keeps all code that some input
//! needs.

extern crate alloc;

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::hint::black_box;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use vtpm::limits::{MAX_COMMAND_SIZE, MAX_RESPONSE_SIZE};
use vtpm::provision::{EndorsementKey, LocalAuthority};
use vtpm::{Change, Platform, PlatformError, Record, Tpm};

const HEAP: usize = 1 << 20;

/// The smallest allocator: its size must not count.
struct Bump {
    memory: UnsafeCell<[u8; HEAP]>,
    used: AtomicUsize,
}

// SAFETY: each byte of the memory is handed out once, by an atomic addition.
unsafe impl Sync for Bump {}

// SAFETY: what is handed out is aligned, inside of the memory, and never handed
// out again.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size() + layout.align();
        let at = self.used.fetch_add(size, Relaxed);
        let start = self.memory.get().cast::<u8>();
        if size > HEAP || at > HEAP - size {
            return core::ptr::null_mut();
        }
        let place = start.wrapping_add(at);
        place.wrapping_add(place.align_offset(layout.align()))
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Bump = Bump {
    memory: UnsafeCell::new([0; HEAP]),
    used: AtomicUsize::new(0),
};

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// A platform of which nothing is known.
struct Unknown;

impl Platform for Unknown {
    fn entropy(&mut self, out: &mut [u8]) -> Result<(), PlatformError> {
        black_box(out);
        black_box(Ok(()))
    }

    fn now_ms(&mut self) -> u64 {
        black_box(0)
    }

    fn nv_load(&mut self) -> Result<Vec<Record>, PlatformError> {
        black_box(Ok(Vec::new()))
    }

    fn nv_commit(&mut self, changes: &[Change]) -> Result<(), PlatformError> {
        black_box(changes);
        black_box(Ok(()))
    }
}

/// The entry.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let mut tpm = Tpm::new(Unknown);
    let mut authority = LocalAuthority::new(black_box(&[0; 32]), "authority", black_box("date"));
    let command = [0; MAX_COMMAND_SIZE];
    let mut response = [0; MAX_RESPONSE_SIZE];
    loop {
        let bytes = black_box(&command[..]);
        match black_box(0u8) {
            0 => _ = black_box(tpm.manufacture()),
            1 => _ = black_box(tpm.provision(&mut authority, black_box(&EndorsementKey::ALL))),
            2 => _ = black_box(tpm.power_on()),
            3 => _ = black_box(tpm.begin(black_box(0), bytes, &mut response)),
            4 => _ = black_box(tpm.step(black_box(1), &mut response)),
            5 => _ = black_box(tpm.cancel(&mut response)),
            6 => _ = black_box(tpm.snapshot(black_box(Some(bytes)), black_box(0))),
            7 => _ = black_box(tpm.restore(bytes, black_box(Some(bytes)), black_box(0))),
            8 => tpm.hash_start(),
            9 => tpm.hash_data(bytes),
            10 => tpm.hash_end(),
            _ => tpm.power_off(),
        }
        black_box(&response);
    }
}
