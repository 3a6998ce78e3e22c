//! Puts the root of the emulated machine's test chain beside the code: the program
//! knows it, to name it, and trusts it only when told to.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let root = snp_certificates::chain().expect("the test chain").ark;
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    std::fs::write(format!("{out}/test-ark.der"), root).expect("the build's folder");
}
