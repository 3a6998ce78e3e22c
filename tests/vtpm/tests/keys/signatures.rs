//! Signatures, which the other TPM verifies.

use super::*;

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
