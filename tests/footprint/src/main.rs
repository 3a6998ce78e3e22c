//! What the TPM takes of the firmware, for `scripts/vtpm-footprint`. Built for
//! the firmware's target it is a program of the TPM and nothing else, whose
//! sections are counted; it never runs. On a host it runs commands and counts
//! the heap.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod bare;
#[cfg(not(target_os = "none"))]
mod counting;
#[cfg(not(target_os = "none"))]
mod host;

#[cfg(not(target_os = "none"))]
fn main() {
    host::main();
}
