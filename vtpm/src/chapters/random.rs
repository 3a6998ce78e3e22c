//! Random number generator (Part 3, 16).

use crate::command::Action;
use crate::context::Context;
use crate::limits::MAX_DIGEST_SIZE;
use crate::rc::Result;
use crate::wire::{Bytes, Tpm2bDigest};

crate::commands! {
    /// TPM2_GetRandom (Part 3, 16.1).
    GetRandom = 0x17B [] {
        handles {}
        parameters { bytes_requested: u16 }
        response GetRandomResponse [] { random_bytes: Tpm2bDigest }
    }

    /// TPM2_StirRandom (Part 3, 16.2).
    StirRandom = 0x146 [nv] {
        handles {}
        parameters { in_data: Bytes<128> }
        response StirRandomResponse [] {}
    }
}

impl Action for GetRandom {
    type Response = GetRandomResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<GetRandomResponse> {
        let mut bytes = Tpm2bDigest::zeros(usize::from(self.bytes_requested).min(MAX_DIGEST_SIZE));
        ctx.random(bytes.as_mut_slice());
        Ok(GetRandomResponse {
            random_bytes: bytes,
        })
    }
}

impl Action for StirRandom {
    type Response = StirRandomResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<StirRandomResponse> {
        ctx.rng().reseed(&self.in_data);
        Ok(StirRandomResponse {})
    }
}
