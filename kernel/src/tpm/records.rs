//! The TPM's persistent records, in memory: they live as long as the virtual machine, which no
//! reset survives either.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use vtpm::{Change, Record};

/// The records by their identifiers. What the TPM may store is bounded by its own limits.
#[derive(Default)]
pub(crate) struct Records(BTreeMap<u32, Vec<u8>>);

impl Records {
    /// A copy of all.
    pub(crate) fn load(&self) -> Vec<Record> {
        self.0
            .iter()
            .map(|(id, bytes)| (*id, bytes.clone()))
            .collect()
    }

    /// Makes the changes, all of them: memory does not fail.
    pub(crate) fn commit(&mut self, changes: &[Change]) {
        for change in changes {
            match &change.bytes {
                Some(bytes) => self.0.insert(change.id, bytes.clone()),
                None => self.0.remove(&change.id),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn what_is_committed_is_loaded() {
        let mut records = Records::default();
        let change = |id, bytes: Option<&[u8]>| Change {
            id,
            bytes: bytes.map(<[u8]>::to_vec),
        };
        records.commit(&[change(2, Some(b"b")), change(1, Some(b"a"))]);
        assert_eq!(records.load(), vec![(1, b"a".to_vec()), (2, b"b".to_vec())]);
        records.commit(&[change(1, None), change(2, Some(b"c"))]);
        assert_eq!(records.load(), vec![(2, b"c".to_vec())]);
    }
}
