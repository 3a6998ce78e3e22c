//! Non-volatile storage: definition and data (Part 3, 31). Locks stand in
//! `nv_locks`.

use crate::chapters::attestation::{Signer, attest};
use crate::command::Action;
use crate::context::Context;
use crate::limits::{MAX_NV_BUFFER_SIZE, MAX_NV_DATA, MAX_NV_INDICES};
use crate::nv::{self, OutOfData, read_access, window, write_access};
use crate::object::sign;
use crate::rc::{Rc, Result};
use crate::state::{NvIndex, State};
use crate::wire::{
    Attest, Attested, Handle, NvAttributes, NvPublic, NvType, SigScheme, Signature, Sized2b,
    Tpm2bAuth, Tpm2bData, Tpm2bMaxNvBuffer, Tpm2bName, Tpm2bNvPublic,
};

crate::commands! {
    /// TPM2_NV_DefineSpace (Part 3, 31.3).
    NvDefineSpace = 0x12A [nv] {
        handles { auth_handle: RhProvision as User }
        parameters { auth: Tpm2bAuth, public_info: Tpm2bNvPublic }
        response NvDefineSpaceResponse [] {}
    }

    /// TPM2_NV_UndefineSpace (Part 3, 31.4).
    NvUndefineSpace = 0x122 [nv] {
        handles { auth_handle: RhProvision as User, nv_index: RhNvIndex }
        parameters {}
        response NvUndefineSpaceResponse [] {}
    }

    /// TPM2_NV_UndefineSpaceSpecial (Part 3, 31.5).
    NvUndefineSpaceSpecial = 0x11F [nv] {
        handles { nv_index: RhNvIndex as Admin, platform: RhPlatform as User }
        parameters {}
        response NvUndefineSpaceSpecialResponse [] {}
    }

    /// TPM2_NV_ReadPublic (Part 3, 31.6).
    NvReadPublic = 0x169 [] {
        handles { nv_index: RhNvIndex }
        parameters {}
        response NvReadPublicResponse [] { nv_public: Tpm2bNvPublic, nv_name: Tpm2bName }
    }

    /// TPM2_NV_Write (Part 3, 31.7).
    NvWrite = 0x137 [nv nv_write] {
        handles { auth_handle: RhNvAuth as User, nv_index: RhNvIndex }
        parameters { data: Tpm2bMaxNvBuffer, offset: u16 }
        response NvWriteResponse [] {}
    }

    /// TPM2_NV_Increment (Part 3, 31.8).
    NvIncrement = 0x134 [nv nv_write] {
        handles { auth_handle: RhNvAuth as User, nv_index: RhNvIndex }
        parameters {}
        response NvIncrementResponse [] {}
    }

    /// TPM2_NV_Extend (Part 3, 31.9).
    NvExtend = 0x136 [nv nv_write] {
        handles { auth_handle: RhNvAuth as User, nv_index: RhNvIndex }
        parameters { data: Tpm2bMaxNvBuffer }
        response NvExtendResponse [] {}
    }

    /// TPM2_NV_SetBits (Part 3, 31.10).
    NvSetBits = 0x135 [nv nv_write] {
        handles { auth_handle: RhNvAuth as User, nv_index: RhNvIndex }
        parameters { bits: u64 }
        response NvSetBitsResponse [] {}
    }

    /// TPM2_NV_Read (Part 3, 31.13).
    NvRead = 0x14E [nv_read] {
        handles { auth_handle: RhNvAuth as User, nv_index: RhNvIndex }
        parameters { size: u16, offset: u16 }
        response NvReadResponse [] { data: Tpm2bMaxNvBuffer }
    }

    /// TPM2_NV_ChangeAuth (Part 3, 31.15).
    NvChangeAuth = 0x13B [nv] {
        handles { nv_index: RhNvIndex as Admin }
        parameters { new_auth: Tpm2bAuth }
        response NvChangeAuthResponse [] {}
    }

    /// TPM2_NV_Certify (Part 3, 31.16).
    NvCertify = 0x184 [nv_read] {
        handles {
            sign_handle: DhObjectOrNull as User,
            auth_handle: RhNvAuth as User,
            nv_index: RhNvIndex,
        }
        parameters { qualifying_data: Tpm2bData, in_scheme: SigScheme, size: u16, offset: u16 }
        response NvCertifyResponse [] { certify_info: Sized2b<Attest>, signature: Signature }
    }
}

/// Whether a public area makes sense; the error is without its parameter's
/// number.
fn check_public(public: &NvPublic) -> Result<()> {
    use NvAttributes as A;
    let a = public.attributes;
    let digest = public.name_alg.digest_size();
    if !public.auth_policy.is_empty() && public.auth_policy.len() != digest {
        return Err(Rc::SIZE);
    }
    let size = usize::from(public.data_size);
    let nv_type = a.nv_type().ok_or(Rc::ATTRIBUTES)?;
    let fixed_size = match nv_type {
        NvType::Ordinary => size,
        NvType::Extend => digest,
        NvType::Counter | NvType::Bits | NvType::PinFail | NvType::PinPass => 8,
    };
    if size != fixed_size {
        return Err(Rc::SIZE);
    }
    let is_pin = matches!(nv_type, NvType::PinFail | NvType::PinPass);
    let writers = A(A::PP_WRITE.0 | A::OWNER_WRITE.0 | A::AUTH_WRITE.0 | A::POLICY_WRITE.0);
    let readers = A(A::PP_READ.0 | A::OWNER_READ.0 | A::AUTH_READ.0 | A::POLICY_READ.0);
    let state = A(A::WRITTEN.0 | A::WRITE_LOCKED.0 | A::READ_LOCKED.0);
    let not_for_pins = A(A::AUTH_WRITE.0 | A::GLOBAL_LOCK.0 | A::WRITE_DEFINE.0);
    let wrong = a.has_any(state)
        || !a.has_any(writers)
        || !a.has_any(readers)
        || (nv_type == NvType::Counter && a.has(A::CLEAR_ST_CLEAR))
        || (a.has(A::CLEAR_ST_CLEAR) && a.has(A::WRITE_DEFINE))
        || (is_pin && a.has_any(not_for_pins))
        || (nv_type == NvType::PinFail && !a.has(A::NO_DA));
    if wrong {
        return Err(Rc::ATTRIBUTES);
    }
    if size > MAX_NV_BUFFER_SIZE && a.has(A::WRITE_ALL) {
        return Err(Rc::SIZE);
    }
    Ok(())
}

fn check_space(state: &State, size: u16) -> Result<()> {
    let used: usize = state
        .nv
        .iter()
        .map(|(_, nv)| usize::from(nv.public.data_size))
        .sum();
    if state.nv.len() >= MAX_NV_INDICES || used.saturating_add(usize::from(size)) > MAX_NV_DATA {
        return Err(Rc::NV_SPACE);
    }
    Ok(())
}

impl Action for NvDefineSpace {
    type Response = NvDefineSpaceResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvDefineSpaceResponse> {
        let public = self.public_info.0;
        let by_platform = self.auth_handle == Handle::PLATFORM;
        check_public(&public).map_err(|rc| rc.parameter(2))?;
        let auth = self.auth.without_trailing_zeros();
        if auth.len() > public.name_alg.digest_size() {
            return Err(Rc::SIZE.parameter(1));
        }
        // Whoever defines it can take it away again.
        if public.attributes.has(NvAttributes::PLATFORM_CREATE) != by_platform {
            return Err(Rc::ATTRIBUTES.handle(1));
        }
        if public.attributes.has(NvAttributes::POLICY_DELETE) && !by_platform {
            return Err(Rc::ATTRIBUTES.parameter(2));
        }
        let index = *public.index;
        if ctx.state.nv.get(index).is_some() {
            return Err(Rc::NV_DEFINED);
        }
        check_space(ctx.state, public.data_size)?;
        let data = alloc::vec![0xFF; usize::from(public.data_size)];
        ctx.state.nv.insert(index, NvIndex { public, auth, data });
        Ok(NvDefineSpaceResponse {})
    }
}

impl Action for NvUndefineSpace {
    type Response = NvUndefineSpaceResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvUndefineSpaceResponse> {
        let nv = ctx
            .state
            .nv
            .get(self.nv_index)
            .ok_or(Rc::HANDLE.handle(2))?;
        if nv.has(NvAttributes::POLICY_DELETE) {
            return Err(Rc::ATTRIBUTES.handle(2));
        }
        if nv.has(NvAttributes::PLATFORM_CREATE) && self.auth_handle == Handle::OWNER {
            return Err(Rc::NV_AUTHORIZATION);
        }
        nv::remove(ctx.state, self.nv_index);
        Ok(NvUndefineSpaceResponse {})
    }
}

impl Action for NvUndefineSpaceSpecial {
    type Response = NvUndefineSpaceSpecialResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvUndefineSpaceSpecialResponse> {
        let nv = ctx
            .state
            .nv
            .get(self.nv_index)
            .ok_or(Rc::HANDLE.handle(1))?;
        if !nv.has(NvAttributes::POLICY_DELETE) {
            return Err(Rc::ATTRIBUTES.handle(1));
        }
        nv::remove(ctx.state, self.nv_index);
        ctx.detach_sessions(self.nv_index);
        Ok(NvUndefineSpaceSpecialResponse {})
    }
}

impl Action for NvReadPublic {
    type Response = NvReadPublicResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvReadPublicResponse> {
        let nv = ctx
            .state
            .nv
            .get(self.nv_index)
            .ok_or(Rc::HANDLE.handle(1))?;
        Ok(NvReadPublicResponse {
            nv_public: Sized2b(nv.public.clone()),
            nv_name: nv.name(),
        })
    }
}

impl Action for NvWrite {
    type Response = NvWriteResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvWriteResponse> {
        let nv = write_access(ctx.state, self.auth_handle, self.nv_index)?;
        let nv_type = nv.public.attributes.nv_type();
        if matches!(
            nv_type,
            Some(NvType::Counter | NvType::Bits | NvType::Extend)
        ) {
            return Err(Rc::ATTRIBUTES);
        }
        let size = usize::from(nv.public.data_size);
        let offset = usize::from(self.offset);
        let room = size.checked_sub(offset).ok_or(Rc::VALUE.parameter(2))?;
        let whole = nv.has(NvAttributes::WRITE_ALL)
            || matches!(nv_type, Some(NvType::PinFail | NvType::PinPass));
        if self.data.len() > room || (whole && self.data.len() != size) {
            return Err(Rc::NV_RANGE);
        }
        nv::put(ctx.state, self.nv_index, offset, &self.data)?;
        Ok(NvWriteResponse {})
    }
}

/// The index, if it is of a type; else TPM_RC_ATTRIBUTES.
fn of_type<'a>(
    ctx: &'a Context<'_>,
    auth: Handle,
    index: Handle,
    wanted: NvType,
) -> Result<&'a NvIndex> {
    let nv = write_access(ctx.state, auth, index)?;
    if nv.public.attributes.nv_type() == Some(wanted) {
        Ok(nv)
    } else {
        Err(Rc::ATTRIBUTES.handle(2))
    }
}

impl Action for NvIncrement {
    type Response = NvIncrementResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvIncrementResponse> {
        let nv = of_type(ctx, self.auth_handle, self.nv_index, NvType::Counter)?;
        let before = if nv.has(NvAttributes::WRITTEN) {
            nv::number(nv)
        } else {
            nv::highest_counter(ctx.state)
        };
        let value = before.saturating_add(1).to_be_bytes();
        nv::put(ctx.state, self.nv_index, 0, &value)?;
        Ok(NvIncrementResponse {})
    }
}

impl Action for NvExtend {
    type Response = NvExtendResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvExtendResponse> {
        let nv = of_type(ctx, self.auth_handle, self.nv_index, NvType::Extend)?;
        let alg = nv.public.name_alg;
        let zeros = crate::crypto::hash::Digest::zero(alg);
        let before: &[u8] = if nv.has(NvAttributes::WRITTEN) {
            &nv.data
        } else {
            &zeros
        };
        let value = alg.digest(&[before, &self.data]);
        nv::put(ctx.state, self.nv_index, 0, &value)?;
        Ok(NvExtendResponse {})
    }
}

impl Action for NvSetBits {
    type Response = NvSetBitsResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvSetBitsResponse> {
        let nv = of_type(ctx, self.auth_handle, self.nv_index, NvType::Bits)?;
        let before = if nv.has(NvAttributes::WRITTEN) {
            nv::number(nv)
        } else {
            0
        };
        let value = (before | self.bits).to_be_bytes();
        nv::put(ctx.state, self.nv_index, 0, &value)?;
        Ok(NvSetBitsResponse {})
    }
}

/// Data of an index for a command whose size and offset are its parameters
/// `size_number` and the next one.
fn read(nv: &NvIndex, size: u16, offset: u16, size_number: usize) -> Result<Tpm2bMaxNvBuffer> {
    if usize::from(size) > MAX_NV_BUFFER_SIZE {
        return Err(Rc::VALUE.parameter(size_number));
    }
    let data = window(nv, offset, usize::from(size)).map_err(|which| match which {
        OutOfData::Offset => Rc::VALUE.parameter(size_number.saturating_add(1)),
        OutOfData::Length => Rc::NV_RANGE,
    })?;
    Tpm2bMaxNvBuffer::new(data)
}

impl Action for NvRead {
    type Response = NvReadResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvReadResponse> {
        let nv = read_access(ctx.state, self.auth_handle, self.nv_index)?;
        let data = read(nv, self.size, self.offset, 1)?;
        Ok(NvReadResponse { data })
    }
}

impl Action for NvChangeAuth {
    type Response = NvChangeAuthResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvChangeAuthResponse> {
        let nv = ctx
            .state
            .nv
            .get(self.nv_index)
            .ok_or(Rc::HANDLE.handle(1))?;
        let auth = self.new_auth.without_trailing_zeros();
        if auth.len() > nv.public.name_alg.digest_size() {
            return Err(Rc::SIZE.parameter(1));
        }
        if let Some(nv) = ctx.state.nv.get_mut(self.nv_index) {
            nv.auth = auth;
        }
        Ok(NvChangeAuthResponse {})
    }
}

impl Action for NvCertify {
    type Response = NvCertifyResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvCertifyResponse> {
        let nv = read_access(ctx.state, self.auth_handle, self.nv_index)?;
        let index_name = nv.name();
        let signer = Signer::new(ctx, self.sign_handle, 1, &self.in_scheme, 2)?;
        // No data at all asks for the digest of all data.
        let attested = if self.size == 0 && self.offset == 0 {
            let scheme = if self.sign_handle == Handle::NULL {
                self.in_scheme.0
            } else {
                signer.scheme()
            };
            let hash = sign::scheme_hash(scheme).map_err(|rc| rc.parameter(2))?;
            Attested::NvDigest {
                index_name,
                digest: hash.digest(&[&nv.data]).into(),
            }
        } else {
            Attested::Nv {
                index_name,
                offset: self.offset,
                contents: read(nv, self.size, self.offset, 3)?,
            }
        };
        let (certify_info, signature) = attest(ctx, signer, &self.qualifying_data, attested)?;
        Ok(NvCertifyResponse {
            certify_info,
            signature,
        })
    }
}
