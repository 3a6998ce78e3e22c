//! Enhanced authorization over NV data and over time (Part 3, 23.9 and 23.10).

use crate::chapters::policy::{extend, is_trial};
use crate::clock::time_info;
use crate::command::Action;
use crate::context::Context;
use crate::nv::{OutOfData, read_access, window};
use crate::rc::{Rc, Result};
use crate::wire::{Handle, Marshal, Reader, Tpm2bOperand, Unmarshal, Writer};
use core::cmp::Ordering;

crate::commands! {
    /// TPM2_PolicyNV (Part 3, 23.9).
    PolicyNv = 0x149 [nv_read] {
        handles { auth_handle: RhNvAuth as User, nv_index: RhNvIndex, policy_session: ShPolicy }
        parameters { operand_b: Tpm2bOperand, offset: u16, operation: Operation }
        response PolicyNvResponse [] {}
    }

    /// TPM2_PolicyCounterTimer (Part 3, 23.10).
    PolicyCounterTimer = 0x16D [] {
        handles { policy_session: ShPolicy }
        parameters { operand_b: Tpm2bOperand, offset: u16, operation: Operation }
        response PolicyCounterTimerResponse [] {}
    }
}

/// TPM_EO: how operand A (the TPM's) is compared with operand B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation(u16);

impl Operation {
    /// The last operation, TPM_EO_BITCLEAR.
    const LAST: u16 = 0x000B;

    /// Whether the comparison of two operands of one length holds.
    #[must_use]
    pub fn holds(self, a: &[u8], b: &[u8]) -> bool {
        let order = if matches!(self.0, 2 | 4 | 6 | 8) {
            signed(a, b)
        } else {
            a.cmp(b)
        };
        match self.0 {
            0x0 => order == Ordering::Equal,
            0x1 => order != Ordering::Equal,
            0x2 | 0x3 => order == Ordering::Greater,
            0x4 | 0x5 => order == Ordering::Less,
            0x6 | 0x7 => order != Ordering::Less,
            0x8 | 0x9 => order != Ordering::Greater,
            0xA => a.iter().zip(b).all(|(a, b)| a & b == *b),
            _ => a.iter().zip(b).all(|(a, b)| a & b == 0),
        }
    }
}

/// Compares two signed numbers of one length. Of two negative ones that with the
/// smaller bytes is the greater, as if they were a sign and a magnitude: two's
/// complement has it the other way round, but the reference implementation
/// compares so, hence TPMs do, and policies that were written for them must hold
/// here as they hold there.
fn signed(a: &[u8], b: &[u8]) -> Ordering {
    let negative = |n: &[u8]| n.first().is_some_and(|byte| byte & 0x80 != 0);
    match (negative(a), negative(b)) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
        (true, true) => b.cmp(a),
    }
}

impl Marshal for Operation {
    fn marshal(&self, out: &mut Writer) {
        self.0.marshal(out);
    }
}

impl Unmarshal for Operation {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let value: u16 = r.read()?;
        if value > Self::LAST {
            return Err(Rc::VALUE);
        }
        Ok(Operation(value))
    }
}

#[cfg(any(test, feature = "sample"))]
impl crate::wire::sample::Sample for Operation {
    fn sample(g: &mut crate::wire::sample::Gen) -> Self {
        Operation(g.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, Self::LAST]))
    }
}

/// Puts a comparison that holds into the policy, and the Name of what was
/// compared, if it has one.
fn record(
    ctx: &mut Context<'_>,
    session: Handle,
    operand: &Tpm2bOperand,
    (offset, operation): (u16, Operation),
    name: &[u8],
) -> Result<()> {
    let arguments = ctx.state.session(session)?.hash.digest(&[
        operand,
        &offset.to_bytes(),
        &operation.to_bytes(),
    ]);
    extend(ctx, session, &[&arguments, name])
}

fn out_of_data(which: OutOfData) -> Rc {
    match which {
        OutOfData::Offset => Rc::VALUE.parameter(2),
        OutOfData::Length => Rc::SIZE.parameter(1),
    }
}

impl Action for PolicyNv {
    type Response = PolicyNvResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyNvResponse> {
        if !is_trial(ctx.state.session(self.policy_session)?) {
            let nv = read_access(ctx.state, self.auth_handle, self.nv_index)?;
            let a = window(nv, self.offset, self.operand_b.len()).map_err(out_of_data)?;
            if !self.operation.holds(a, &self.operand_b) {
                return Err(Rc::POLICY);
            }
        }
        let name = ctx.state.name_of(self.nv_index);
        let how = (self.offset, self.operation);
        record(ctx, self.policy_session, &self.operand_b, how, &name)?;
        Ok(PolicyNvResponse {})
    }
}

impl Action for PolicyCounterTimer {
    type Response = PolicyCounterTimerResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyCounterTimerResponse> {
        let time = ctx.time();
        let info = time_info(ctx.state, time).to_bytes();
        let a = info
            .get(usize::from(self.offset)..)
            .and_then(|rest| rest.get(..self.operand_b.len()))
            .ok_or(Rc::RANGE)?;
        if !is_trial(ctx.state.session(self.policy_session)?)
            && !self.operation.holds(a, &self.operand_b)
        {
            return Err(Rc::POLICY);
        }
        let how = (self.offset, self.operation);
        record(ctx, self.policy_session, &self.operand_b, how, &[])?;
        Ok(PolicyCounterTimerResponse {})
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, signed};
    use core::cmp::Ordering;
    use proptest::prelude::*;

    proptest! {
        /// Up to two negative ones.
        #[test]
        fn signed_order_is_that_of_integers(a: i32, b: i32) {
            let order = signed(&a.to_be_bytes(), &b.to_be_bytes());
            let reversed = a < 0 && b < 0;
            prop_assert_eq!(order, if reversed { b.cmp(&a) } else { a.cmp(&b) });
        }

        #[test]
        fn operations_are_those_of_integers(a: u64, b: u64) {
            let holds = |op| Operation(op).holds(&a.to_be_bytes(), &b.to_be_bytes());
            prop_assert_eq!(holds(0), a == b);
            prop_assert_eq!(holds(1), a != b);
            prop_assert_eq!(holds(3), a > b);
            prop_assert_eq!(holds(5), a < b);
            prop_assert_eq!(holds(7), a >= b);
            prop_assert_eq!(holds(9), a <= b);
            prop_assert_eq!(holds(10), a & b == b);
            prop_assert_eq!(holds(11), a & b == 0);
        }
    }

    #[test]
    fn equal_numbers_are_neither_more_nor_less() {
        assert_eq!(signed(b"", b""), Ordering::Equal);
        for op in [0, 6, 7, 8, 9] {
            assert!(Operation(op).holds(&[0x80, 1], &[0x80, 1]));
        }
        for op in [1, 2, 3, 4, 5] {
            assert!(!Operation(op).holds(&[0x80, 1], &[0x80, 1]));
        }
    }
}
