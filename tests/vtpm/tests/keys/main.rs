//! Keys from outside: names, signatures, encryption and key exchange whose
//! results do not hang on chance.

mod secrets;
mod signatures;

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{HASHES, alg, cc, rh};
use vtpm_tests::keys::{self, Ecc, P256, P384, P521, RSA_2048};
use vtpm_tests::pair::Pair;
use vtpm_tests::templates::{attribute, load_external, load_public, public};

const SIGN: u32 = attribute::SIGN | attribute::USER_WITH_AUTH | attribute::NO_DA;
const DECRYPT: u32 = attribute::DECRYPT | attribute::USER_WITH_AUTH | attribute::NO_DA;
const BOTH: u32 = SIGN | DECRYPT;

/// Loads it into both, where it gets the same handle and the same name.
fn load(pair: &mut Pair, what: &str, command: &Command) -> u32 {
    pair.same(what, command).handle()
}

fn rsa_public(attributes: u32, name: u16, scheme: Fields) -> Fields {
    public(alg::RSA, name, attributes, &[])
        .u16(alg::NULL)
        .raw(&scheme.0)
        .u16(2048)
        .u32(0)
        .sized(&keys::bytes(RSA_2048.modulus))
}

fn rsa(attributes: u32, scheme: Fields) -> Command {
    let public = rsa_public(attributes, alg::SHA256, scheme);
    load_external(alg::RSA, &[], &keys::bytes(RSA_2048.prime), &public)
}

fn ecc_public(key: &Ecc, attributes: u32, scheme: Fields) -> Fields {
    public(alg::ECC, alg::SHA256, attributes, &[])
        .u16(alg::NULL)
        .raw(&scheme.0)
        .u16(key.curve)
        .u16(alg::NULL)
        .sized(&keys::bytes(key.x))
        .sized(&keys::bytes(key.y))
}

fn ecc(key: &Ecc, attributes: u32, scheme: Fields) -> Command {
    load_external(
        alg::ECC,
        &[],
        &keys::bytes(key.private),
        &ecc_public(key, attributes, scheme),
    )
}

fn none() -> Fields {
    Fields::new().u16(alg::NULL)
}

fn scheme(scheme: u16, hash: u16) -> Fields {
    Fields::new().u16(scheme).u16(hash)
}

/// A keyedhash or symmetric key: its unique field is H(seed ‖ secret), which a
/// TPM checks, so it is asked for the hash.
fn with_unique(pair: &mut Pair, fields: Fields, seed: &[u8], secret: &[u8], name: u16) -> Fields {
    let both = [seed, secret].concat();
    let hash = Command::new(cc::HASH).with(Fields::new().sized(&both).u16(name).u32(rh::NULL));
    let response = pair.same("unique", &hash);
    fields.sized(response.body(0).sized())
}

fn hmac_key(pair: &mut Pair, attributes: u32, scheme: Fields, secret: &[u8]) -> u32 {
    let fields = public(alg::KEYEDHASH, alg::SHA256, attributes, &[]).raw(&scheme.0);
    let public = with_unique(pair, fields, &[9; 32], secret, alg::SHA256);
    load(
        pair,
        "HMAC key",
        &load_external(alg::KEYEDHASH, &[9; 32], secret, &public),
    )
}

fn null_check() -> Fields {
    Fields::new().u16(0x8024).u32(rh::NULL).sized(&[])
}

fn sign(key: u32, digest: &[u8], scheme: &Fields) -> Command {
    let fields = Fields::new()
        .sized(digest)
        .raw(&scheme.0)
        .raw(&null_check().0);
    Command::new(cc::SIGN)
        .handle(key)
        .password(&[])
        .with(fields)
}

fn verify(key: u32, digest: &[u8], signature: &[u8]) -> Command {
    Command::new(cc::VERIFY_SIGNATURE)
        .handle(key)
        .with(Fields::new().sized(digest).raw(signature))
}

#[test]
fn names_of_public_areas() {
    let mut pair = Pair::new();
    let mut all = Vec::new();
    for (hash, _) in HASHES {
        all.push(rsa_public(SIGN, hash, none()));
    }
    all.push(rsa_public(
        SIGN,
        alg::SHA256,
        scheme(alg::RSASSA, alg::SHA384),
    ));
    all.push(rsa_public(
        SIGN,
        alg::SHA256,
        scheme(alg::RSAPSS, alg::SHA1),
    ));
    all.push(rsa_public(
        DECRYPT,
        alg::SHA256,
        scheme(alg::OAEP, alg::SHA256),
    ));
    all.push(rsa_public(
        DECRYPT,
        alg::SHA256,
        Fields::new().u16(alg::RSAES),
    ));
    for key in [&P256, &P384, &P521] {
        all.push(ecc_public(key, SIGN, scheme(alg::ECDSA, alg::SHA256)));
        all.push(ecc_public(key, DECRYPT, scheme(alg::ECDH, alg::SHA256)));
        all.push(ecc_public(key, BOTH, none()));
    }
    for public in all {
        for hierarchy in [rh::OWNER, rh::NULL, rh::PLATFORM, rh::ENDORSEMENT] {
            let handle = load(&mut pair, "load", &load_public(&public, hierarchy));
            pair.same(
                "public area and both names",
                &Command::new(cc::READ_PUBLIC).handle(handle),
            );
            pair.flush(handle);
        }
        pair.same(
            "lockout is no hierarchy of keys",
            &load_public(&public, rh::LOCKOUT),
        );
        let bytes = public.0.len();
        for length in 0..bytes {
            let cut = Fields(public.0[..length].to_vec());
            pair.same(
                &format!("{length} bytes of {bytes}"),
                &load_public(&cut, rh::NULL),
            );
        }
    }
    pair.finish();
}

#[test]
fn areas_that_cannot_be_loaded() {
    let mut pair = Pair::new();
    let prime = keys::bytes(RSA_2048.prime);
    let good = rsa_public(SIGN, alg::SHA256, none());
    for (what, attributes) in [
        ("fixedTPM", SIGN | attribute::FIXED_TPM),
        ("fixedParent", SIGN | attribute::FIXED_PARENT),
        ("restricted", SIGN | attribute::RESTRICTED),
        ("restricted, both", BOTH | attribute::RESTRICTED),
        ("restricted, decrypt", DECRYPT | attribute::RESTRICTED),
        ("both", BOTH),
        ("neither", attribute::USER_WITH_AUTH),
        (
            "encryptedDuplication",
            SIGN | attribute::ENCRYPTED_DUPLICATION,
        ),
        (
            "sensitiveDataOrigin",
            SIGN | attribute::SENSITIVE_DATA_ORIGIN,
        ),
        ("adminWithPolicy", SIGN | attribute::ADMIN_WITH_POLICY),
        ("reserved bit", SIGN | 1),
        ("reserved bit 31", SIGN | 1 << 31),
    ] {
        let public = rsa_public(attributes, alg::SHA256, none());
        for (kind, command) in [
            ("public", load_public(&public, rh::OWNER)),
            ("whole", load_external(alg::RSA, &[], &prime, &public)),
        ] {
            let response = pair.same(&format!("{what}, {kind}"), &command);
            if response.code() == 0 {
                pair.flush(response.handle());
            }
        }
    }
    pair.same(
        "another type of secret",
        &load_external(alg::ECC, &[], &[1; 32], &good),
    );
    pair.same(
        "a prime of another key",
        &load_external(alg::RSA, &[], &[0xff; 128], &good),
    );
    pair.same(
        "a short prime",
        &load_external(alg::RSA, &[], &prime[..127], &good),
    );
    pair.same("no prime", &load_external(alg::RSA, &[], &[], &good));
    let point = ecc_public(&P256, SIGN, none());
    pair.same(
        "another private number",
        &load_external(alg::ECC, &[], &[1; 32], &point),
    );
    pair.same(
        "a long private number",
        &load_external(alg::ECC, &[], &[1; 33], &point),
    );
    let mut bent = point.clone();
    let last = bent.0.len() - 1;
    bent.0[last] ^= 1;
    pair.same("not on the curve", &load_public(&bent, rh::NULL));
    for curve in [0, 0x99] {
        let other = Ecc { curve, ..P256 };
        pair.same(
            &format!("curve {curve}"),
            &load_public(&ecc_public(&other, SIGN, none()), rh::NULL),
        );
    }
    let kdf = public(alg::ECC, alg::SHA256, DECRYPT, &[])
        .u16(alg::NULL)
        .u16(alg::NULL)
        .u16(3);
    let kdf = kdf.u16(alg::KDF1_SP800_108).u16(alg::SHA256);
    let kdf = kdf.sized(&keys::bytes(P256.x)).sized(&keys::bytes(P256.y));
    pair.same("with a KDF", &load_public(&kdf, rh::NULL));
    for (kind, sym) in [
        (
            "AES with a signing key",
            Fields::new().u16(alg::AES).u16(128).u16(alg::CFB),
        ),
        ("no cipher", Fields::new().u16(0x77)),
    ] {
        let area = public(alg::RSA, alg::SHA256, SIGN, &[])
            .raw(&sym.0)
            .u16(alg::NULL);
        let area = area.u16(2048).u32(0).sized(&keys::bytes(RSA_2048.modulus));
        pair.same(kind, &load_public(&area, rh::NULL));
    }
    pair.same(
        "signing scheme for decryption",
        &load_public(
            &rsa_public(DECRYPT, alg::SHA256, scheme(alg::RSASSA, alg::SHA256)),
            rh::NULL,
        ),
    );
    pair.same(
        "scheme of a curve",
        &load_public(
            &rsa_public(SIGN, alg::SHA256, scheme(alg::ECDSA, alg::SHA256)),
            rh::NULL,
        ),
    );
    let of_modulus = |modulus: &[u8]| {
        let area = public(alg::RSA, alg::SHA256, SIGN, &[])
            .u16(alg::NULL)
            .u16(alg::NULL)
            .u16(2048)
            .u32(0)
            .sized(modulus);
        load_public(&area, rh::NULL)
    };
    pair.same("a short modulus", &of_modulus(&[0xff; 255]));
    let mut small = [0xff; 256];
    small[0] = 0x7f;
    pair.same("a small modulus", &of_modulus(&small));
    pair.finish();
}
