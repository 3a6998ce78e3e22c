//! Templates that both TPMs give back.

use super::*;

/// A symmetric storage key.
fn aes_storage(mode: u16) -> Fields {
    public(alg::SYMCIPHER, alg::SHA256, attribute::STORAGE, &[])
        .u16(alg::AES)
        .u16(128)
        .u16(mode)
        .sized(&[])
}

/// The public areas that Create gives back are the templates with the key in them.
#[test]
fn templates_come_back() {
    let mut pair = Pair::new();
    let usual = attribute::USUAL;
    for (what, template) in [
        ("P-256 storage", ecc_storage(3)),
        ("P-384 storage", ecc_storage(4)),
        ("RSA storage", rsa_storage(2048)),
        ("ECDSA", ecc_key(usual | attribute::SIGN, 3, alg::ECDSA)),
        ("ECDAA", ecc_key(usual | attribute::SIGN, 3, alg::ECDAA)),
        (
            "Schnorr",
            ecc_key(usual | attribute::SIGN, 3, alg::ECSCHNORR),
        ),
        ("ECDH", ecc_key(usual | attribute::DECRYPT, 3, alg::ECDH)),
        (
            "RSASSA",
            rsa_key(usual | attribute::SIGN, 2048, alg::RSASSA),
        ),
        (
            "RSAES",
            rsa_key(usual | attribute::DECRYPT, 2048, alg::RSAES),
        ),
        ("OAEP", rsa_key(usual | attribute::DECRYPT, 2048, alg::OAEP)),
        ("HMAC", keyedhash(usual | attribute::SIGN, alg::HMAC, &[])),
        (
            "XOR",
            public(alg::KEYEDHASH, alg::SHA256, usual | attribute::DECRYPT, &[])
                .u16(alg::XOR)
                .u16(alg::SHA256)
                .u16(alg::KDF1_SP800_108)
                .sized(&[]),
        ),
        (
            "AES",
            public(
                alg::SYMCIPHER,
                alg::SHA256,
                usual | attribute::DECRYPT | attribute::SIGN,
                &[],
            )
            .u16(alg::AES)
            .u16(256)
            .u16(alg::CTR)
            .sized(&[]),
        ),
        ("AES storage", aes_storage(alg::CFB)),
        ("AES storage in another mode", aes_storage(alg::CTR)),
        ("AES storage in no mode", aes_storage(alg::NULL)),
        (
            "derivation parent",
            public(
                alg::KEYEDHASH,
                alg::SHA256,
                usual | attribute::DECRYPT | attribute::RESTRICTED,
                &[],
            )
            .u16(alg::XOR)
            .u16(alg::SHA256)
            .u16(alg::KDF1_SP800_108)
            .sized(&[]),
        ),
        (
            "restricted signing without a scheme",
            ecc_key(
                usual | attribute::SIGN | attribute::RESTRICTED,
                3,
                alg::NULL,
            ),
        ),
        (
            "restricted both",
            ecc_key(
                usual | attribute::SIGN | attribute::DECRYPT | attribute::RESTRICTED,
                3,
                alg::ECDSA,
            ),
        ),
        ("neither", ecc_key(usual, 3, alg::NULL)),
        (
            "sealed without data",
            keyedhash(usual & !attribute::SENSITIVE_DATA_ORIGIN, alg::NULL, &[]),
        ),
        ("sealed of its own", keyedhash(usual, alg::NULL, &[])),
        (
            "RSA 1024",
            rsa_key(usual | attribute::SIGN, 1024, alg::RSASSA),
        ),
        (
            "RSA 2047",
            rsa_key(usual | attribute::SIGN, 2047, alg::RSASSA),
        ),
        (
            "encrypted duplication, fixed",
            ecc_key(
                usual | attribute::SIGN | attribute::ENCRYPTED_DUPLICATION,
                3,
                alg::ECDSA,
            ),
        ),
        (
            "fixed TPM, free parent",
            ecc_key(
                (usual & !attribute::FIXED_PARENT) | attribute::SIGN,
                3,
                alg::ECDSA,
            ),
        ),
    ] {
        let [ours, theirs] = pair.same_code(what, &create_primary(rh::OWNER, &template));
        if ours.code() != 0 || theirs.code() != 0 {
            continue;
        }
        pair.compare(&format!("{what}: length"), ours.0.len(), theirs.0.len());
        let areas = [&ours, &theirs].map(|response| response.body(1).sized().to_vec());
        // Up to the unique field, which is empty in the template.
        let unique = if template.0[..2] == alg::ECC.to_be_bytes() {
            4
        } else {
            2
        };
        let same = template.0.len() - unique;
        pair.compare(
            &format!("{what}: template"),
            &areas[0][..same],
            &template.0[..same],
        );
        pair.compare(
            &format!("{what}: template"),
            &areas[0][..same],
            &areas[1][..same],
        );
        // Without creation PCRs the creation data hang on nothing.
        let creation = [&ours, &theirs].map(|response| {
            let mut body = response.body(1);
            body.sized();
            (
                body.sized().to_vec(),
                body.sized().to_vec(),
                body.u16(),
                body.u32(),
            )
        });
        pair.compare(
            &format!("{what}: creation data, hash, ticket"),
            &creation[0],
            &creation[1],
        );
        pair.flush(ours.handle());
    }
    pair.finish();
}
