//! Derived objects (Part 1, 25): their secrets are the output of KDFa with the
//! key of a derivation parent and the caller's label and context, so that every
//! TPM with that parent makes the same.

use crate::crypto::ecc::{self, Curve};
use crate::crypto::kdf::kdfa;
use crate::object::load;
use crate::object::make::{Made, ecc_point, symmetric_unique};
use crate::rc::{Rc, Result};
use crate::state::Object;
use crate::wire::{
    Bytes, Derive, ObjectAttributes as A, Public, PublicParams, Scheme, Sensitive, Tpm2bAuth,
    Tpm2bDigest, Unique,
};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// The bits of the derivation's output.
const OUTPUT_BITS: u32 = 8192;

/// The output, from which each value takes the next bytes.
struct Output {
    bytes: Zeroizing<Vec<u8>>,
    used: usize,
}

impl Output {
    fn new(parent: &Object, label: &Derive) -> Result<Self> {
        let PublicParams::KeyedHash { scheme } = &parent.public.params else {
            return Err(Rc::TYPE.handle(1));
        };
        let Scheme::Xor { hash, .. } = scheme.0 else {
            return Err(Rc::TYPE.handle(1));
        };
        let key = &parent.secrets()?.data;
        Ok(Output {
            bytes: kdfa(hash, key, &label.label, &label.context, &[], OUTPUT_BITS),
            used: 0,
        })
    }
}

impl Output {
    /// The next `len` bytes; TPM_RC_NO_RESULT when there are not so many.
    fn take(&mut self, len: usize) -> Result<Zeroizing<Vec<u8>>> {
        let end = self.used.saturating_add(len);
        let bytes = self.bytes.get(self.used..end).ok_or(Rc::NO_RESULT)?;
        self.used = end;
        Ok(Zeroizing::new(bytes.to_vec()))
    }
}

/// Makes the object of a template that was checked.
pub fn derive(
    parent: &Object,
    template: &Public,
    auth: &Tpm2bAuth,
    label: &Derive,
) -> Result<Made> {
    let alg = template.name_alg.ok_or(Rc::HASH)?;
    let mut output = Output::new(parent, label)?;
    let mut public = template.clone();
    let data = match &template.params {
        PublicParams::Rsa { .. } => return Err(Rc::TYPE),
        PublicParams::Ecc { curve, .. } => {
            let d = private_scalar(*curve, &mut output)?;
            public.unique = Unique::Ecc(ecc_point(
                &ecc::public_key(*curve, &d).map_err(|_| Rc::NO_RESULT)?,
            )?);
            d
        }
        PublicParams::SymCipher { symmetric } => {
            output.take(symmetric.0.ok_or(Rc::SYMMETRIC)?.key_bytes())?
        }
        PublicParams::KeyedHash { scheme } => {
            output.take(scheme.hash().unwrap_or(alg).digest_size())?
        }
    };
    let mut seed = Tpm2bDigest::new(&output.take(alg.digest_size())?)?;
    let asymmetric = public.object_type().is_asymmetric();
    if asymmetric && !public.attributes.has(A::RESTRICTED.with(A::DECRYPT)) {
        seed = Tpm2bDigest::empty();
    }
    let sensitive = Sensitive {
        kind: public.object_type(),
        auth: load::padded_auth(auth, Some(alg))?,
        seed,
        data: Bytes::new(&data)?,
    };
    if !asymmetric {
        public.unique = Unique::Digest(symmetric_unique(alg, public.is_parent(), &sensitive));
    }
    Ok(Made {
        public,
        sensitive,
        rsa: None,
    })
}

/// A private scalar from 64 more bits than the order has (FIPS 186-5, A.2.1).
fn private_scalar(curve: Curve, output: &mut Output) -> Result<Zeroizing<Vec<u8>>> {
    let bits = curve.bits() + 64;
    let mut wide = output.take(usize::try_from(bits.div_ceil(8)).map_err(|_| Rc::FAILURE)?)?;
    if let Some(first) = wide.first_mut().filter(|_| !bits.is_multiple_of(8)) {
        *first &= (1 << (bits % 8)) - 1;
    }
    let mut below = curve.order().to_vec();
    if let Some(last) = below.last_mut() {
        // The order is odd.
        *last &= !1;
    }
    let mut d = remainder(&wide, &below);
    let mut carry = true;
    for digit in d.iter_mut().rev() {
        let (sum, over) = digit.overflowing_add(u8::from(carry));
        *digit = sum;
        carry = over;
    }
    Ok(d)
}

/// A secret number modulo a known one, both big-endian, without a branch that
/// depends on it.
fn remainder(number: &[u8], modulus: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut rest = Zeroizing::new(alloc::vec![0u8; modulus.len()]);
    let mut less = Zeroizing::new(alloc::vec![0u8; modulus.len()]);
    for bit in number
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |n| byte >> n & 1))
    {
        let mut carry = bit;
        for digit in rest.iter_mut().rev() {
            let high = *digit >> 7;
            *digit = *digit << 1 | carry;
            carry = high;
        }
        let mut borrow = 0u8;
        for ((out, digit), m) in less.iter_mut().zip(rest.iter()).zip(modulus).rev() {
            let difference = u16::from(*digit)
                .wrapping_sub(u16::from(*m))
                .wrapping_sub(u16::from(borrow));
            let [high, low] = difference.to_be_bytes();
            *out = low;
            borrow = high & 1;
        }
        // All ones where the subtraction is to stay.
        let stays = (carry | (borrow ^ 1)).wrapping_neg();
        for (digit, l) in rest.iter_mut().zip(less.iter()) {
            *digit = *digit & !stays | *l & stays;
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::remainder;

    proptest::proptest! {
        #[test]
        fn remainders_are_those_of_numbers(number: u64, modulus in 1u32..) {
            let expected = u32::try_from(number % u64::from(modulus)).unwrap();
            proptest::prop_assert_eq!(&remainder(&number.to_be_bytes(), &modulus.to_be_bytes())[..], expected.to_be_bytes());
        }
    }
}
