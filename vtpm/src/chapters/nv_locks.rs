//! Locks of NV indices (Part 3, 31.11, 31.12 and 31.14).

use crate::command::Action;
use crate::context::Context;
use crate::nv::{read_access, set_attributes, write_access};
use crate::rc::{Rc, Result};
use crate::wire::{Handle, NvAttributes};

crate::commands! {
    /// TPM2_NV_WriteLock (Part 3, 31.11).
    NvWriteLock = 0x138 [nv nv_write] {
        handles { auth_handle: RhNvAuth as User, nv_index: RhNvIndex }
        parameters {}
        response NvWriteLockResponse [] {}
    }

    /// TPM2_NV_GlobalWriteLock (Part 3, 31.12).
    NvGlobalWriteLock = 0x132 [nv] {
        handles { auth_handle: RhProvision as User }
        parameters {}
        response NvGlobalWriteLockResponse [] {}
    }

    /// TPM2_NV_ReadLock (Part 3, 31.14).
    NvReadLock = 0x14F [nv nv_read] {
        handles { auth_handle: RhNvAuth as User, nv_index: RhNvIndex }
        parameters {}
        response NvReadLockResponse [] {}
    }
}

const NONE: NvAttributes = NvAttributes(0);

impl Action for NvWriteLock {
    type Response = NvWriteLockResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvWriteLockResponse> {
        match write_access(ctx.state, self.auth_handle, self.nv_index) {
            // Locked already.
            Err(Rc::NV_LOCKED) => return Ok(NvWriteLockResponse {}),
            Err(rc) => return Err(rc),
            Ok(nv) => {
                let lockable = NvAttributes::WRITE_DEFINE.with(NvAttributes::WRITE_ST_CLEAR);
                if !nv.public.attributes.has_any(lockable) {
                    return Err(Rc::ATTRIBUTES.handle(2));
                }
            }
        }
        set_attributes(ctx.state, self.nv_index, NvAttributes::WRITE_LOCKED, NONE);
        Ok(NvWriteLockResponse {})
    }
}

impl Action for NvGlobalWriteLock {
    type Response = NvGlobalWriteLockResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvGlobalWriteLockResponse> {
        let _ = self.auth_handle;
        let indices: alloc::vec::Vec<Handle> = ctx
            .state
            .nv
            .iter()
            .filter(|(_, nv)| nv.has(NvAttributes::GLOBAL_LOCK))
            .map(|(index, _)| index)
            .collect();
        for index in indices {
            set_attributes(ctx.state, index, NvAttributes::WRITE_LOCKED, NONE);
        }
        Ok(NvGlobalWriteLockResponse {})
    }
}

impl Action for NvReadLock {
    type Response = NvReadLockResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<NvReadLockResponse> {
        match read_access(ctx.state, self.auth_handle, self.nv_index) {
            Err(Rc::NV_LOCKED) => return Ok(NvReadLockResponse {}),
            // What was never written can be locked.
            Ok(_) | Err(Rc::NV_UNINITIALIZED) => {}
            Err(rc) => return Err(rc),
        }
        let nv = ctx.state.nv.get(self.nv_index).ok_or(Rc::HANDLE)?;
        if !nv.has(NvAttributes::READ_ST_CLEAR) {
            return Err(Rc::ATTRIBUTES.handle(2));
        }
        set_attributes(ctx.state, self.nv_index, NvAttributes::READ_LOCKED, NONE);
        Ok(NvReadLockResponse {})
    }
}
