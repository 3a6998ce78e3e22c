//! See `vtpm_server::program`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    vtpm_server::program::run()
}
