//! The table of certificates that an extended guest request brings (GHCB
//! specification, SNP extended guest request). It is the host's, and untrusted.

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Whose certificate: a GUID, its bytes in the order of its text, unlike EFI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct CertificateKind(
    /// The sixteen bytes.
    pub [u8; 16],
);

impl CertificateKind {
    /// The chip's key.
    pub const VCEK: Self = Self::of(0x63da758d_e664_4564_adc5_f4b93be8accd);
    /// The loaded key.
    pub const VLEK: Self = Self::of(0xa8074bc2_a25a_483e_aae6_39c045a0b8a1);
    /// AMD's signing key for the chips'.
    pub const ASK: Self = Self::of(0x4ab7b379_bbac_4fe4_a02f_05aef327c782);
    /// AMD's root key.
    pub const ARK: Self = Self::of(0xc0b406a4_a803_4952_9743_3fb6014cd0ae);
    /// The list of what was revoked.
    pub const CRL: Self = Self::of(0x92f81bc3_5811_4d3d_97ff_d19f88dc67ea);

    /// A GUID by its text without the hyphens, read as one number.
    pub const fn of(text: u128) -> Self {
        Self(text.to_be_bytes())
    }
}

/// One entry. An entry of zeros ends the table; the certificates follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CertificateEntry {
    /// Whose certificate.
    pub kind: CertificateKind,
    /// Where it begins, in bytes from the table's beginning.
    pub offset: u32,
    /// Bytes of it.
    pub length: u32,
}

/// A table that does not end, or names bytes that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedTable;

/// The certificates of a table, in its order; after an error none.
pub fn certificates(
    table: &[u8],
) -> impl Iterator<Item = Result<(CertificateKind, &[u8]), MalformedTable>> {
    let mut rest = Some(table);
    core::iter::from_fn(move || {
        let Ok((entry, behind)) = CertificateEntry::read_from_prefix(rest.take()?) else {
            return Some(Err(MalformedTable));
        };
        if entry.as_bytes().iter().all(|&byte| byte == 0) {
            return None;
        }
        let (offset, length) = (entry.offset as usize, entry.length as usize);
        let end = offset.checked_add(length);
        let Some(bytes) = end.and_then(|end| table.get(offset..end)) else {
            return Some(Err(MalformedTable));
        };
        rest = Some(behind);
        Some(Ok((entry.kind, bytes)))
    })
}

/// Bytes of a table with its certificates and the entry that ends it; 0 for one without any.
///
/// # Errors
/// [`MalformedTable`].
pub fn table_len(table: &[u8]) -> Result<usize, MalformedTable> {
    let mut entries = table;
    let mut len = 0usize;
    for found in certificates(table) {
        let _ = found?;
        let (entry, rest) =
            CertificateEntry::read_from_prefix(entries).map_err(|_| MalformedTable)?;
        entries = rest;
        // Neither adds up to more than the table's bytes, for it was found there.
        len = len.max((entry.offset as usize).saturating_add(entry.length as usize));
    }
    let used = table.len().saturating_sub(entries.len());
    Ok(match used {
        0 => 0,
        used => len.max(used.saturating_add(size_of::<CertificateEntry>())),
    })
}

const _: () = {
    assert!(size_of::<CertificateEntry>() == 0x18);
    assert!(offset_of!(CertificateEntry, kind) == 0x00);
    assert!(offset_of!(CertificateEntry, offset) == 0x10);
    assert!(offset_of!(CertificateEntry, length) == 0x14);
};

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn entry(kind: CertificateKind, offset: u32, length: u32) -> CertificateEntry {
        CertificateEntry {
            kind,
            offset,
            length,
        }
    }

    fn table(entries: &[CertificateEntry], behind: &[u8]) -> Vec<u8> {
        let entries = entries.iter().flat_map(|entry| entry.as_bytes().to_vec());
        entries
            .chain([0; 24])
            .chain(behind.iter().copied())
            .collect()
    }

    #[test]
    fn certificates_are_found_where_the_table_says() {
        let bytes = table(
            &[
                entry(CertificateKind::VCEK, 72, 3),
                entry(CertificateKind::ASK, 75, 2),
            ],
            b"onetw",
        );
        let found: Result<Vec<_>, _> = certificates(&bytes).collect();
        let expected: [(CertificateKind, &[u8]); 2] = [
            (CertificateKind::VCEK, b"one"),
            (CertificateKind::ASK, b"tw"),
        ];
        assert_eq!(found.unwrap(), expected);
        assert_eq!(bytes[..4], [0x63, 0xda, 0x75, 0x8d]);
    }

    #[test]
    fn a_table_that_reaches_out_of_its_bytes_is_refused() {
        for (offset, length) in [(48, 6), (54, 0), (u32::MAX, u32::MAX), (0, 54)] {
            let bytes = table(&[entry(CertificateKind::ARK, offset, length)], b"five.");
            let found: Vec<_> = certificates(&bytes).collect();
            assert_eq!(found, [Err(MalformedTable)], "{offset} {length}");
        }
        let endless = &table(&[entry(CertificateKind::ARK, 0, 1)], b"")[..40];
        assert_eq!(certificates(endless).last(), Some(Err(MalformedTable)));
        assert_eq!(certificates(&[]).last(), Some(Err(MalformedTable)));
        assert_eq!(certificates(&[0; 24]).last(), None);
    }

    #[test]
    fn a_table_is_as_long_as_what_it_names() {
        let one = entry(CertificateKind::VCEK, 48, 3);
        assert_eq!(table_len(&table(&[one], b"one, and more")), Ok(51));
        let two = entry(CertificateKind::ASK, 0, 1);
        assert_eq!(table_len(&table(&[two], b"behind")), Ok(48));
        assert_eq!(table_len(&[0; 48]), Ok(0));
        assert_eq!(table_len(&[1; 48]), Err(MalformedTable));
    }

    proptest! {
        #[test]
        fn no_length_is_beyond_the_bytes(entries: Vec<(u8, u8)>, behind: Vec<u8>) {
            let entries: Vec<_> = entries.iter().map(|&(offset, length)| {
                entry(CertificateKind::ARK, offset.into(), length.into())
            }).collect();
            let bytes = table(&entries, &behind);
            let whole: Result<Vec<_>, _> = certificates(&bytes).collect();
            match table_len(&bytes) {
                Ok(len) => prop_assert!(whole.is_ok() && len <= bytes.len()),
                Err(error) => prop_assert_eq!(whole, Err(error)),
            }
        }

        #[test]
        fn no_bytes_make_the_reader_go_astray(bytes: Vec<u8>) {
            let found: Vec<_> = certificates(&bytes).collect();
            prop_assert!(found.len() <= bytes.len() / 24 + 1);
        }
    }
}
