use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::testing::{Firmware, Sections, range};

fn parse(firmware: &Firmware) -> Result<GuestImage, ImageError> {
    GuestImage::parse(&firmware.bytes())
}

#[test]
fn ovmf_is_understood() {
    let image = parse(&Firmware::ovmf()).unwrap();
    let sections: Vec<_> = image.sections.iter().collect();
    assert_eq!(
        sections,
        [range(0x80_0000, 0x9000), range(0x80_a000, 0x2_6000)]
    );
    assert_eq!(image.secrets.get(), 0x80_d000);
    assert_eq!(image.cpuid.get(), 0x80_e000);
    assert_eq!(image.calling_area.get(), 0x80_f000);
    let parameters = image.parameters.unwrap();
    assert_eq!(parameters.memory_map, range(0x81_2000, 0xc0));
    assert_eq!(parameters.vp_count, range(0x81_20c0, 0x10));
}

#[test]
fn an_image_without_igvm_metadata_has_no_parameters() {
    let firmware = Firmware {
        igvm: None,
        ..Firmware::ovmf()
    };
    assert_eq!(parse(&firmware).unwrap().parameters, None);
    let mut firmware = Firmware::ovmf();
    firmware.igvm = Some(Vec::new());
    assert_eq!(parse(&firmware).unwrap().parameters, None);
}

#[test]
fn an_image_without_sev_metadata_is_told_apart() {
    let firmware = Firmware {
        sev: None,
        ..Firmware::ovmf()
    };
    assert_eq!(parse(&firmware), Err(ImageError::NoMetadata));
    assert_eq!(GuestImage::parse(&[]), Err(ImageError::NoMetadata));
    assert_eq!(GuestImage::parse(&[0; 0x31]), Err(ImageError::NoMetadata));
    assert_eq!(GuestImage::parse(&[0; 0x1000]), Err(ImageError::NoMetadata));
    let reason = Fatal::new(RampartReason::FirmwareMetadataMissing);
    assert_eq!(Fatal::from(ImageError::NoMetadata), reason);
}

fn with_sev(change: impl Fn(&mut Sections)) -> Result<GuestImage, ImageError> {
    let mut firmware = Firmware::ovmf();
    change(firmware.sev.as_mut().unwrap());
    parse(&firmware)
}

fn with_igvm(change: impl Fn(&mut Sections)) -> Result<GuestImage, ImageError> {
    let mut firmware = Firmware::ovmf();
    change(firmware.igvm.as_mut().unwrap());
    parse(&firmware)
}

#[test]
fn threat_05_sections_have_to_be_whole_pages_without_overlap() {
    let changes: [fn(&mut Sections); 11] = [
        |s| s[0].0 += 1,
        |s| s[0].1 += 8,
        |s| s[0].1 = 0,
        |s| s[0].1 = 0xb000,
        |s| s[1].0 = 0x80_0000,
        |s| s[2].1 = 0x2000,
        |s| s[2].2 = 3,
        |s| s[5].2 = 5,
        |s| s[5].2 = u32::MAX,
        |s| s.retain(|section| section.2 != 2),
        |s| s.retain(|section| section.2 != 4),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert_eq!(with_sev(change), Err(ImageError::Malformed), "{index}");
    }
    // The highest page of 32 bits does not wrap.
    let high = with_sev(|s| s[0] = (0xffff_f000, 0x1000, 1)).unwrap();
    assert!(high.sections.contains(range(0xffff_f000, 0x1000)));
}

#[test]
fn threat_05_parameters_have_to_lie_in_validated_memory() {
    let changes: [fn(&mut Sections); 10] = [
        |s| s[0].0 = 0x80_9000,
        |s| s[0].0 = 0x83_0000,
        |s| s[0].1 = 0x1_e000,
        |s| s[0].0 += 0x10,
        |s| s[1].0 = 0xff8,
        |s| s[1].1 = 0x1001,
        |s| s[1].1 = 16,
        |s| s[2].0 = u32::MAX,
        |s| s[2].0 = 0xbf,
        |s| s.retain(|section| section.2 != 0x102),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let result = with_igvm(change);
        // Growing the area to the section's end is no fault; beyond it is.
        if index == 2 {
            assert!(result.is_ok());
        } else {
            assert_eq!(result, Err(ImageError::Malformed), "{index}");
        }
    }
}

#[test]
fn tables_that_leave_their_bounds_are_malformed() {
    let good = Firmware::ovmf().bytes();
    let size = good.len();
    let footer = size - 0x20 - 18;
    let sev = size - 0x600;
    for (at, bytes, what) in [
        (footer, &[0xff_u8, 0xff][..], "the table's length"),
        (footer, &[17, 0][..], "less than the footer"),
        (footer - 18, &[0, 0][..], "an entry's length"),
        (
            footer - 18,
            &[0xff, 0x0f][..],
            "an entry longer than the table",
        ),
        (sev, b"ASEW", "the signature"),
        (sev + 4, &[0xff, 0xff, 0, 0][..], "the descriptor's length"),
        (sev + 8, &[2, 0, 0, 0][..], "its version"),
        (sev + 12, &[0xff, 0xff, 0xff, 0xff][..], "its count"),
        (
            sev + 4,
            &[16 + 12 * 6, 0, 0, 0][..],
            "a length without the last section",
        ),
    ] {
        let mut image = good.clone();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(
            GuestImage::parse(&image),
            Err(ImageError::Malformed),
            "{what}"
        );
    }
    // A descriptor's offset of zero and beyond the image.
    let offset = footer - 18 - 4 - 18 - 4;
    for from_end in [0u32, 8, size as u32 + 1, u32::MAX] {
        let mut image = good.clone();
        image[offset..offset + 4].copy_from_slice(&from_end.to_le_bytes());
        assert_eq!(
            GuestImage::parse(&image),
            Err(ImageError::Malformed),
            "{from_end:#x}"
        );
    }
}

#[test]
fn a_tail_too_short_for_the_descriptors_is_malformed() {
    let bytes = Firmware::ovmf().bytes();
    let tail = &bytes[bytes.len() - 0x500..];
    assert_eq!(GuestImage::parse(tail), Err(ImageError::Malformed));
}

proptest! {
    #[test]
    fn any_bytes_are_an_image_or_an_error(
        changes in prop::collection::vec((0usize..0x640, any::<u8>()), 1..24),
    ) {
        let mut image = Firmware::ovmf().bytes();
        let size = image.len();
        for (from_end, byte) in changes {
            image[size - 1 - from_end] = byte;
        }
        if let Ok(image) = GuestImage::parse(&image) {
            prop_assert!(image.sections.as_slice().windows(2).all(|w| w[0].end() <= w[1].start()));
            for page in [image.secrets, image.cpuid, image.calling_area] {
                prop_assert!(image.sections.contains(range(page.get(), 0x1000)));
            }
        }
    }

    #[test]
    fn random_bytes_are_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..0x200)) {
        let _ = GuestImage::parse(&bytes);
    }
}
