//! The constants of the NIST curves (SP 800-186, 3.2.1).

use super::Curve;

/// A curve y² = x³ + ax + b over the integers modulo p, with a base point G of
/// order n. All numbers are big-endian and as long as p.
#[derive(Clone, Copy, Debug)]
pub struct CurveParameters {
    /// The field's modulus.
    pub p: &'static [u8],
    /// The coefficient a, which is p - 3.
    pub a: &'static [u8],
    /// The coefficient b.
    pub b: &'static [u8],
    /// The base point's x coordinate.
    pub gx: &'static [u8],
    /// The base point's y coordinate.
    pub gy: &'static [u8],
    /// The base point's order, a prime.
    pub n: &'static [u8],
    /// The cofactor, which is 1.
    pub h: &'static [u8],
}

/// Decodes digits when the program is compiled, so that the constants can be
/// read and compared with the standard.
const fn hex<const N: usize>(digits: &str) -> [u8; N] {
    let digits = digits.as_bytes();
    assert!(digits.len() == 2 * N);
    let mut out = [0; N];
    let mut i = 0;
    while i < 2 * N {
        let value = match digits[i] {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("not a hexadecimal digit"),
        };
        out[i / 2] = out[i / 2] << 4 | value;
        i += 1;
    }
    out
}

macro_rules! numbers {
    ($($name:ident: $len:literal = $digits:literal;)*) => {
        $(static $name: [u8; $len] = const { hex($digits) };)*
    };
}

numbers! {
    P256_P: 32 = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
    P256_A: 32 = "ffffffff00000001000000000000000000000000fffffffffffffffffffffffc";
    P256_B: 32 = "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b";
    P256_X: 32 = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    P256_Y: 32 = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    P256_N: 32 = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

    P384_P: 48 = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff";
    P384_A: 48 = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000fffffffc";
    P384_B: 48 = "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef";
    P384_X: 48 = "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7";
    P384_Y: 48 = "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f";
    P384_N: 48 = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

    P521_P: 66 = "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    P521_A: 66 = "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffc";
    P521_B: 66 = "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00";
    P521_X: 66 = "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66";
    P521_Y: 66 = "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650";
    P521_N: 66 = "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409";
}

impl Curve {
    /// The curve's constants, as TPM2_ECC_Parameters gives them.
    pub fn parameters(self) -> CurveParameters {
        match self {
            Self::P256 => CurveParameters {
                p: &P256_P,
                a: &P256_A,
                b: &P256_B,
                gx: &P256_X,
                gy: &P256_Y,
                n: &P256_N,
                h: &[1],
            },
            Self::P384 => CurveParameters {
                p: &P384_P,
                a: &P384_A,
                b: &P384_B,
                gx: &P384_X,
                gy: &P384_Y,
                n: &P384_N,
                h: &[1],
            },
            Self::P521 => CurveParameters {
                p: &P521_P,
                a: &P521_A,
                b: &P521_B,
                gx: &P521_X,
                gy: &P521_Y,
                n: &P521_N,
                h: &[1],
            },
        }
    }

    /// The base point's order.
    pub fn order(self) -> &'static [u8] {
        self.parameters().n
    }
}
