//! Makes the certificates that the machine hands out, and links it as one BIOS image: code that runs at a high virtual
//! address, stored in ROM below 4 GiB, with the reset vector at its end.

fn main() {
    let certificates = snp_certificates::chain().unwrap().table();
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/certificates.bin"), certificates).unwrap();
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let script = format!(
        "{}/machine.ld",
        std::env::var("CARGO_MANIFEST_DIR").unwrap()
    );
    println!("cargo:rerun-if-changed={script}");
    println!("cargo:rustc-link-arg-bins=-T{script}");
    println!("cargo:rustc-link-arg-bins=--no-pie");
    println!("cargo:rustc-link-arg-bins=-static");
    println!("cargo:rustc-link-arg-bins=--build-id=none");
    println!("cargo:rustc-link-arg-bins=--gc-sections");
}
