//! The chip: who it is, which firmware it runs, and the secret that its keys come
//! from. A model's secret is none.

use hkdf::Hkdf;
use p384::ecdsa::{SigningKey, VerifyingKey};
use protocols::snp::{FirmwareVersion, PlatformInfo, TcbVersion};
use sha2::Sha384;
use zerocopy::IntoBytes;

/// Bytes of a chip's secret.
pub const SECRET: usize = 48;

/// The versions of a report that the model makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportVersion {
    /// Version 2: without what the processor is.
    V2,
    /// Version 3: with family, model and stepping.
    V3,
    /// Version 5: with mitigations as well.
    V5,
}

/// What the host chose with SNP_CONFIG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// An older TCB version to report and sign with, instead of the committed one.
    pub reported_tcb: Option<TcbVersion>,
    /// Reports do not name the chip.
    pub mask_chip_id: bool,
    /// Reports are not signed.
    pub mask_chip_key: bool,
}

/// Family, model and stepping as reports have them: base and extended together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processor {
    /// The family, 0x19 for Milan.
    pub family: u8,
    /// The model.
    pub model: u8,
    /// The stepping.
    pub stepping: u8,
}

impl Processor {
    /// From CPUID leaf 1, EAX. A family beyond 0xff, which no processor has, loses
    /// its upper bits.
    pub const fn from_cpuid(eax: u32) -> Self {
        let base = eax >> 8 & 0xf;
        let extended = if base == 0xf { eax >> 20 & 0xff } else { 0 };
        Self {
            family: base.wrapping_add(extended) as u8,
            model: (eax >> 12 & 0xf0 | eax >> 4 & 0xf) as u8,
            stepping: (eax & 0xf) as u8,
        }
    }
}

/// A chip with its firmware.
#[derive(Clone)]
pub struct Chip {
    /// What keys are derived from.
    pub secret: [u8; SECRET],
    /// CHIP_ID.
    pub id: [u8; 64],
    /// The processor.
    pub processor: Processor,
    /// The platform.
    pub platform: PlatformInfo,
    /// The TCB that runs.
    pub current_tcb: TcbVersion,
    /// The TCB below which the firmware cannot be set back.
    pub committed_tcb: TcbVersion,
    /// The firmware that runs.
    pub current: FirmwareVersion,
    /// The firmware that is committed.
    pub committed: FirmwareVersion,
    /// Mitigations that run (version 5).
    pub mit_vector: u64,
    /// The version of its reports.
    pub report_version: ReportVersion,
    /// The host's choices.
    pub config: Config,
}

impl Chip {
    /// The TCB version that reports name and that the VCEK belongs to.
    pub fn reported_tcb(&self) -> TcbVersion {
        self.config.reported_tcb.unwrap_or(self.committed_tcb)
    }

    /// The VCEK of the reported TCB version: another version, another key.
    ///
    /// HKDF-SHA-384 of the chip's secret gives candidates until one is a scalar of
    /// P-384, which the first is but for one time in 2^189.
    pub(super) fn vcek(&self) -> Option<SigningKey> {
        let kdf = Hkdf::<Sha384>::new(Some(b"snp-model VCEK"), &self.secret);
        let tcb = self.reported_tcb();
        (0u8..=255).find_map(|attempt| {
            let mut scalar = [0; 48];
            kdf.expand_multi_info(&[tcb.as_bytes(), &[attempt]], &mut scalar)
                .ok()?;
            SigningKey::from_slice(&scalar).ok()
        })
    }

    /// The public key of the VCEK, for its certificate.
    pub fn vcek_public(&self) -> Option<VerifyingKey> {
        self.vcek().map(|key| *key.verifying_key())
    }
}

impl core::fmt::Debug for Chip {
    /// Leaves the secret out.
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Chip")
            .field("processor", &self.processor)
            .field("report_version", &self.report_version)
            .finish_non_exhaustive()
    }
}
