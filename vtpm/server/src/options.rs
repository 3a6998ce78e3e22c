//! The command line.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Parser;

/// A TPM 2.0 behind the reference simulator's TCP protocol.
///
/// Commands come on one port, power and platform signals on the next. The TPM
/// starts without power; the mssim TCTI of tpm2-tss and IBM's TSS switch it on.
///
///   vtpm-server --port 2321 --state tpm.state &
///   tpm2_startup -T mssim:port=2321 -c
///   tpm2_getrandom -T mssim:port=2321 --hex 8
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(version, verbatim_doc_comment)]
pub struct Options {
    /// The command port; the platform port is the next one. 0 takes any two free
    /// ones. The first line of output says which they are.
    #[arg(short, long, value_name = "N", default_value_t = 2321)]
    pub port: u16,

    /// The address to listen on. Whoever can connect is the TPM's platform: leave
    /// it at this computer's own.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub listen: IpAddr,

    /// Keep the TPM's lasting state in this file; it is made if it does not exist.
    /// Without it every start is a new TPM. The file holds the TPM's secrets.
    #[arg(short, long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Manufacture a new TPM, and let it take the place of what --state holds.
    #[arg(long, visible_alias = "rm")]
    pub remanufacture: bool,

    /// Provision a new TPM: endorsement keys with certificates in the usual NV
    /// indices and persistent keys, signed by an authority that is made for it.
    /// The authority's own certificate goes to this file (DER); its key is not
    /// kept. A TPM that is there already stays as it is.
    #[arg(long, value_name = "FILE")]
    pub authority: Option<PathBuf>,

    /// Say more on standard error: once for connections, twice for each request.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Options {
    /// Reads the command line; also takes `-port` and `-rm`, as the reference
    /// simulator writes them.
    #[must_use]
    pub fn read() -> Self {
        Self::parse_from(std::env::args_os().map(translated))
    }
}

fn translated(argument: OsString) -> OsString {
    match argument.to_str() {
        Some("-port") => "--port".into(),
        Some("-rm") => "--rm".into(),
        _ => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_simulators_spelling_is_understood() {
        let words = ["tpm_server", "-rm", "-port", "2400"];
        let options = Options::parse_from(words.into_iter().map(|word| translated(word.into())));
        assert!(options.remanufacture);
        assert_eq!(options.port, 2400);
    }

    #[test]
    fn the_description_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }
}
