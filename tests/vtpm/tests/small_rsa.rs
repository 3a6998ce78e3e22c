//! RSA keys of 1024 bits: what old software has, and where not everything fits.

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{HASHES, alg, cc, rh};
use vtpm_tests::keys::{self, RSA_1024};
use vtpm_tests::pair::Pair;
use vtpm_tests::templates::{attribute, load_external, load_public, public};

const USUAL: u32 = attribute::USER_WITH_AUTH | attribute::NO_DA;
/// The bytes of a modulus.
const SIZE: usize = 128;

fn area(attributes: u32, name: u16, symmetric: &Fields) -> Fields {
    public(alg::RSA, name, attributes, &[])
        .raw(&symmetric.0)
        .u16(alg::NULL)
        .u16(1024)
        .u32(0)
        .sized(&keys::bytes(RSA_1024.modulus))
}

fn none() -> Fields {
    Fields::new().u16(alg::NULL)
}

fn key(pair: &mut Pair, attributes: u32) -> u32 {
    let area = area(attributes, alg::SHA256, &none());
    let load = load_external(alg::RSA, &[], &keys::bytes(RSA_1024.prime), &area);
    pair.same("key", &load).handle()
}

fn scheme(scheme: u16, hash: u16) -> Fields {
    Fields::new().u16(scheme).u16(hash)
}

#[test]
fn signatures() {
    let mut pair = Pair::new();
    let key = key(&mut pair, USUAL | attribute::SIGN);
    for (hash, size) in HASHES {
        let digest = vec![0x42; size];
        for kind in [alg::RSASSA, alg::RSAPSS] {
            let what = format!("{kind:#x} with {hash:#x}");
            let fields = Fields::new()
                .sized(&digest)
                .raw(&scheme(kind, hash).0)
                .u16(0x8024)
                .u32(rh::NULL)
                .sized(&[]);
            let sign = Command::new(cc::SIGN)
                .handle(key)
                .password(&[])
                .with(fields);
            for response in pair.same_code(&what, &sign) {
                assert_eq!(response.code(), 0, "{what}");
                let signature = response.body(0).0[..4 + 2 + SIZE].to_vec();
                for digest in [&digest, &vec![0x43; size]] {
                    let verify = Command::new(cc::VERIFY_SIGNATURE)
                        .handle(key)
                        .with(Fields::new().sized(digest).raw(&signature));
                    pair.same(&what, &verify);
                }
            }
        }
    }
    pair.finish();
}

#[test]
fn encryption() {
    let mut pair = Pair::new();
    let key = key(&mut pair, USUAL | attribute::DECRYPT);
    let with =
        |message: &[u8], scheme: &Fields| Fields::new().sized(message).raw(&scheme.0).sized(&[]);
    let schemes = HASHES.map(|(hash, _)| scheme(alg::OAEP, hash));
    for scheme in [none(), Fields::new().u16(alg::RSAES)]
        .iter()
        .chain(&schemes)
    {
        for length in [0, 1, 62, 117, 118, 128, 129] {
            let message = vec![1; length];
            let what = format!("{length} bytes by {:x?}", scheme.0);
            let encrypt = Command::new(cc::RSA_ENCRYPT)
                .handle(key)
                .with(with(&message, scheme));
            let encrypted = pair.each(&encrypt);
            let fits = encrypted.iter().map(|response| response.code() == 0);
            pair.compare(
                &what,
                fits.clone().all(|fits| fits),
                fits.clone().any(|fits| fits),
            );
            for response in encrypted.iter().filter(|response| response.code() == 0) {
                let decrypt = Command::new(cc::RSA_DECRYPT)
                    .handle(key)
                    .password(&[])
                    .with(with(response.body(0).sized(), scheme));
                pair.same(&what, &decrypt);
            }
        }
    }
    pair.finish();
}

/// A secret as long as the name's digest does not fit for all of them.
#[test]
fn secrets_for_storage_keys() {
    let mut pair = Pair::new();
    let storage = USUAL | attribute::DECRYPT | attribute::RESTRICTED;
    let aes = Fields::new().u16(alg::AES).u16(128).u16(alg::CFB);
    for (hash, size) in HASHES {
        let area = area(storage, hash, &aes);
        let key = pair
            .same("storage key", &load_public(&area, rh::NULL))
            .handle();
        let make = Command::new(cc::MAKE_CREDENTIAL)
            .handle(key)
            .with(Fields::new().sized(&[1; 16]).sized(&vec![7; size + 2]));
        let made = pair.each(&make);
        pair.compare(
            &format!("credential with {hash:#x}"),
            made[0].code() == 0,
            made[1].code() == 0,
        );
        pair.flush(key);
    }
    pair.finish();
}
