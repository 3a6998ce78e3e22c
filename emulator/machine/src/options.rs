//! What the person who runs the machine asks of it, besides a guest: `KEY=VALUE`
//! lines in a file of QEMU's.

use alloc::vec::Vec;

use protocols::snp::TcbVersion;
use snp_model::psp::chip::{Config, ReportVersion};

use crate::host::fw_cfg;
use crate::report::console::println;
use crate::report::exit::{self, ExitStatus};

const OPTIONS_FILE: &str = "opt/rampart/options";

/// The options. Unless it is asked for, each is off, but for the reports' version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// `count_instructions=0:1,0:6`: of which SVSM calls (protocol and call) the
    /// instructions are counted; see [`crate::report::instructions`].
    pub(crate) count_instructions: Vec<(u32, u32)>,
    /// `check_every=N`: the invariants are checked after each N VMGEXITs; see
    /// [`crate::report::invariants::steps`].
    pub(crate) check_every: Option<u64>,
    /// `release_ghcbs=yes`: what Linux forgets when a CPU comes online again is done
    /// for it; see `host::linux`.
    pub(crate) release_ghcbs: bool,
    /// `report_version=2|3|5`: of the attestation reports; 3 if nothing is said.
    pub(crate) report_version: ReportVersion,
    /// `host_data=HEX`: what the host says at the launch, 32 bytes; zeros if nothing is.
    pub(crate) host_data: [u8; 32],
    /// `mask=chip_id` and `mask=chip_key`: reports do not name the chip, or are not
    /// signed; `reported_tcb=HEX`: the TCB version that they name and are signed for.
    pub(crate) chip: Config,
}

/// The options that QEMU was given. Ends the machine if one of them is unknown:
/// ignored, it would seem to have worked.
pub(crate) fn load() -> Options {
    let bytes = fw_cfg::read_file(OPTIONS_FILE).unwrap_or_default();
    let Ok(text) = core::str::from_utf8(&bytes) else {
        refuse("the file is not UTF-8 text");
    };
    let mut options = Options {
        count_instructions: Vec::new(),
        check_every: None,
        release_ghcbs: false,
        report_version: ReportVersion::V3,
        host_data: [0; 32],
        chip: Config::default(),
    };
    for line in text.lines() {
        if read(&mut options, line).is_none() {
            refuse(line);
        }
    }
    options
}

fn read(options: &mut Options, line: &str) -> Option<()> {
    match line.split_once('=')? {
        ("count_instructions", list) => {
            options.count_instructions = list.split(',').map(call).collect::<Option<_>>()?;
        }
        ("check_every", count) => {
            options.check_every = Some(count.parse().ok().filter(|count| *count > 0)?);
        }
        ("report_version", "2") => options.report_version = ReportVersion::V2,
        ("report_version", "3") => options.report_version = ReportVersion::V3,
        ("report_version", "5") => options.report_version = ReportVersion::V5,
        ("host_data", digits) => options.host_data = bytes(digits)?,
        ("mask", "chip_id") => options.chip.mask_chip_id = true,
        ("mask", "chip_key") => options.chip.mask_chip_key = true,
        ("reported_tcb", digits) => {
            let version = u64::from_be_bytes(bytes(digits)?);
            options.chip.reported_tcb = Some(TcbVersion(version));
        }
        ("release_ghcbs", "yes") => options.release_ghcbs = true,
        _ => return None,
    }
    Some(())
}

/// Two hexadecimal digits for each byte.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | char::from(*digit).to_digit(16)? as u8;
        }
    }
    Some(bytes)
}

/// `PROTOCOL:CALL`.
fn call(text: &str) -> Option<(u32, u32)> {
    let (protocol, call) = text.split_once(':')?;
    Some((protocol.parse().ok()?, call.parse().ok()?))
}

/// Ends the machine: this option makes no sense.
pub(crate) fn refuse(reason: &str) -> ! {
    println!("option refused: {reason}");
    exit::end(ExitStatus::ScenarioRefused)
}
