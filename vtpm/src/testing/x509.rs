//! Partial certificates, for TPM2_CertifyX509.

use crate::der::{context, tag, value};
use alloc::vec::Vec;

/// Key usage: digitalSignature.
pub const DIGITAL_SIGNATURE: u8 = 0x80;

/// A Name with a common name.
fn name(text: &[u8]) -> Vec<u8> {
    let attribute = [value(tag::OID, &[&[0x55, 4, 3]]), value(0x0C, &[text])].concat();
    value(
        tag::SEQUENCE,
        &[&value(0x31, &[&value(tag::SEQUENCE, &[&attribute])])],
    )
}

/// An extension whose value is a bit string.
fn extension(oid: &[u8], bits: &[u8]) -> Vec<u8> {
    let value_bits = value(tag::OCTET_STRING, &[&value(tag::BIT_STRING, &[&[0], bits])]);
    value(
        tag::SEQUENCE,
        &[
            &value(tag::OID, &[oid]),
            &value(tag::BOOLEAN, &[&[0xFF]]),
            &value_bits,
        ],
    )
}

/// A certificate's parts that the caller writes, with a key usage and perhaps
/// the TPM attributes that the subject must have.
#[must_use]
pub fn partial(usage: u8, attributes: Option<u32>) -> Vec<u8> {
    let validity = [
        value(0x17, &[b"260101000000Z"]),
        value(0x17, &[b"360101000000Z"]),
    ]
    .concat();
    let mut extensions = extension(&[0x55, 0x1D, 0x0F], &[usage]);
    if let Some(a) = attributes {
        extensions.extend(extension(&[0x67, 0x81, 5, 10, 1, 1, 1], &a.to_be_bytes()));
    }
    let extensions = value(context(3), &[&value(tag::SEQUENCE, &[&extensions])]);
    value(
        tag::SEQUENCE,
        &[
            &name(b"issuer"),
            &value(tag::SEQUENCE, &[&validity]),
            &name(b"subject"),
            &extensions,
        ],
    )
}
