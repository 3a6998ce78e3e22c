//! Derived objects: with the same derivation parent both TPMs make the same.

use vtpm_tests::command::{Command, Fields};
use vtpm_tests::constants::{alg, cc, rh};
use vtpm_tests::keys::bytes;
use vtpm_tests::pair::Pair;
use vtpm_tests::templates::{attribute, create_primary, ecc_storage, public};

const XOR: u16 = 0x000A;
const KDF1_SP800_108: u16 = 0x0022;
const MOVABLE: u32 = attribute::USER_WITH_AUTH | attribute::NO_DA;

/// Imports a derivation parent with a known secret; gives both handles.
fn derivation_parent(pair: &mut Pair, hash: u16) -> [u32; 2] {
    let [ours, theirs] =
        pair.same_code("CreatePrimary", &create_primary(rh::OWNER, &ecc_storage(3)));
    // HMAC of the secret with the seed.
    let unique = bytes("acfecbc329264d7fdf1f0b9428f9fcd8936da6200960a422170f3d7a97eaed0e");
    let attributes = MOVABLE | attribute::RESTRICTED | attribute::DECRYPT;
    let area = public(alg::KEYEDHASH, alg::SHA256, attributes, &[]);
    let area = area.u16(XOR).u16(hash).u16(KDF1_SP800_108).sized(&unique);
    let sensitive = Fields::new()
        .u16(alg::KEYEDHASH)
        .sized(&[])
        .sized(&[0x11; 32])
        .sized(&[0x22; 32]);
    let duplicate = Fields::new().sized(&sensitive.0);
    let parameters = Fields::new()
        .sized(&[])
        .sized(&area.0)
        .sized(&duplicate.0)
        .sized(&[])
        .u16(alg::NULL);
    assert_eq!(ours.handle(), theirs.handle());
    let parent = ours.handle();
    let import = Command::new(cc::IMPORT)
        .handle(parent)
        .password(&[])
        .with(parameters);
    let [ours, theirs] = pair.same_code("Import", &import);
    let load = |private: &[u8]| {
        let parameters = Fields::new().sized(private).sized(&area.0);
        Command::new(cc::LOAD)
            .handle(parent)
            .password(&[])
            .with(parameters)
    };
    let ours = pair
        .ours
        .send_from(0, &load(ours.body(0).sized()).bytes())
        .expect("vtpm-server answers");
    let theirs = pair
        .theirs
        .send_from(0, &load(theirs.body(0).sized()).bytes())
        .expect("swtpm answers");
    pair.compare("Load", ours.code(), theirs.code());
    pair.flush(parent);
    [ours.handle(), theirs.handle()]
}

fn derive(parent: u32, template: &Fields, data: &[u8]) -> Command {
    let sensitive = Fields::new().sized(&[]).sized(data);
    let parameters = Fields::new().sized(&sensitive.0).sized(&template.0);
    Command::new(cc::CREATE_LOADED)
        .handle(parent)
        .password(&[])
        .with(parameters)
}

#[test]
fn both_derive_the_same() {
    let mut pair = Pair::new();
    let fixed = MOVABLE | attribute::FIXED_PARENT;
    for hash in [alg::SHA256, alg::SHA384] {
        let parents = derivation_parent(&mut pair, hash);
        assert_eq!(parents[0], parents[1]);
        let ecc = |curve: u16, attributes: u32| {
            let area = public(alg::ECC, alg::SHA256, attributes, &[]);
            area.u16(alg::NULL).u16(alg::NULL).u16(curve).u16(alg::NULL)
        };
        let sign = fixed | attribute::SIGN;
        let storage = public(
            alg::ECC,
            alg::SHA256,
            fixed | attribute::RESTRICTED | attribute::DECRYPT,
            &[],
        );
        let aes = public(alg::SYMCIPHER, alg::SHA256, fixed | attribute::DECRYPT, &[]);
        let hmac = public(alg::KEYEDHASH, alg::SHA256, sign, &[]);
        let templates = [
            ("P-256", ecc(3, sign)),
            ("P-384", ecc(4, sign)),
            (
                "storage",
                storage
                    .u16(alg::AES)
                    .u16(128)
                    .u16(alg::CFB)
                    .u16(alg::NULL)
                    .u16(3)
                    .u16(alg::NULL),
            ),
            ("AES", aes.u16(alg::AES).u16(256).u16(alg::CFB)),
            ("HMAC", hmac.u16(alg::HMAC).u16(alg::SHA384)),
            ("wrong attributes", ecc(3, MOVABLE | attribute::SIGN)),
            (
                "given data",
                ecc(3, sign | attribute::SENSITIVE_DATA_ORIGIN),
            ),
        ];
        for (name, head) in templates {
            let in_template =
                |label: &[u8], context: &[u8]| Fields(head.0.clone()).sized(label).sized(context);
            let both = Fields::new().sized(b"label").sized(b"context").0;
            let cases = [
                (
                    "in the template",
                    in_template(b"label", b"context"),
                    Vec::new(),
                ),
                ("in the data", in_template(b"", b""), both.clone()),
                ("in both", in_template(b"other", b""), both),
                ("nowhere", in_template(b"", b""), Vec::new()),
            ];
            for (place, template, data) in cases {
                let response = pair.same(
                    &format!("{name}, {place}"),
                    &derive(parents[0], &template, &data),
                );
                if response.code() == 0 {
                    pair.flush(response.handle());
                }
            }
        }
        pair.flush(parents[0]);
    }
    pair.finish();
}
