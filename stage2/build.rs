//! Links stage2 at its place in the layout: first byte = entry, physical address = virtual address.

use protocols::boot::layout::{STAGE2_BASE, STAGE2_SIZE};

fn main() {
    let dir = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo:rerun-if-changed=stage2.ld");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo:rustc-link-arg-bins=-T{dir}/stage2.ld");
        println!("cargo:rustc-link-arg-bins=--defsym=STAGE2_BASE={STAGE2_BASE:#x}");
        println!("cargo:rustc-link-arg-bins=--defsym=STAGE2_SIZE={STAGE2_SIZE:#x}");
        // The target links position-independent executables by default; this image has one address.
        println!("cargo:rustc-link-arg-bins=--no-pie");
        println!("cargo:rustc-link-arg-bins=--build-id=none");
    }
}
