//! The chip of the emulated machine. Its secret is in this file: what it signs says
//! that somebody has the source, and nothing else.

use protocols::snp::{
    FirmwareVersion, PlatformInfo, TcbLayout, TcbParts, TcbVersion, VMPCK_SIZE, Vmpl,
};
use sha2::{Digest, Sha384};

use super::Vmpck;
use super::chip::{Chip, Config, Processor, ReportVersion, SECRET};

/// "EMULATED CHIP, NO SECRET", over and over.
const NO_SECRET: [u8; 24] = *b"EMULATED CHIP, NO SECRET";

/// The TCB version of the emulated firmware: all of it at security version 1.
const TCB: TcbParts = TcbParts {
    fmc: 1,
    boot_loader: 1,
    tee: 1,
    snp: 1,
    microcode: 1,
};

/// Version 1.58 of the ABI, of which the model is a part.
const FIRMWARE: FirmwareVersion = FirmwareVersion {
    build: 0,
    minor: 58,
    major: 1,
    reserved: 0,
};

/// The chip, as this processor, with reports of this version.
pub fn chip(processor: Processor, report_version: ReportVersion) -> Chip {
    let layout = TcbLayout::of_family(processor.family).unwrap_or(TcbLayout::Turin);
    let tcb = TcbVersion::from_parts(TCB, layout);
    let mut secret = [0; SECRET];
    let mut id = [0; 64];
    for (to, from) in secret.iter_mut().zip(NO_SECRET.iter().cycle()) {
        *to = *from;
    }
    let named = match layout {
        TcbLayout::Milan => id.len(),
        TcbLayout::Turin => 8,
    };
    for (to, from) in id.iter_mut().take(named).zip(NO_SECRET.iter().cycle()) {
        *to = *from;
    }
    Chip {
        secret,
        id,
        processor,
        platform: PlatformInfo::SMT_EN | PlatformInfo::ALIAS_CHECK_COMPLETE,
        current_tcb: tcb,
        committed_tcb: tcb,
        current: FIRMWARE,
        committed: FIRMWARE,
        mit_vector: 0,
        report_version,
        config: Config::default(),
    }
}

/// The VM platform communication keys that its guests get, one for each level: the
/// same in every run.
pub fn vmpcks() -> [Vmpck; Vmpl::COUNT] {
    core::array::from_fn(|level| {
        let digest = Sha384::new()
            .chain_update("emulated VMPCK")
            .chain_update([level as u8])
            .finalize();
        core::array::from_fn::<u8, VMPCK_SIZE, _>(|at| digest.get(at).copied().unwrap_or_default())
    })
}
