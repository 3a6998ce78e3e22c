//! Asymmetric primitives with ECC keys (Part 3, 14.4 to 14.7).

use crate::command::Action;
use crate::context::Context;
use crate::crypto::ecc::{self, Curve, Point};
use crate::crypto::hash::HashAlg;
use crate::object::commit;
use crate::object::secret::ecc_public;
use crate::rc::{Rc, Result};
use crate::state::Object;
use crate::wire::{
    EccPoint, EccScheme, Kdf, KdfScheme, Marshal, ObjectAttributes, PublicParams, Reader, Scheme,
    Sized2b, Tpm2bEccParameter, Tpm2bEccPoint, Unmarshal, Writer, id,
};

crate::wire_struct! {
    /// TPMS_ALGORITHM_DETAIL_ECC.
    #[allow(missing_docs)]
    pub struct EccDetail {
        pub curve: Curve,
        pub key_bits: u16,
        pub kdf: KdfScheme,
        pub sign: EccScheme,
        pub p: Tpm2bEccParameter,
        pub a: Tpm2bEccParameter,
        pub b: Tpm2bEccParameter,
        pub gx: Tpm2bEccParameter,
        pub gy: Tpm2bEccParameter,
        pub n: Tpm2bEccParameter,
        pub h: Tpm2bEccParameter,
    }
}

/// TPMI_ECC_KEY_EXCHANGE: of the schemes with two phases this TPM has ECDH, the
/// full unified model. ECMQV and SM2 are TPM_RC_SCHEME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyExchange;

impl Marshal for KeyExchange {
    fn marshal(&self, out: &mut Writer) {
        id::ECDH.marshal(out);
    }
}

impl Unmarshal for KeyExchange {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        match r.read()? {
            id::ECDH => Ok(KeyExchange),
            _ => Err(Rc::SCHEME),
        }
    }
}

#[cfg(any(test, feature = "sample"))]
impl crate::wire::sample::Sample for KeyExchange {
    fn sample(_: &mut crate::wire::sample::Gen) -> Self {
        KeyExchange
    }
}

crate::commands! {
    /// TPM2_ECDH_KeyGen (Part 3, 14.4).
    EcdhKeyGen = 0x163 [] {
        handles { key_handle: DhObject }
        parameters {}
        response EcdhKeyGenResponse [] { z_point: Tpm2bEccPoint, pub_point: Tpm2bEccPoint }
    }

    /// TPM2_ECDH_ZGen (Part 3, 14.5).
    EcdhZGen = 0x154 [] {
        handles { key_handle: DhObject as User }
        parameters { in_point: Tpm2bEccPoint }
        response EcdhZGenResponse [] { out_point: Tpm2bEccPoint }
    }

    /// TPM2_ECC_Parameters (Part 3, 14.6).
    EccParameters = 0x178 [] {
        handles {}
        parameters { curve_id: Curve }
        response EccParametersResponse [] { parameters: EccDetail }
    }

    /// TPM2_ZGen_2Phase (Part 3, 14.7).
    ZGen2Phase = 0x18D [] {
        handles { key_a: DhObject as User }
        parameters { in_qs_b: Tpm2bEccPoint, in_qe_b: Tpm2bEccPoint, in_scheme: KeyExchange, counter: u16 }
        response ZGen2PhaseResponse [] { out_z1: Tpm2bEccPoint, out_z2: Tpm2bEccPoint }
    }
}

/// A point on its way out, padded to the field's length.
pub(crate) fn outgoing(point: &Point) -> Tpm2bEccPoint {
    Sized2b(EccPoint {
        x: Tpm2bEccParameter::cut(&point.x),
        y: Tpm2bEccParameter::cut(&point.y),
    })
}

/// A point from the caller; TPM_RC_ECC_POINT when it is not on the curve.
pub(crate) fn incoming(curve: Curve, point: &EccPoint) -> Result<Point> {
    ecc::check(curve, &point.x, &point.y).map_err(|_| Rc::ECC_POINT)
}

/// The curve of an ECC key that may be used for key exchange.
fn exchange_curve(key: &Object) -> Result<(Curve, Scheme)> {
    let PublicParams::Ecc { curve, scheme, .. } = key.public.params else {
        return Err(Rc::KEY);
    };
    if key.has(ObjectAttributes::RESTRICTED) || !key.has(ObjectAttributes::DECRYPT) {
        return Err(Rc::ATTRIBUTES);
    }
    Ok((curve, scheme.0))
}

impl Action for EcdhKeyGen {
    type Response = EcdhKeyGenResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<EcdhKeyGenResponse> {
        let key = ctx.state.object(self.key_handle)?;
        // Also for a point that is not on its curve.
        let (curve, point) = ecc_public(&key.public).map_err(|_| Rc::KEY.handle(1))?;
        let (d, ephemeral) = ecc::generate(curve, ctx.rng());
        let z = ecc::mul(curve, &d, &point).map_err(|_| Rc::NO_RESULT)?;
        Ok(EcdhKeyGenResponse {
            z_point: outgoing(&z),
            pub_point: outgoing(&ephemeral),
        })
    }
}

impl Action for EcdhZGen {
    type Response = EcdhZGenResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<EcdhZGenResponse> {
        let key = ctx.state.object(self.key_handle)?;
        let (curve, scheme) = exchange_curve(key).map_err(|rc| rc.handle(1))?;
        if !matches!(scheme, Scheme::Null | Scheme::EcDh(_)) {
            return Err(Rc::SCHEME.handle(1));
        }
        let point = incoming(curve, &self.in_point).map_err(|rc| rc.parameter(1))?;
        let z = ecc::mul(curve, &key.secrets()?.data, &point).map_err(|_| Rc::NO_RESULT)?;
        Ok(EcdhZGenResponse {
            out_point: outgoing(&z),
        })
    }
}

impl Action for EccParameters {
    type Response = EccParametersResponse;

    fn run(self, _: &mut Context<'_>) -> Result<EccParametersResponse> {
        let curve = self.curve_id;
        let numbers = curve.parameters();
        let hash = match curve {
            Curve::P256 => HashAlg::Sha256,
            Curve::P384 => HashAlg::Sha384,
            Curve::P521 => HashAlg::Sha512,
        };
        Ok(EccParametersResponse {
            parameters: EccDetail {
                curve,
                key_bits: u16::try_from(curve.bits()).unwrap_or(0),
                kdf: KdfScheme(Some((Kdf::Kdf1Sp800_56A, hash))),
                sign: EccScheme(Scheme::Null),
                p: Tpm2bEccParameter::cut(numbers.p),
                a: Tpm2bEccParameter::cut(numbers.a),
                b: Tpm2bEccParameter::cut(numbers.b),
                gx: Tpm2bEccParameter::cut(numbers.gx),
                gy: Tpm2bEccParameter::cut(numbers.gy),
                n: Tpm2bEccParameter::cut(numbers.n),
                h: Tpm2bEccParameter::cut(numbers.h),
            },
        })
    }
}

impl Action for ZGen2Phase {
    type Response = ZGen2PhaseResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ZGen2PhaseResponse> {
        let key = ctx.state.object(self.key_a)?;
        let (curve, scheme) = exchange_curve(key).map_err(|rc| rc.handle(1))?;
        if !matches!(scheme, Scheme::Null | Scheme::EcDh(_)) {
            return Err(Rc::SCHEME.parameter(3));
        }
        let of_static = incoming(curve, &self.in_qs_b).map_err(|rc| rc.parameter(1))?;
        let of_ephemeral = incoming(curve, &self.in_qe_b).map_err(|rc| rc.parameter(2))?;
        let number = commit::find(ctx.state, self.counter).ok_or(Rc::VALUE.parameter(4))?;
        let ephemeral = commit::secret_number(ctx.state, curve, number, &[]);
        let z = |d: &[u8], point| ecc::mul(curve, d, point).map_err(|_| Rc::NO_RESULT);
        let out_z1 = outgoing(&z(&key.secrets()?.data, &of_static)?);
        let out_z2 = outgoing(&z(&ephemeral, &of_ephemeral)?);
        commit::end(ctx.state, number);
        Ok(ZGen2PhaseResponse { out_z1, out_z2 })
    }
}
