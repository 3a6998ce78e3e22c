//! Measures the cryptographic primitives: the median of a number of runs, on one
//! core, one line each. RSA key generation varies from key to key, so that its
//! mean is what counts.
//!
//! ```text
//! cargo run --release -p vtpm --example primitives [WORD]
//! ```

use std::hint::black_box;
use std::time::{Duration, Instant};
use vtpm::crypto::ecc::{self, Curve};
use vtpm::crypto::hash::HashAlg;
use vtpm::crypto::hmac::hmac;
use vtpm::crypto::kdf::kdfa;
use vtpm::crypto::rng::{Drbg, Random};
use vtpm::crypto::rsa::{self, KeyGen, PrivateKey};
use vtpm::crypto::sym::{Mode, crypt};

struct Table {
    filter: String,
}

impl Table {
    fn wants(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }

    /// The median and the mean of `runs` runs.
    fn row<T>(&self, name: &str, runs: usize, mut run: impl FnMut() -> T) {
        if !self.wants(name) {
            return;
        }
        let mut times: Vec<Duration> = (0..runs)
            .map(|_| {
                let start = Instant::now();
                black_box(run());
                start.elapsed()
            })
            .collect();
        times.sort();
        let median = times[runs / 2].as_secs_f64() * 1e6;
        let mean = times.iter().sum::<Duration>().as_secs_f64() * 1e6 / runs as f64;
        let longest = times[runs - 1].as_secs_f64() * 1e6;
        println!("{name:32} {median:12.1} {mean:12.1} {longest:12.1}");
    }
}

fn generate(bits: u16, rng: &mut Drbg) -> PrivateKey {
    let mut generation = KeyGen::new(bits, 65537).expect("a size of this TPM");
    loop {
        if let Some(key) = generation.step(rng, 1).expect("a sound computation") {
            return key;
        }
    }
}

fn main() {
    let table = Table {
        filter: std::env::args().nth(1).unwrap_or_default(),
    };
    let mut rng = Drbg::new(b"a seed that makes runs alike", b"");
    println!(
        "{:32} {:>12} {:>12} {:>12}",
        "µs", "median", "mean", "longest"
    );

    let data = vec![0x5a; 1024];
    for alg in HashAlg::ALL {
        table.row(&format!("{alg:?} of 1 KiB"), 1000, || alg.digest(&[&data]));
    }
    table.row("HMAC-SHA-256 of 64 bytes", 1000, || {
        hmac(HashAlg::Sha256, &data[..32], &[&data[..64]])
    });
    table.row("KDFa SHA-256 256 bits", 1000, || {
        kdfa(
            HashAlg::Sha256,
            &data[..32],
            b"CFB",
            &data[..32],
            &data[..32],
            256,
        )
    });
    table.row("random 32 bytes", 1000, || {
        let mut out = [0; 32];
        rng.fill(&mut out);
        out
    });
    table.row("AES-128-CFB of 1 KiB", 1000, || {
        let mut data = data.clone();
        crypt(Mode::Cfb, true, &[1; 16], &mut [2; 16], &mut data)
    });

    for curve in Curve::ALL {
        let (d, point) = ecc::generate(curve, &mut rng);
        let digest = HashAlg::Sha256.digest(&[b"message"]);
        let (r, s) = ecc::ecdsa_sign(curve, &d, &digest, &mut rng).expect("a key");
        table.row(&format!("{curve:?} key"), 50, || {
            ecc::generate(curve, &mut rng)
        });
        table.row(&format!("{curve:?} ECDH"), 50, || {
            ecc::mul(curve, &d, &point)
        });
        table.row(&format!("{curve:?} ECDSA sign"), 50, || {
            ecc::ecdsa_sign(curve, &d, &digest, &mut rng)
        });
        table.row(&format!("{curve:?} ECDSA verify"), 50, || {
            ecc::ecdsa_verify(curve, &point, &digest, &r, &s)
        });
    }

    for (bits, keys) in [(1024, 20), (2048, 20), (3072, 8), (4096, 4)] {
        if !table.wants(&format!("RSA-{bits}")) {
            continue;
        }
        let key = generate(bits, &mut rng);
        let (n, p) = (key.public().n(), key.prime());
        let digest = HashAlg::Sha256.digest(&[b"message"]);
        let signature = rsa::pkcs1_sign(&key, HashAlg::Sha256, &digest, &mut rng).expect("a key");
        table.row(&format!("RSA-{bits} sign"), 20, || {
            rsa::pkcs1_sign(&key, HashAlg::Sha256, &digest, &mut rng)
        });
        table.row(&format!("RSA-{bits} verify"), 50, || {
            rsa::pkcs1_verify(key.public(), HashAlg::Sha256, &digest, &signature)
        });
        table.row(&format!("RSA-{bits} load"), 50, || {
            PrivateKey::from_prime(&n, 65537, &p)
        });
        table.row(&format!("RSA-{bits} key"), keys, || {
            generate(bits, &mut rng)
        });
        let mut generation = KeyGen::new(bits, 65537).expect("a size of this TPM");
        table.row(&format!("RSA-{bits} slice of a key"), 60, || {
            generation.step(&mut rng, 1)
        });
    }
}
