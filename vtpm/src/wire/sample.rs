//! Plausible values of every wire type, for property tests and fuzzing.

use super::*;
use crate::crypto::ecc::Curve;
use crate::crypto::hash::{Digest, HashAlg};
use crate::crypto::sym::Mode;

/// A small generator of choices (xorshift64*): the same seed gives the same
/// values.
#[derive(Clone, Debug)]
pub struct Gen(u64);

impl Gen {
    /// A generator with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Gen(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `n` (which must not be zero).
    pub fn below(&mut self, n: usize) -> usize {
        ((self.bits() >> 32) as usize) % n.max(1)
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of the values.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.bits() as u8).collect()
    }
}

/// Types of which plausible values can be made.
pub trait Sample: Sized {
    /// A value.
    fn sample(g: &mut Gen) -> Self;
}

macro_rules! sample_integers {
    ($($t:ty),*) => {$(impl Sample for $t {
        fn sample(g: &mut Gen) -> Self {
            match g.below(6) {
                0 => 0,
                1 => <$t>::MAX,
                2 | 3 => (g.bits() % 16) as $t,
                4 => (g.bits() % 1100) as $t,
                _ => g.bits() as $t,
            }
        }
    })*};
}
sample_integers!(u8, u16, u32, u64, i8, i32);

impl Sample for bool {
    fn sample(g: &mut Gen) -> Self {
        g.once_in(2)
    }
}

impl<const N: usize> Sample for [u8; N] {
    fn sample(g: &mut Gen) -> Self {
        let mut out = [0; N];
        out.copy_from_slice(&g.bytes(N));
        out
    }
}

impl<const N: usize> Sample for Bytes<N> {
    fn sample(g: &mut Gen) -> Self {
        let len = match g.below(8) {
            0 | 1 => 0,
            2 => N,
            3 | 4 => 32.min(N),
            _ => g.below(N.min(80) + 1),
        };
        Bytes::cut(&g.bytes(len))
    }
}

impl<T: Sample> Sample for Sized2b<T> {
    fn sample(g: &mut Gen) -> Self {
        Sized2b(T::sample(g))
    }
}

impl<T: Sample> Sample for Optional2b<T> {
    fn sample(g: &mut Gen) -> Self {
        Optional2b(if g.once_in(2) {
            None
        } else {
            Some(T::sample(g))
        })
    }
}

impl<T: Sample, const N: usize> Sample for List<T, N> {
    fn sample(g: &mut Gen) -> Self {
        let len = g.below(N.min(6) + 1);
        List::cut((0..len).map(|_| T::sample(g)).collect())
    }
}

impl Sample for DigestBranches {
    fn sample(g: &mut Gen) -> Self {
        DigestBranches(Digests::cut(
            (0..2 + g.below(7)).map(|_| Sample::sample(g)).collect(),
        ))
    }
}

impl Sample for HashAlg {
    fn sample(g: &mut Gen) -> Self {
        g.pick(&[
            HashAlg::Sha256,
            HashAlg::Sha256,
            HashAlg::Sha1,
            HashAlg::Sha384,
            HashAlg::Sha512,
        ])
    }
}

impl Sample for Option<HashAlg> {
    fn sample(g: &mut Gen) -> Self {
        if g.once_in(6) {
            None
        } else {
            Some(HashAlg::sample(g))
        }
    }
}

impl Sample for Curve {
    fn sample(g: &mut Gen) -> Self {
        g.pick(&[Curve::P256, Curve::P256, Curve::P384, Curve::P521])
    }
}

impl Sample for Option<Mode> {
    fn sample(g: &mut Gen) -> Self {
        g.pick(&[
            Some(Mode::Cfb),
            Some(Mode::Cfb),
            Some(Mode::Ctr),
            Some(Mode::Ofb),
            Some(Mode::Cbc),
            Some(Mode::Ecb),
            None,
        ])
    }
}

impl Sample for Aes {
    fn sample(g: &mut Gen) -> Self {
        Aes {
            key_bits: g.pick(&[128, 256]),
            mode: Sample::sample(g),
        }
    }
}

impl Sample for SymDefObject {
    fn sample(g: &mut Gen) -> Self {
        SymDefObject(if g.once_in(3) {
            None
        } else {
            Some(Aes::sample(g))
        })
    }
}

impl Sample for SymDef {
    fn sample(g: &mut Gen) -> Self {
        match g.below(3) {
            0 => SymDef::Null,
            1 => SymDef::Xor(Sample::sample(g)),
            _ => SymDef::Aes(Sample::sample(g)),
        }
    }
}

impl Sample for Kdf {
    fn sample(g: &mut Gen) -> Self {
        g.pick(&[Kdf::Mgf1, Kdf::Kdf1Sp800_56A, Kdf::Kdf2, Kdf::Kdf1Sp800_108])
    }
}

impl Sample for KdfScheme {
    fn sample(g: &mut Gen) -> Self {
        KdfScheme(if g.once_in(2) {
            None
        } else {
            Some((Sample::sample(g), Sample::sample(g)))
        })
    }
}

fn scheme(g: &mut Gen, allowed: &[u16]) -> Scheme {
    if g.once_in(4) {
        return Scheme::Null;
    }
    let hash = HashAlg::sample(g);
    match g.pick(allowed) {
        id::RSASSA => Scheme::RsaSsa(hash),
        id::RSAPSS => Scheme::RsaPss(hash),
        id::RSAES => Scheme::RsaEs,
        id::OAEP => Scheme::Oaep(hash),
        id::ECDSA => Scheme::EcDsa(hash),
        id::ECDAA => Scheme::EcDaa {
            hash,
            count: Sample::sample(g),
        },
        id::ECSCHNORR => Scheme::EcSchnorr(hash),
        id::ECDH => Scheme::EcDh(hash),
        id::HMAC => Scheme::Hmac(hash),
        id::XOR => Scheme::Xor {
            hash,
            kdf: Some(Kdf::Kdf1Sp800_108),
        },
        _ => Scheme::Null,
    }
}

macro_rules! sample_schemes {
    ($($name:ident),*) => {$(impl Sample for $name {
        fn sample(g: &mut Gen) -> Self {
            $name(scheme(g, $name::ALLOWED))
        }
    })*};
}
sample_schemes!(RsaScheme, RsaDecrypt, EccScheme, SigScheme, KeyedHashScheme);

macro_rules! sample_bits {
    ($($name:ident: $mask:expr;)*) => {$(impl Sample for $name {
        fn sample(g: &mut Gen) -> Self {
            $name(Sample::sample(g)).without($name($mask))
        }
    })*};
}
sample_bits! {
    SessionAttributes: 0x18;
    Locality: 0;
}

impl Sample for ObjectAttributes {
    fn sample(g: &mut Gen) -> Self {
        const USUAL: [u32; 6] = [
            0x0003_0072,
            0x0004_0072,
            0x0002_0072,
            0x0006_0072,
            0x0000_0052,
            0x0005_0072,
        ];
        let a = g.pick(&USUAL);
        ObjectAttributes(if g.once_in(4) {
            (a ^ (1 << g.below(20))) & !0xFFF0_F309
        } else {
            a
        })
    }
}

impl Sample for NvAttributes {
    fn sample(g: &mut Gen) -> Self {
        let kind = g.pick(&[0u32, 1, 2, 4, 8, 9]) << 4;
        let a = 0x0006_0006 | kind;
        NvAttributes(if g.once_in(3) {
            (a ^ (1 << g.below(32))) & !0x01F0_0300
        } else {
            a
        })
    }
}

impl Sample for ObjectType {
    fn sample(g: &mut Gen) -> Self {
        g.pick(&[
            ObjectType::Ecc,
            ObjectType::Ecc,
            ObjectType::KeyedHash,
            ObjectType::SymCipher,
            ObjectType::Rsa,
        ])
    }
}

impl Sample for PublicParams {
    fn sample(g: &mut Gen) -> Self {
        match ObjectType::sample(g) {
            ObjectType::KeyedHash => PublicParams::KeyedHash {
                scheme: Sample::sample(g),
            },
            ObjectType::SymCipher => PublicParams::SymCipher {
                symmetric: SymDefObject(Some(Sample::sample(g))),
            },
            ObjectType::Rsa => PublicParams::Rsa {
                symmetric: Sample::sample(g),
                scheme: Sample::sample(g),
                key_bits: g.pick(&[2048, 2048, 2048, 3072]),
                exponent: g.pick(&[0, 0, 0, 65537, 3]),
            },
            ObjectType::Ecc => PublicParams::Ecc {
                symmetric: Sample::sample(g),
                scheme: Sample::sample(g),
                curve: Sample::sample(g),
                kdf: Sample::sample(g),
            },
        }
    }
}

impl Sample for Public {
    fn sample(g: &mut Gen) -> Self {
        let params = PublicParams::sample(g);
        let unique = match params.object_type() {
            ObjectType::KeyedHash | ObjectType::SymCipher => Unique::Digest(Sample::sample(g)),
            ObjectType::Rsa => Unique::Rsa(Sample::sample(g)),
            ObjectType::Ecc => Unique::Ecc(Sample::sample(g)),
        };
        Public {
            name_alg: Some(Sample::sample(g)),
            attributes: Sample::sample(g),
            auth_policy: if g.once_in(4) {
                Sample::sample(g)
            } else {
                Tpm2bDigest::empty()
            },
            params,
            unique,
        }
    }
}

impl Sample for PublicOrNull {
    fn sample(g: &mut Gen) -> Self {
        let mut public = Public::sample(g);
        if g.once_in(5) {
            public.name_alg = None;
        }
        PublicOrNull(public)
    }
}

impl Sample for Sensitive {
    fn sample(g: &mut Gen) -> Self {
        let kind = ObjectType::sample(g);
        let most = match kind {
            ObjectType::Rsa => 256,
            ObjectType::Ecc => 66,
            ObjectType::KeyedHash => 128,
            ObjectType::SymCipher => 32,
        };
        let len = g.below(most + 1);
        Sensitive {
            kind,
            auth: Sample::sample(g),
            seed: Sample::sample(g),
            data: Bytes::cut(&g.bytes(len)),
        }
    }
}

impl Sample for TaggedHash {
    fn sample(g: &mut Gen) -> Self {
        let alg = HashAlg::sample(g);
        let digest = Digest::from_slice(&g.bytes(alg.digest_size())).unwrap_or(Digest::zero(alg));
        TaggedHash { alg, digest }
    }
}

impl Sample for BankSelection {
    fn sample(g: &mut Gen) -> Self {
        BankSelection {
            alg: Sample::sample(g),
            pcrs: Sample::sample(g),
        }
    }
}

impl Sample for NvPublic {
    fn sample(g: &mut Gen) -> Self {
        NvPublic {
            index: RhNvIndex(Handle(Handle::NV_FIRST | g.below(4) as u32)),
            name_alg: Sample::sample(g),
            attributes: Sample::sample(g),
            auth_policy: Sample::sample(g),
            data_size: g.pick(&[8, 32, 64, 0, 2048]),
        }
    }
}

impl Sample for Signature {
    fn sample(g: &mut Gen) -> Self {
        let hash = HashAlg::sample(g);
        match g.below(6) {
            0 => Signature::RsaSsa {
                hash,
                signature: Sample::sample(g),
            },
            1 => Signature::RsaPss {
                hash,
                signature: Sample::sample(g),
            },
            2 => Signature::EcDsa {
                hash,
                r: Sample::sample(g),
                s: Sample::sample(g),
            },
            3 => Signature::EcDaa {
                hash,
                r: Sample::sample(g),
                s: Sample::sample(g),
            },
            4 => Signature::EcSchnorr {
                hash,
                r: Sample::sample(g),
                s: Sample::sample(g),
            },
            _ => Signature::Hmac(Sample::sample(g)),
        }
    }
}

macro_rules! sample_tickets {
    ($($name:ident),*) => {$(impl Sample for $name {
        fn sample(g: &mut Gen) -> Self {
            let hierarchy = RhHierarchy(g.pick(&[Handle::OWNER, Handle::NULL, Handle::PLATFORM, Handle::ENDORSEMENT]));
            $name(Ticket { tag: g.pick($name::TAGS), hierarchy, digest: Sample::sample(g) })
        }
    })*};
}
sample_tickets!(TkCreation, TkVerified, TkAuth, TkHashCheck);

/// Handles that a TPM in use has, or might.
pub const HANDLES: [u32; 22] = [
    0x8000_0000,
    0x8000_0001,
    0x8000_0002,
    0x4000_0001,
    0x4000_0007,
    0x4000_000A,
    0x4000_000B,
    0x4000_000C,
    0x4000_000D,
    0x4000_0009,
    0x8100_0001,
    0x8180_0000,
    0x0100_0000,
    0x0100_0001,
    0x0100_0002,
    0x0200_0000,
    0x0200_0001,
    0x0300_0000,
    0x0300_0001,
    0x0300_0002,
    0x0000_0010,
    0x0000_0017,
];

impl Sample for Handle {
    fn sample(g: &mut Gen) -> Self {
        Handle(g.pick(&HANDLES))
    }
}

macro_rules! sample_handles {
    ($($name:ident),*) => {$(impl Sample for $name {
        fn sample(g: &mut Gen) -> Self {
            loop {
                let h = if g.once_in(50) { Handle(Sample::sample(g)) } else { Handle::sample(g) };
                if $name::check(h).is_ok() {
                    return $name(h);
                }
            }
        }
    })*};
}
sample_handles!(
    DhObject,
    DhObjectOrNull,
    DhParent,
    DhPersistent,
    DhEntity,
    DhEntityOrNull,
    DhPcr,
    DhPcrOrNull,
    ShAuthSession,
    ShHmac,
    ShPolicy,
    DhContext,
    DhSaved,
    RhHierarchy,
    RhEnables,
    RhHierarchyAuth,
    RhBaseHierarchy,
    RhPlatform,
    RhOwner,
    RhEndorsement,
    RhProvision,
    RhClear,
    RhNvAuth,
    RhLockout,
    RhNvIndex
);
