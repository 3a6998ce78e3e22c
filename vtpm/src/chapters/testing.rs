//! Testing (Part 3, 10).

use crate::chapters::capability::algorithms;
use crate::command::Action;
use crate::context::Context;
use crate::rc::{Rc, Result};
use crate::wire::{Algorithms, Tpm2bMaxBuffer};
use alloc::vec::Vec;

crate::commands! {
    /// TPM2_SelfTest (Part 3, 10.2).
    SelfTest = 0x143 [nv] {
        handles {}
        parameters { full_test: bool }
        response SelfTestResponse [] {}
    }

    /// TPM2_IncrementalSelfTest (Part 3, 10.3).
    IncrementalSelfTest = 0x142 [nv] {
        handles {}
        parameters { to_test: Algorithms }
        response IncrementalSelfTestResponse [] { to_do_list: Algorithms }
    }

    /// TPM2_GetTestResult (Part 3, 10.4).
    GetTestResult = 0x17C [in_failure] {
        handles {}
        parameters {}
        response GetTestResultResponse [] { out_data: Tpm2bMaxBuffer, test_result: u32 }
    }
}

impl Action for SelfTest {
    type Response = SelfTestResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<SelfTestResponse> {
        if self.full_test && !crate::crypto_test::passes() {
            ctx.state.volatile.failure = true;
            return Err(Rc::FAILURE);
        }
        Ok(SelfTestResponse {})
    }
}

impl Action for IncrementalSelfTest {
    type Response = IncrementalSelfTestResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<IncrementalSelfTestResponse> {
        let known = |id: &u16| algorithms::ALL.iter().any(|(known, _)| known == id);
        if !self.to_test.iter().all(known) {
            return Err(Rc::VALUE.parameter(1));
        }
        if !self.to_test.is_empty() && !crate::crypto_test::passes() {
            ctx.state.volatile.failure = true;
            return Err(Rc::FAILURE);
        }
        // Everything is tested at once, so nothing is left to do.
        Ok(IncrementalSelfTestResponse {
            to_do_list: Algorithms::cut(Vec::new()),
        })
    }
}

impl Action for GetTestResult {
    type Response = GetTestResultResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<GetTestResultResponse> {
        let result = if ctx.state.volatile.failure {
            Rc::FAILURE
        } else {
            Rc::SUCCESS
        };
        Ok(GetTestResultResponse {
            out_data: Tpm2bMaxBuffer::empty(),
            test_result: result.0,
        })
    }
}
