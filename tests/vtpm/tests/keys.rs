//! Keys from outside: names, signatures, encryption and key exchange whose
//! results do not hang on chance.

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
    pair.same(
        "a short modulus",
        &load_public(
            &public(alg::RSA, alg::SHA256, SIGN, &[])
                .u16(alg::NULL)
                .u16(alg::NULL)
                .u16(2048)
                .u32(0)
                .sized(&[0xff; 255]),
            rh::NULL,
        ),
    );
    pair.same(
        "a small modulus",
        &load_public(
            &public(alg::RSA, alg::SHA256, SIGN, &[])
                .u16(alg::NULL)
                .u16(alg::NULL)
                .u16(2048)
                .u32(0)
                .sized(&[[0x7f; 1].as_slice(), &[0xff; 255]].concat()),
            rh::NULL,
        ),
    );
    pair.finish();
}

#[test]
fn rsa_signatures() {
    let mut pair = Pair::new();
    let key = load(&mut pair, "key", &rsa(SIGN, none()));
    for (hash, size) in HASHES {
        let digest = vec![0x42; size];
        let signed = pair.same("RSASSA", &sign(key, &digest, &scheme(alg::RSASSA, hash)));
        let signature = signed.body(0).0[..4 + 2 + 256].to_vec();
        pair.same("verify", &verify(key, &digest, &signature));
        pair.same(
            "another digest",
            &verify(key, &vec![0x43; size], &signature),
        );
        let mut bent = signature.clone();
        bent[100] ^= 1;
        pair.same("bent", &verify(key, &digest, &bent));
        pair.same("short digest", &verify(key, &digest[1..], &signature));
        pair.same(
            "short",
            &sign(key, &digest[1..], &scheme(alg::RSASSA, hash)),
        );
        // Salted: each TPM's signature verifies with the other.
        let signed = pair.same_code("RSAPSS", &sign(key, &digest, &scheme(alg::RSAPSS, hash)));
        for response in signed {
            let signature = response.body(0).0[..4 + 2 + 256].to_vec();
            pair.same("verify PSS", &verify(key, &digest, &signature));
            pair.same(
                "verify PSS, another digest",
                &verify(key, &vec![0x43; size], &signature),
            );
        }
    }
    pair.same("no scheme", &sign(key, &[1; 32], &none()));
    pair.same(
        "a curve's scheme",
        &sign(key, &[1; 32], &scheme(alg::ECDSA, alg::SHA256)),
    );
    pair.same(
        "no hash",
        &sign(key, &[1; 32], &scheme(alg::RSASSA, alg::NULL)),
    );
    pair.same(
        "HMAC",
        &sign(key, &[1; 32], &scheme(alg::HMAC, alg::SHA256)),
    );
    pair.same("null signature", &verify(key, &[1; 32], &none().0));
    pair.flush(key);
    // The scheme is the key's.
    let key = load(
        &mut pair,
        "key",
        &rsa(SIGN, scheme(alg::RSASSA, alg::SHA256)),
    );
    pair.same("its scheme", &sign(key, &[1; 32], &none()));
    pair.same(
        "the same",
        &sign(key, &[1; 32], &scheme(alg::RSASSA, alg::SHA256)),
    );
    pair.same(
        "another",
        &sign(key, &[1; 32], &scheme(alg::RSAPSS, alg::SHA256)),
    );
    pair.same(
        "another hash",
        &sign(key, &[1; 48], &scheme(alg::RSASSA, alg::SHA384)),
    );
    pair.flush(key);
    let key = load(
        &mut pair,
        "public alone",
        &load_public(&rsa_public(SIGN, alg::SHA256, none()), rh::NULL),
    );
    pair.same(
        "no private part",
        &sign(key, &[1; 32], &scheme(alg::RSASSA, alg::SHA256)),
    );
    pair.flush(key);
    let key = load(&mut pair, "no signing key", &rsa(DECRYPT, none()));
    pair.same(
        "no signing key",
        &sign(key, &[1; 32], &scheme(alg::RSASSA, alg::SHA256)),
    );
    pair.finish();
}

#[test]
fn ecc_signatures_verify_with_the_other() {
    let mut pair = Pair::new();
    for key in [&P256, &P384, &P521] {
        let handle = load(&mut pair, "key", &ecc(key, SIGN, none()));
        for (hash, size) in HASHES {
            let digest = vec![0x42; size];
            for kind in [alg::ECDSA, alg::ECSCHNORR] {
                let what = format!("{kind:#x} with {hash:#x} on curve {}", key.curve);
                let signed = pair.same_code(&what, &sign(handle, &digest, &scheme(kind, hash)));
                for response in signed.iter().filter(|response| response.code() == 0) {
                    let mut body = response.body(0);
                    let all = body;
                    body.raw(4);
                    let length = 4 + 2 + body.sized().len();
                    let length = length + 2 + body.sized().len();
                    let signature = all.0[..length].to_vec();
                    pair.same(
                        &format!("verify {what}"),
                        &verify(handle, &digest, &signature),
                    );
                    pair.same(
                        &format!("{what}, another digest"),
                        &verify(handle, &vec![0x43; size], &signature),
                    );
                    let mut bent = signature.clone();
                    bent[10] ^= 1;
                    pair.same(&format!("{what}, bent"), &verify(handle, &digest, &bent));
                }
            }
        }
        let zero = scheme(alg::ECDSA, alg::SHA256).sized(&[]).sized(&[]);
        pair.same("zero", &verify(handle, &[1; 32], &zero.0));
        let large = scheme(alg::ECDSA, alg::SHA256)
            .sized(&[0xff; 66])
            .sized(&[0xff; 66]);
        pair.same("large", &verify(handle, &[1; 32], &large.0));
        pair.flush(handle);
    }
    pair.finish();
}

#[test]
fn rsa_encryption() {
    let mut pair = Pair::new();
    let key = load(&mut pair, "key", &rsa(DECRYPT, none()));
    let encrypt = |message: &[u8], scheme: &Fields, label: &[u8]| {
        let fields = Fields::new().sized(message).raw(&scheme.0).sized(label);
        Command::new(cc::RSA_ENCRYPT).handle(key).with(fields)
    };
    let decrypt = |message: &[u8], scheme: &Fields, label: &[u8]| {
        let fields = Fields::new().sized(message).raw(&scheme.0).sized(label);
        Command::new(cc::RSA_DECRYPT)
            .handle(key)
            .password(&[])
            .with(fields)
    };
    for length in [0, 1, 128, 255, 256, 257] {
        let message = vec![1; length];
        pair.same(&format!("raw {length}"), &encrypt(&message, &none(), &[]));
        pair.same(
            &format!("raw {length} back"),
            &decrypt(&message, &none(), &[]),
        );
    }
    refused(
        &mut pair,
        "larger than the modulus",
        &encrypt(&[0xff; 256], &none(), &[]),
    );
    refused(
        &mut pair,
        "larger than the modulus",
        &decrypt(&[0xff; 256], &none(), &[]),
    );
    let rsaes = Fields::new().u16(alg::RSAES);
    for scheme in [
        rsaes,
        scheme(alg::OAEP, alg::SHA1),
        scheme(alg::OAEP, alg::SHA256),
        scheme(alg::OAEP, alg::SHA384),
        scheme(alg::OAEP, alg::SHA512),
    ] {
        for (message, label) in [
            (&b"hello"[..], &b""[..]),
            (b"", b""),
            (b"hello", b"label\0"),
            (b"hello", b"no end"),
            (&[7; 190], b""),
            (&[7; 245], b""),
            (&[7; 246], b""),
        ] {
            let what = format!(
                "{:02x?} of {} bytes, label {label:?}",
                scheme.0,
                message.len()
            );
            let encrypted = pair.each(&encrypt(message, &scheme, label));
            let fits = encrypted.iter().map(|response| response.code() == 0);
            pair.compare(
                &what,
                fits.clone().all(|fits| fits),
                fits.clone().any(|fits| fits),
            );
            for response in encrypted.iter().filter(|response| response.code() == 0) {
                let secret = response.body(0).sized().to_vec();
                refused(
                    &mut pair,
                    &format!("{what} back"),
                    &decrypt(&secret, &scheme, label),
                );
                refused(
                    &mut pair,
                    &format!("{what}, another label"),
                    &decrypt(&secret, &scheme, b"x\0"),
                );
                let mut bent = secret.clone();
                bent[200] ^= 1;
                refused(
                    &mut pair,
                    &format!("{what} bent"),
                    &decrypt(&bent, &scheme, label),
                );
            }
        }
        refused(&mut pair, "garbage", &decrypt(&[0x11; 256], &scheme, b""));
        pair.same("short garbage", &decrypt(&[0x11; 255], &scheme, b""));
    }
    pair.same("signing scheme", &encrypt(b"a", &scheme_of_signing(), b""));
    pair.flush(key);
    let key = load(&mut pair, "signing key", &rsa(SIGN, none()));
    let fields = Fields::new().sized(b"a").raw(&none().0).sized(&[]);
    pair.same(
        "encrypt with it",
        &Command::new(cc::RSA_ENCRYPT)
            .handle(key)
            .with(fields.clone()),
    );
    pair.same(
        "decrypt with it",
        &Command::new(cc::RSA_DECRYPT)
            .handle(key)
            .password(&[])
            .with(fields),
    );
    pair.finish();
}

/// swtpm lets its library's FAILURE out where Part 3 says VALUE.
fn refused(pair: &mut Pair, what: &str, command: &Command) {
    let [ours, theirs] = pair.each(command);
    let theirs = match theirs.code() {
        0x101 => 0x84,
        code => code,
    };
    pair.compare(what, ours.code(), theirs);
}

fn scheme_of_signing() -> Fields {
    scheme(alg::RSASSA, alg::SHA256)
}

#[test]
fn ecdh() {
    let mut pair = Pair::new();
    for key in [&P256, &P384, &P521] {
        let handle = load(&mut pair, "key", &ecc(key, DECRYPT, none()));
        let point = |x: &[u8], y: &[u8]| Fields::new().sized(&Fields::new().sized(x).sized(y).0);
        let zgen = |point: Fields| {
            Command::new(cc::ECDH_ZGEN)
                .handle(handle)
                .password(&[])
                .with(point)
        };
        let (x, y) = (keys::bytes(key.x), keys::bytes(key.y));
        pair.same("with itself", &zgen(point(&x, &y)));
        let mut bent = y.clone();
        bent[3] ^= 1;
        pair.same("not on the curve", &zgen(point(&x, &bent)));
        pair.same("nothing", &zgen(point(&[], &[])));
        pair.same("size", &zgen(Fields::new().sized(&[])));
        pair.same("cut", &zgen(Fields::new().sized(&[0, 32, 1])));
        // What one makes, both take.
        let made = pair.same_code("KeyGen", &Command::new(cc::ECDH_KEYGEN).handle(handle));
        for response in made {
            let mut body = response.body(0);
            let z = body.sized().to_vec();
            let public = body.sized().to_vec();
            let answer = pair.same("ZGen", &zgen(Fields::new().sized(&public)));
            pair.compare("the same point", answer.body(0).sized(), &z);
        }
        pair.flush(handle);
    }
    let handle = load(&mut pair, "signing key", &ecc(&P256, SIGN, none()));
    pair.same_code("KeyGen", &Command::new(cc::ECDH_KEYGEN).handle(handle));
    pair.finish();
}

#[test]
fn hmacs() {
    let mut pair = Pair::new();
    let hmac = |key: u32, data: &[u8], hash: u16| {
        let fields = Fields::new().sized(data).u16(hash);
        Command::new(cc::HMAC)
            .handle(key)
            .password(&[])
            .with(fields)
    };
    for (hash, _) in HASHES {
        let key = hmac_key(
            &mut pair,
            SIGN,
            scheme(alg::HMAC, hash),
            b"a key of some length",
        );
        for length in [0, 1, 64, 1024] {
            pair.same("HMAC", &hmac(key, &vec![1; length], alg::NULL));
            pair.same("its own hash", &hmac(key, &vec![1; length], hash));
        }
        for (other, size) in HASHES {
            pair.same("another hash", &hmac(key, b"abc", other));
            // CVE-2025-2884: a digest that does not fit the key's hash.
            pair.same(
                "sign",
                &sign(key, &vec![1; size], &scheme(alg::HMAC, other)),
            );
            pair.same("sign by its own", &sign(key, &vec![1; size], &none()));
        }
        let start = Command::new(cc::HMAC_START)
            .handle(key)
            .password(&[])
            .with(Fields::new().sized(b"pw").u16(alg::NULL));
        let sequence = load(&mut pair, "sequence", &start);
        let update = Command::new(cc::SEQUENCE_UPDATE)
            .handle(sequence)
            .password(b"pw")
            .with(Fields::new().sized(&[3; 300]));
        pair.same("update", &update);
        let complete = Fields::new().sized(b"end").u32(rh::NULL);
        pair.same(
            "complete",
            &Command::new(cc::SEQUENCE_COMPLETE)
                .handle(sequence)
                .password(b"pw")
                .with(complete),
        );
        pair.flush(key);
    }
    let free = hmac_key(&mut pair, BOTH, none(), b"another");
    pair.same("no scheme at all", &hmac(free, b"abc", alg::NULL));
    pair.same("with one", &hmac(free, b"abc", alg::SHA384));
    pair.same("no MAC", &hmac(free, b"abc", alg::NULL));
    pair.finish();
}

#[test]
fn ciphers() {
    let mut pair = Pair::new();
    for bits in [128_u16, 256] {
        let secret = vec![0x37; usize::from(bits / 8)];
        for mode in [alg::CFB, alg::CTR, alg::OFB, alg::CBC, alg::ECB, alg::NULL] {
            let fields = public(alg::SYMCIPHER, alg::SHA256, BOTH, &[])
                .u16(alg::AES)
                .u16(bits)
                .u16(mode);
            let area = with_unique(&mut pair, fields, &[9; 32], &secret, alg::SHA256);
            let key = load(
                &mut pair,
                "key",
                &load_external(alg::SYMCIPHER, &[9; 32], &secret, &area),
            );
            let run = |data: &[u8], decrypt: u8, mode: u16, iv: &[u8]| {
                let fields = Fields::new().sized(data).u8(decrypt).u16(mode).sized(iv);
                Command::new(cc::ENCRYPT_DECRYPT_2)
                    .handle(key)
                    .password(&[])
                    .with(fields)
            };
            let asked: &[u16] = if mode == alg::NULL {
                &[alg::CFB, alg::CTR, alg::OFB, alg::CBC, alg::ECB, alg::NULL]
            } else {
                &[alg::NULL, alg::CFB]
            };
            for asked in asked {
                for length in [0, 1, 15, 16, 17, 64, 1024, 1025] {
                    for decrypt in [0, 1] {
                        // The IV after a part of a block is anyone's: zeros in the
                        // reference, what the library leaves in swtpm.
                        let end = match length % 16 {
                            0 => usize::MAX,
                            _ => 10 + 4 + 2 + length,
                        };
                        let what = format!(
                            "AES-{bits}, key {mode:#x}, asked {asked:#x}, {length} bytes, {decrypt}"
                        );
                        let command = run(&vec![5; length], decrypt, *asked, &[8; 16]);
                        let data = pair.each(&command).map(|mut response| {
                            response.0.truncate(end);
                            response
                        });
                        pair.compare(&what, &data[0], &data[1]);
                    }
                }
                pair.same("no IV", &run(&[5; 16], 0, *asked, &[]));
                pair.same("a short IV", &run(&[5; 16], 0, *asked, &[8; 15]));
            }
            pair.same("neither", &run(&[5; 16], 2, alg::CFB, &[8; 16]));
            let old = Fields::new()
                .u8(0)
                .u16(alg::NULL)
                .sized(&[8; 16])
                .sized(&[5; 32]);
            pair.same(
                "the older command",
                &Command::new(cc::ENCRYPT_DECRYPT)
                    .handle(key)
                    .password(&[])
                    .with(old),
            );
            pair.flush(key);
        }
    }
    pair.finish();
}

#[test]
fn credentials_for_the_other() {
    let mut pair = Pair::new();
    let storage = attribute::DECRYPT | attribute::RESTRICTED | attribute::USER_WITH_AUTH;
    let area = public(alg::RSA, alg::SHA256, storage, &[])
        .u16(alg::AES)
        .u16(128)
        .u16(alg::CFB)
        .u16(alg::NULL);
    let area = area.u16(2048).u32(0).sized(&keys::bytes(RSA_2048.modulus));
    let key = load(&mut pair, "public", &load_public(&area, rh::NULL));
    let make = |credential: &[u8], name: &[u8]| {
        Command::new(cc::MAKE_CREDENTIAL)
            .handle(key)
            .with(Fields::new().sized(credential).sized(name))
    };
    for length in [0, 1, 32, 33] {
        let [ours, theirs] = pair.same_code("make", &make(&vec![1; length], &[0, 11, 7]));
        pair.compare("length", ours.0.len(), theirs.0.len());
    }
    pair.flush(key);
    let key = load(
        &mut pair,
        "signing",
        &load_public(&rsa_public(SIGN, alg::SHA256, none()), rh::NULL),
    );
    pair.same(
        "not a storage key",
        &Command::new(cc::MAKE_CREDENTIAL)
            .handle(key)
            .with(Fields::new().sized(b"x").sized(&[])),
    );
    pair.finish();
}
