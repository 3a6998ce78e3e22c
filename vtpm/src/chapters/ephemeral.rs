//! Ephemeral EC keys (Part 3, 19).

use crate::chapters::ecdh::{incoming, outgoing};
use crate::command::Action;
use crate::context::Context;
use crate::crypto::ecc::{self, Curve, Point};
use crate::object::commit;
use crate::rc::{Rc, Result};
use crate::wire::{
    EccPoint, PublicParams, Scheme, Sized2b, Tpm2bEccParameter, Tpm2bEccPoint, Tpm2bSensitiveData,
};

crate::commands! {
    /// TPM2_Commit (Part 3, 19.2).
    Commit = 0x18B [] {
        handles { sign_handle: DhObject as User }
        parameters { p1: Tpm2bEccPoint, s2: Tpm2bSensitiveData, y2: Tpm2bEccParameter }
        response CommitResponse [] { k: Tpm2bEccPoint, l: Tpm2bEccPoint, e: Tpm2bEccPoint, counter: u16 }
    }

    /// TPM2_EC_Ephemeral (Part 3, 19.3).
    EcEphemeral = 0x18E [] {
        handles {}
        parameters { curve_id: Curve }
        response EcEphemeralResponse [] { q: Tpm2bEccPoint, counter: u16 }
    }
}

/// The Empty Point.
fn nothing() -> Tpm2bEccPoint {
    Sized2b(EccPoint {
        x: Tpm2bEccParameter::empty(),
        y: Tpm2bEccParameter::empty(),
    })
}

impl Action for Commit {
    type Response = CommitResponse;

    /// Part 1, 44.2.3.
    fn run(self, ctx: &mut Context<'_>) -> Result<CommitResponse> {
        let key = ctx.state.object(self.sign_handle)?;
        let PublicParams::Ecc { curve, scheme, .. } = key.public.params else {
            return Err(Rc::KEY.handle(1));
        };
        if !matches!(scheme.0, Scheme::EcDaa { .. }) {
            return Err(Rc::SCHEME.handle(1));
        }
        if self.s2.is_empty() != self.y2.is_empty() {
            return Err(Rc::SIZE.parameter(3));
        }
        let base = if self.s2.is_empty() {
            None
        } else {
            let alg = key.public.name_alg.ok_or(Rc::HASH.handle(1))?;
            let x = ecc::reduce_coordinate(curve, &alg.digest(&[&self.s2]));
            let base = ecc::check(curve, &x, &self.y2);
            Some(base.map_err(|_| Rc::ECC_POINT.parameter(2))?)
        };
        let p1 = if self.p1.x.is_empty() && self.p1.y.is_empty() {
            None
        } else {
            Some(incoming(curve, &self.p1).map_err(|rc| rc.parameter(1))?)
        };
        let r = commit::secret_number(ctx.state, curve, commit::next(ctx.state), &key.name);
        let mul = |d: &[u8], point: &Point| {
            ecc::mul(curve, d, point)
                .map(|point| outgoing(&point))
                .map_err(|_| Rc::NO_RESULT)
        };
        let (k, l) = match &base {
            Some(base) => (mul(&key.secrets()?.data, base)?, mul(&r, base)?),
            None => (nothing(), nothing()),
        };
        let e = match (&p1, &base) {
            (Some(p1), _) => mul(&r, p1)?,
            (None, None) => outgoing(&ecc::public_key(curve, &r).map_err(|_| Rc::NO_RESULT)?),
            (None, Some(_)) => nothing(),
        };
        let counter = commit::begin(ctx.state);
        Ok(CommitResponse { k, l, e, counter })
    }
}

impl Action for EcEphemeral {
    type Response = EcEphemeralResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<EcEphemeralResponse> {
        let number = commit::next(ctx.state);
        let r = commit::secret_number(ctx.state, self.curve_id, number, &[]);
        let q = ecc::public_key(self.curve_id, &r).map_err(|_| Rc::NO_RESULT)?;
        Ok(EcEphemeralResponse {
            q: outgoing(&q),
            counter: commit::begin(ctx.state),
        })
    }
}
