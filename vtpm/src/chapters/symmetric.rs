//! Symmetric encryption (Part 3, 15.2 and 15.3).

use crate::command::Action;
use crate::context::Context;
use crate::crypto::sym::{Mode, crypt};
use crate::rc::{Rc, Result};
use crate::wire::{Handle, ObjectAttributes, PublicParams, Tpm2bIv, Tpm2bMaxBuffer};

/// Bytes of a block.
const BLOCK: usize = 16;

crate::commands! {
    /// TPM2_EncryptDecrypt (Part 3, 15.2), whose data cannot be encrypted by a
    /// session.
    EncryptDecrypt = 0x164 [] {
        handles { key_handle: DhObject as User }
        parameters { decrypt: bool, mode: Option<Mode>, iv_in: Tpm2bIv, in_data: Tpm2bMaxBuffer }
        response EncryptDecryptResponse [] { out_data: Tpm2bMaxBuffer, iv_out: Tpm2bIv }
    }

    /// TPM2_EncryptDecrypt2 (Part 3, 15.3).
    EncryptDecrypt2 = 0x193 [] {
        handles { key_handle: DhObject as User }
        parameters { in_data: Tpm2bMaxBuffer, decrypt: bool, mode: Option<Mode>, iv_in: Tpm2bIv }
        response EncryptDecrypt2Response [] { out_data: Tpm2bMaxBuffer, iv_out: Tpm2bIv }
    }
}

/// The numbers of the parameters, in which the two commands differ.
struct Numbers {
    mode: usize,
    iv: usize,
    data: usize,
}

/// Numbers of EncryptDecrypt's.
const FIRST: Numbers = Numbers {
    mode: 2,
    iv: 3,
    data: 4,
};

/// Numbers of EncryptDecrypt2's.
const SECOND: Numbers = Numbers {
    mode: 3,
    iv: 4,
    data: 1,
};

fn run(
    ctx: &Context<'_>,
    numbers: &Numbers,
    (key, decrypt, mode): (Handle, bool, Option<Mode>),
    iv_in: &Tpm2bIv,
    in_data: &Tpm2bMaxBuffer,
) -> Result<(Tpm2bMaxBuffer, Tpm2bIv)> {
    let object = ctx.state.object(key).map_err(|rc| rc.handle(1))?;
    let PublicParams::SymCipher { symmetric } = &object.public.params else {
        return Err(Rc::KEY.handle(1));
    };
    if object.has(ObjectAttributes::RESTRICTED) {
        return Err(Rc::ATTRIBUTES.handle(1));
    }
    let needed = if decrypt {
        ObjectAttributes::DECRYPT
    } else {
        ObjectAttributes::SIGN
    };
    if !object.has(needed) {
        return Err(Rc::ATTRIBUTES.handle(1));
    }
    let mode = match (symmetric.0.and_then(|aes| aes.mode), mode) {
        (None, Some(mode)) | (Some(mode), None) => mode,
        (Some(own), Some(mode)) if own == mode => mode,
        _ => return Err(Rc::MODE.parameter(numbers.mode)),
    };
    let mut iv = [0u8; BLOCK];
    if mode == Mode::Ecb {
        if !iv_in.is_empty() {
            return Err(Rc::SIZE.parameter(numbers.iv));
        }
    } else {
        iv = <[u8; BLOCK]>::try_from(&**iv_in).map_err(|_| Rc::SIZE.parameter(numbers.iv))?;
    }
    if matches!(mode, Mode::Cbc | Mode::Ecb) && !in_data.len().is_multiple_of(BLOCK) {
        return Err(Rc::SIZE.parameter(numbers.data));
    }
    let sensitive = object.sensitive.as_ref().ok_or(Rc::KEY.handle(1))?;
    let mut out = in_data.clone();
    crypt(mode, !decrypt, &sensitive.data, &mut iv, out.as_mut_slice()).map_err(|_| Rc::FAILURE)?;
    let iv_out = if mode == Mode::Ecb {
        Tpm2bIv::empty()
    } else {
        Tpm2bIv::cut(&iv)
    };
    Ok((out, iv_out))
}

impl Action for EncryptDecrypt {
    type Response = EncryptDecryptResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<EncryptDecryptResponse> {
        let how = (self.key_handle, self.decrypt, self.mode);
        let (out_data, iv_out) = run(ctx, &FIRST, how, &self.iv_in, &self.in_data)?;
        Ok(EncryptDecryptResponse { out_data, iv_out })
    }
}

impl Action for EncryptDecrypt2 {
    type Response = EncryptDecrypt2Response;

    fn run(self, ctx: &mut Context<'_>) -> Result<EncryptDecrypt2Response> {
        let how = (self.key_handle, self.decrypt, self.mode);
        let (out_data, iv_out) = run(ctx, &SECOND, how, &self.iv_in, &self.in_data)?;
        Ok(EncryptDecrypt2Response { out_data, iv_out })
    }
}
