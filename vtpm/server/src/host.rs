//! A host as the TPM's platform: the system's entropy, its clock, and records in
//! memory or in a state file.

use std::collections::BTreeMap;
use std::time::Instant;

use tracing::error;
use vtpm::{Change, Platform, PlatformError, Record};

use crate::state::{StateError, StateFile};

/// What the TPM runs on.
#[derive(Debug)]
pub struct Host {
    records: BTreeMap<u32, Vec<u8>>,
    store: Option<StateFile>,
    started: Instant,
    presence: bool,
    nv_available: bool,
}

/// The records as bytes: u32 identifier, u32 length, bytes; big-endian.
fn encode(records: &BTreeMap<u32, Vec<u8>>) -> Result<Vec<u8>, PlatformError> {
    let mut out = Vec::new();
    for (id, bytes) in records {
        out.extend(id.to_be_bytes());
        let length = u32::try_from(bytes.len()).map_err(|_| PlatformError)?;
        out.extend(length.to_be_bytes());
        out.extend(bytes);
    }
    Ok(out)
}

/// What [`encode`] made; `None` for anything else.
fn decode(mut state: &[u8]) -> Option<BTreeMap<u32, Vec<u8>>> {
    let mut records = BTreeMap::new();
    while !state.is_empty() {
        let (id, rest) = state.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (bytes, rest) = rest.split_at_checked(length)?;
        let twice = records.insert(u32::from_be_bytes(*id), bytes.to_vec());
        if twice.is_some() {
            return None;
        }
        state = rest;
    }
    Some(records)
}

impl Host {
    /// A host that keeps nothing.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            records: BTreeMap::new(),
            store: None,
            started: Instant::now(),
            presence: false,
            nv_available: true,
        }
    }

    /// A host that keeps the records in the file, and has those that `state` holds.
    ///
    /// # Errors
    /// [`StateError::Refused`] if the state holds something else.
    pub fn with_file(store: StateFile, state: Option<Vec<u8>>) -> Result<Self, StateError> {
        let records = decode(&state.unwrap_or_default())
            .ok_or_else(|| store.refused("the state holds something else than records"))?;
        Ok(Self {
            records,
            store: Some(store),
            ..Self::in_memory()
        })
    }

    /// Whether there are records of a TPM.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The error for records that the TPM does not take.
    #[must_use]
    pub fn refused(&self, reason: &str) -> Option<StateError> {
        self.store.as_ref().map(|store| store.refused(reason))
    }

    /// Asserts physical presence, or not.
    pub fn set_presence(&mut self, asserted: bool) {
        self.presence = asserted;
    }

    /// Lets NV memory be written, or not.
    pub fn set_nv_available(&mut self, available: bool) {
        self.nv_available = available;
    }
}

impl Platform for Host {
    fn entropy(&mut self, out: &mut [u8]) -> Result<(), PlatformError> {
        getrandom::fill(out).map_err(|problem| {
            error!("no entropy: {problem}");
            PlatformError
        })
    }

    fn now_ms(&mut self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn nv_load(&mut self) -> Result<Vec<Record>, PlatformError> {
        let records = self.records.iter();
        Ok(records.map(|(id, bytes)| (*id, bytes.clone())).collect())
    }

    fn nv_commit(&mut self, changes: &[Change]) -> Result<(), PlatformError> {
        let mut records = self.records.clone();
        for change in changes {
            match &change.bytes {
                Some(bytes) => drop(records.insert(change.id, bytes.clone())),
                None => drop(records.remove(&change.id)),
            }
        }
        if let Some(store) = &mut self.store {
            store.write(&encode(&records)?).map_err(|problem| {
                error!("{problem}");
                PlatformError
            })?;
        }
        self.records = records;
        Ok(())
    }

    fn nv_available(&mut self) -> bool {
        self.nv_available
    }

    fn physical_presence(&mut self) -> bool {
        self.presence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: u32, bytes: Option<&[u8]>) -> Change {
        Change {
            id,
            bytes: bytes.map(<[u8]>::to_vec),
        }
    }

    #[test]
    fn records_survive_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (store, state) = StateFile::open(&path).unwrap();
        let mut host = Host::with_file(store, state).unwrap();
        assert!(host.is_empty());
        host.nv_commit(&[
            change(1, Some(b"a")),
            change(2, Some(b"")),
            change(3, Some(b"c")),
        ])
        .unwrap();
        host.nv_commit(&[change(3, None), change(1, Some(b"b"))])
            .unwrap();
        drop(host);
        let (store, state) = StateFile::open(&path).unwrap();
        let mut host = Host::with_file(store, state).unwrap();
        assert_eq!(
            host.nv_load().unwrap(),
            [(1, b"b".to_vec()), (2, Vec::new())]
        );
    }

    #[test]
    fn what_cannot_be_written_has_not_happened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (store, state) = StateFile::open(&path).unwrap();
        let mut host = Host::with_file(store, state).unwrap();
        host.nv_commit(&[change(1, Some(b"a"))]).unwrap();
        // The place of the file that is to be renamed is taken by a folder.
        std::fs::create_dir(folder.path().join("state.new")).unwrap();
        assert_eq!(host.nv_commit(&[change(1, Some(b"b"))]), Err(PlatformError));
        assert_eq!(host.nv_load().unwrap(), [(1, b"a".to_vec())]);
    }

    #[test]
    fn only_whole_records_are_read() {
        let records = BTreeMap::from([(7, b"seven".to_vec()), (9, Vec::new())]);
        let bytes = encode(&records).unwrap();
        assert_eq!(decode(&bytes), Some(records));
        for length in (1..bytes.len()).filter(|length| *length != 13) {
            assert_eq!(decode(&bytes[..length]), None, "{length}");
        }
        assert_eq!(decode(&[&bytes[..], &bytes[..]].concat()), None);
        assert_eq!(decode(&[0xff; 8]), None);
    }
}
