//! Who may read and write an NV index, beyond its authorization (Part 3, 31.1).

use crate::rc::{Rc, Result};
use crate::state::{NvIndex, State};
use crate::wire::{Handle, NvAttributes};

/// The index that `auth` has been authorized to read.
///
/// # Errors
/// TPM_RC_NV_LOCKED, TPM_RC_NV_AUTHORIZATION, TPM_RC_NV_UNINITIALIZED.
pub fn read_access(state: &State, auth: Handle, index: Handle) -> Result<&NvIndex> {
    let nv = state.nv.get(index).ok_or(Rc::HANDLE)?;
    if nv.has(NvAttributes::READ_LOCKED) {
        return Err(Rc::NV_LOCKED);
    }
    may(
        nv,
        auth,
        index,
        NvAttributes::OWNER_READ,
        NvAttributes::PP_READ,
    )?;
    // After the others, because NV_ReadLock does without it.
    if !nv.has(NvAttributes::WRITTEN) {
        return Err(Rc::NV_UNINITIALIZED);
    }
    Ok(nv)
}

/// The index that `auth` has been authorized to write.
///
/// # Errors
/// TPM_RC_NV_LOCKED, TPM_RC_NV_AUTHORIZATION.
pub fn write_access(state: &State, auth: Handle, index: Handle) -> Result<&NvIndex> {
    let nv = state.nv.get(index).ok_or(Rc::HANDLE)?;
    if nv.has(NvAttributes::WRITE_LOCKED) {
        return Err(Rc::NV_LOCKED);
    }
    may(
        nv,
        auth,
        index,
        NvAttributes::OWNER_WRITE,
        NvAttributes::PP_WRITE,
    )?;
    Ok(nv)
}

/// Whether whoever authorized may do it at all. The index's own authorization
/// was looked at together with its session.
fn may(
    nv: &NvIndex,
    auth: Handle,
    index: Handle,
    owner: NvAttributes,
    platform: NvAttributes,
) -> Result<()> {
    let allowed = match auth {
        Handle::OWNER => nv.has(owner),
        Handle::PLATFORM => nv.has(platform),
        _ => auth == index,
    };
    if allowed {
        Ok(())
    } else {
        Err(Rc::NV_AUTHORIZATION)
    }
}

/// `len` bytes of an index's data from an offset, both from the command.
///
/// # Errors
/// TPM_RC_VALUE when the offset is past the end, TPM_RC_SIZE when the length
/// is; the caller adds the parameters' numbers.
pub fn window(nv: &NvIndex, offset: u16, len: usize) -> core::result::Result<&[u8], OutOfData> {
    let rest = nv
        .data
        .get(usize::from(offset)..)
        .ok_or(OutOfData::Offset)?;
    rest.get(..len).ok_or(OutOfData::Length)
}

/// Which of the two is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfData {
    /// The offset.
    Offset,
    /// The length from there.
    Length,
}
