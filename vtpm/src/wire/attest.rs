//! Clock and attestation structures (Part 2, 10.10 to 10.12), for output.

use super::{Marshal, Writer, st};
use super::{PcrSelection, Tpm2bData, Tpm2bDigest, Tpm2bMaxNvBuffer, Tpm2bName};

/// TPM_GENERATED_VALUE: what every structure that the TPM signs starts with.
pub const GENERATED: u32 = 0xFF54_4347;

crate::wire_struct! {
    /// TPMS_CLOCK_INFO.
    pub struct ClockInfo {
        /// Milliseconds that the TPM has been powered, over all its life.
        pub clock: u64,
        /// TPM resets since the last Clear.
        pub reset_count: u32,
        /// Restarts and resumes since the last reset or Clear.
        pub restart_count: u32,
        /// Whether no larger `clock` was ever reported.
        pub safe: bool,
    }

    /// TPMS_TIME_INFO.
    pub struct TimeInfo {
        /// Milliseconds since the last _TPM_Init.
        pub time: u64,
        /// Clock.
        pub clock_info: ClockInfo,
    }
}

/// TPMU_ATTEST with its selector.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attested {
    Certify {
        name: Tpm2bName,
        qualified_name: Tpm2bName,
    },
    Creation {
        object_name: Tpm2bName,
        creation_hash: Tpm2bDigest,
    },
    Quote {
        pcr_select: PcrSelection,
        pcr_digest: Tpm2bDigest,
    },
    CommandAudit {
        counter: u64,
        digest_alg: u16,
        digest: Tpm2bDigest,
        command_digest: Tpm2bDigest,
    },
    SessionAudit {
        exclusive: bool,
        digest: Tpm2bDigest,
    },
    Time {
        time: TimeInfo,
        firmware_version: u64,
    },
    Nv {
        index_name: Tpm2bName,
        offset: u16,
        contents: Tpm2bMaxNvBuffer,
    },
    NvDigest {
        index_name: Tpm2bName,
        digest: Tpm2bDigest,
    },
}

impl Attested {
    fn tag(&self) -> u16 {
        match self {
            Attested::Certify { .. } => st::ATTEST_CERTIFY,
            Attested::Creation { .. } => st::ATTEST_CREATION,
            Attested::Quote { .. } => st::ATTEST_QUOTE,
            Attested::CommandAudit { .. } => st::ATTEST_COMMAND_AUDIT,
            Attested::SessionAudit { .. } => st::ATTEST_SESSION_AUDIT,
            Attested::Time { .. } => st::ATTEST_TIME,
            Attested::Nv { .. } => st::ATTEST_NV,
            Attested::NvDigest { .. } => st::ATTEST_NV_DIGEST,
        }
    }

    fn put(&self, out: &mut Writer) {
        match self {
            Attested::Certify {
                name,
                qualified_name,
            } => {
                name.marshal(out);
                qualified_name.marshal(out);
            }
            Attested::Creation {
                object_name,
                creation_hash,
            } => {
                object_name.marshal(out);
                creation_hash.marshal(out);
            }
            Attested::Quote {
                pcr_select,
                pcr_digest,
            } => {
                pcr_select.marshal(out);
                pcr_digest.marshal(out);
            }
            Attested::CommandAudit {
                counter,
                digest_alg,
                digest,
                command_digest,
            } => {
                counter.marshal(out);
                digest_alg.marshal(out);
                digest.marshal(out);
                command_digest.marshal(out);
            }
            Attested::SessionAudit { exclusive, digest } => {
                exclusive.marshal(out);
                digest.marshal(out);
            }
            Attested::Time {
                time,
                firmware_version,
            } => {
                time.marshal(out);
                firmware_version.marshal(out);
            }
            Attested::Nv {
                index_name,
                offset,
                contents,
            } => {
                index_name.marshal(out);
                offset.marshal(out);
                contents.marshal(out);
            }
            Attested::NvDigest { index_name, digest } => {
                index_name.marshal(out);
                digest.marshal(out);
            }
        }
    }
}

/// TPMS_ATTEST.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attest {
    pub qualified_signer: Tpm2bName,
    pub extra_data: Tpm2bData,
    pub clock_info: ClockInfo,
    pub firmware_version: u64,
    pub attested: Attested,
}

impl Marshal for Attest {
    fn marshal(&self, out: &mut Writer) {
        GENERATED.marshal(out);
        self.attested.tag().marshal(out);
        self.qualified_signer.marshal(out);
        self.extra_data.marshal(out);
        self.clock_info.marshal(out);
        self.firmware_version.marshal(out);
        self.attested.put(out);
    }
}
