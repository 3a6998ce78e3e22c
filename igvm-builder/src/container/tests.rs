use super::*;
use crate::testing::{fix_checksum, plain_image, rampart_image};
use proptest::prelude::*;

/// The offset of the first variable header of type `typ`.
fn header_at(file: &[u8], typ: u32) -> usize {
    let mut offset = 24;
    while word(file, offset).unwrap() != typ {
        offset += 8 + (word(file, offset + 4).unwrap() as usize).next_multiple_of(8);
    }
    offset
}

fn refused(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut file = plain_image();
    change(&mut file);
    fix_checksum(&mut file);
    parse(&file).unwrap_err().to_string()
}

fn set(file: &mut [u8], offset: usize, value: u32) {
    file[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn built_images_parse() {
    parse(&plain_image()).unwrap();
    parse(&rampart_image()).unwrap();
}

#[test]
fn a_file_cut_short_is_named_as_such() {
    let file = plain_image();
    for length in 0..24 {
        assert!(matches!(
            parse(&file[..length]),
            Err(ContainerError::Fixed { .. })
        ));
    }
    for length in [24, 100, file.len() / 2, file.len() - 1] {
        let error = parse(&file[..length]).unwrap_err().to_string();
        let expected = format!("should have {} bytes but has {length}", file.len());
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn a_wrong_checksum_is_named() {
    let mut file = plain_image();
    file[20] ^= 1;
    let error = parse(&file).unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
    // A change in a header is found by the checksum alone.
    let mut file = plain_image();
    let page = header_at(&file, PAGE_DATA);
    file[page + 8 + 1] ^= 0x10;
    assert!(parse(&file).unwrap_err().to_string().contains("checksum"));
}

#[test]
fn fixed_header_fields_are_checked_one_by_one() {
    assert!(refused(|file| file[0] ^= 1).contains("no IGVM file"));
    assert!(refused(|file| set(file, 4, 3)).contains("format version 3"));
    assert!(refused(|file| set(file, 8, 16)).starts_with("fixed header, offset 0x8"));
    assert!(refused(|file| set(file, 8, 28)).starts_with("fixed header, offset 0x8"));
    assert!(refused(|file| set(file, 12, u32::MAX)).starts_with("fixed header, offset 0xc"));
    assert!(refused(|file| set(file, 12, 1 << 20)).starts_with("fixed header, offset 0xc"));
    assert!(parse(b"").is_err());
}

#[test]
fn a_bad_directive_is_named_with_its_offset() {
    let page = header_at(&plain_image(), PAGE_DATA);
    let named = format!("(PAGE_DATA) at offset {page:#x}: ");
    let data_offset = refused(|file| set(file, page + 8 + 12, 8));
    assert!(
        data_offset.contains(&(named.clone() + "its data at 0x8")),
        "{data_offset}"
    );
    let data_end = refused(|file| set(file, page + 8 + 12, u32::MAX));
    assert!(data_end.contains("its data at 0xffffffff"), "{data_end}");
    let length = refused(|file| set(file, page + 4, 16));
    assert!(
        length.contains(&(named + "its length is 0x10, must be 0x18")),
        "{length}"
    );
    let unknown = refused(|file| set(file, page, 0x3FF));
    assert!(
        unknown.contains("the type 0x3ff is not supported"),
        "{unknown}"
    );
    let vmsa = header_at(&plain_image(), VP_CONTEXT);
    let no_vmsa = refused(|file| set(file, vmsa + 8 + 12, 0));
    assert!(no_vmsa.contains("(VP_CONTEXT)"), "{no_vmsa}");
    let area = header_at(&plain_image(), PARAMETER_AREA);
    let size = refused(|file| {
        let data = word(file, vmsa + 8 + 12).unwrap();
        set(file, area + 8 + 12, data);
        file[area + 8..area + 16].fill(0xff);
    });
    assert!(size.contains("(PARAMETER_AREA)"), "{size}");
}

proptest! {
    /// Whatever the headers say, parsing ends in a report or an error.
    #[test]
    fn changed_headers_never_panic(
        changes in proptest::collection::vec((0usize..1200, any::<u8>()), 1..8),
        words in proptest::collection::vec((0usize..300, prop_oneof![
            Just(0u32), Just(u32::MAX), Just(0x102), Just(0x103), Just(0x30B), any::<u32>(),
        ]), 0..4),
    ) {
        let mut file = rampart_image();
        for (offset, value) in changes {
            file[offset] = value;
        }
        for (index, value) in words {
            set(&mut file, 24 + 4 * index, value);
        }
        fix_checksum(&mut file);
        if let Ok(report) = crate::inspect::inspect(&file) {
            let _ = report.to_string();
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }
}
