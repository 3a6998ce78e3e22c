//! The program behind both names.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::host::Host;
use crate::machine::Machine;
use crate::options::Options;
use crate::server::Server;
use crate::state::StateFile;
use crate::tpm::HostTpm;

fn tell(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .init();
}

fn host(options: &Options) -> Result<Host> {
    let Some(path) = &options.state else {
        return Ok(Host::in_memory());
    };
    if options.remanufacture {
        return Ok(Host::with_file(StateFile::lock(path)?, None)?);
    }
    let (file, state) = StateFile::open(path)?;
    Ok(Host::with_file(file, state)?)
}

fn serve(options: &Options) -> Result<()> {
    // The ports first: a state is made only for a server that can run.
    let server = Server::bind(options.listen, options.port)?;
    let machine = Machine::new(Box::new(HostTpm::new(
        host(options)?,
        options.authority.as_deref(),
    )?));
    let port = server.port();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "command port {port}, platform port {}",
        u32::from(port) + 1
    )
    .and_then(|()| out.flush())
    .context("standard output")?;
    server.run(machine)?;
    Ok(())
}

/// Runs the server as the command line says.
#[must_use]
pub fn run() -> ExitCode {
    let options = Options::read();
    tell(options.verbose);
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("vtpm-server: {problem:#}");
            ExitCode::FAILURE
        }
    }
}
