//! Images that nobody should launch: each is refused with a reason, and at once.

use boot_tests::{Igvm, Launch, Outcome};

/// Launches the bytes as an image, which must be refused for this reason.
#[track_caller]
fn refused(bytes: &[u8], reason: &str) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("the image can be written");
    let run = Launch::image(file.path()).timeout(60).run();
    run.assert_outcome(Outcome::ImageRefused)
        .assert_line(reason);
}

#[test]
fn a_file_that_is_no_image() {
    refused(&[b'x'; 4096], "it is not an IGVM file");
    refused(&[0; 4096], "it is not an IGVM file");
}

#[test]
fn an_image_cut_short_anywhere() {
    let image = Igvm::rampart();
    let size = image.bytes().len();
    for length in [
        0,
        1,
        23,
        24,
        100,
        image.headers_end() - 1,
        image.headers_end(),
        size / 2,
        size - 1,
    ] {
        refused(&image.bytes()[..length], "image refused: ");
    }
}

#[test]
fn a_wrong_checksum() {
    let mut image = Igvm::rampart();
    image.flip_bit_in_headers();
    refused(image.bytes(), "checksum");
}

#[test]
fn two_pages_at_one_address() {
    let mut image = Igvm::rampart();
    image.put_second_page_on_first();
    image.fix_checksum();
    refused(image.bytes(), "overlap");
}
