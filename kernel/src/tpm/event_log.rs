//! Rampart's own event log: what it has measured of the host's parameters, in the TCG's crypto-agile
//! format (PC Client Platform Firmware Profile, 10.2), so that OVMF's log stays OVMF's.

use alloc::vec::Vec;

use vtpm::crypto::hash::HashAlg;

/// The TPM's banks of PCRs, each of which everybody measures into: the guest's firmware, Linux, and
/// this log.
pub(crate) const BANKS: [HashAlg; 2] = [HashAlg::Sha256, HashAlg::Sha384];

/// EV_NO_ACTION: the first event, which says how to read the log.
const NO_ACTION: u32 = 3;
/// EV_NONHOST_CONFIG: configuration that is not the platform's own.
const NONHOST_CONFIG: u32 = 0x10;

/// Bytes of an event's name, at the start of its data.
const NAME: usize = 16;

/// A log for one PCR.
pub(crate) struct EventLog {
    pcr: u8,
    bytes: Vec<u8>,
}

impl EventLog {
    /// A log without a measurement.
    pub(crate) fn new(pcr: u8) -> Self {
        let mut log = Self {
            pcr,
            bytes: Vec::new(),
        };
        let mut specification = Vec::new();
        specification.extend_from_slice(b"Spec ID Event03\0");
        // Platform class 0 (client), version 2.0, errata 105, UINTN of 8 bytes.
        specification.extend_from_slice(&[0, 0, 0, 0, 0, 2, 105, 2]);
        specification.extend_from_slice(&length(BANKS.len()));
        for bank in BANKS {
            specification.extend_from_slice(&bank.id().to_le_bytes());
            let size = u16::try_from(bank.digest_size()).unwrap_or(u16::MAX);
            specification.extend_from_slice(&size.to_le_bytes());
        }
        // No vendor information.
        specification.push(0);
        log.put(&0u32.to_le_bytes());
        log.put(&NO_ACTION.to_le_bytes());
        log.put(&[0; 20]);
        log.put(&length(specification.len()));
        log.put(&specification);
        log
    }

    /// Adds an event; its data, which the digests are of, is the name and what was measured. Returns
    /// the digests, in the order of [`BANKS`].
    pub(crate) fn add(&mut self, name: &[u8; NAME], measured: &[u8]) -> [Vec<u8>; 2] {
        let digests = BANKS.map(|bank| bank.digest(&[name, measured]).to_vec());
        self.put(&u32::from(self.pcr).to_le_bytes());
        self.put(&NONHOST_CONFIG.to_le_bytes());
        self.put(&length(BANKS.len()));
        for (bank, digest) in BANKS.iter().zip(&digests) {
            self.put(&bank.id().to_le_bytes());
            self.put(digest);
        }
        self.put(&length(name.len().saturating_add(measured.len())));
        self.put(name);
        self.put(measured);
        digests
    }

    /// The log's bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_what_the_profile_says() {
        let mut log = EventLog::new(8);
        let digests = log.add(b"RampartVpCount\0\0", &[4, 0, 0, 0]);
        let data = [&b"RampartVpCount\0\0"[..], &[4, 0, 0, 0]].concat();
        assert_eq!(digests[0], HashAlg::Sha256.digest(&[&data]).to_vec());
        assert_eq!(digests[1], HashAlg::Sha384.digest(&[&data]).to_vec());
        let bytes = log.into_bytes();
        // PCR 0, EV_NO_ACTION, a SHA-1 of zeros, 37 bytes of specification.
        assert_eq!(bytes[..8], [0, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(bytes[8..28], [0; 20]);
        assert_eq!(bytes[28..32], [37, 0, 0, 0]);
        assert_eq!(bytes[32..48], *b"Spec ID Event03\0");
        assert_eq!(bytes[48..56], [0, 0, 0, 0, 0, 2, 105, 2]);
        assert_eq!(
            bytes[56..69],
            [2, 0, 0, 0, 0x0B, 0, 32, 0, 0x0C, 0, 48, 0, 0]
        );
        // The event.
        let event = &bytes[69..];
        assert_eq!(event[..12], [8, 0, 0, 0, 0x10, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(event[12..14], [0x0B, 0]);
        assert_eq!(event[14..46], digests[0]);
        assert_eq!(event[46..48], [0x0C, 0]);
        assert_eq!(event[48..96], digests[1]);
        assert_eq!(event[96..100], [20, 0, 0, 0]);
        assert_eq!(event[100..], data);
    }
}
