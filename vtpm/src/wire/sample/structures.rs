//! Plausible values of algorithms, schemes, public areas and what else commands
//! hold.

use super::{Gen, Sample};
use crate::crypto::ecc::Curve;
use crate::crypto::hash::{Digest, HashAlg};
use crate::crypto::sym::Mode;
use crate::wire::*;

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
