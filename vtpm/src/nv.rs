//! NV indices: who may read and write them beyond their authorization (Part 3,
//! 31.1), how their data is kept, and what starts and stops do to them.

use crate::chapters::startup::Start;
use crate::rc::{Rc, Result};
use crate::state::{NvIndex, State};
use crate::wire::{Handle, NvAttributes, NvType};

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

/// An orderly counter is stored each time that it passes a multiple of this
/// (Part 1, 37.7.2), and goes on from the next one after an unclean stop.
const ORDERLY_STEP: u64 = 256;

/// The value of a counter or of a bit field.
#[must_use]
pub fn number(nv: &NvIndex) -> u64 {
    nv.data
        .first_chunk::<8>()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Writes data of an index at an offset, as far as it fits there, which the
/// caller has checked. What was never written is all ones.
pub fn put(state: &mut State, index: Handle, offset: usize, bytes: &[u8]) -> Result<()> {
    let nv = state.nv.get(index).ok_or(Rc::HANDLE)?;
    let first = !nv.has(NvAttributes::WRITTEN);
    // Orderly data is stored at Shutdown only; but a counter must never come
    // back with a value that it had before.
    let counter = nv.public.attributes.nv_type() == Some(NvType::Counter);
    let must_store = bytes
        .first_chunk::<8>()
        .is_some_and(|b| u64::from_be_bytes(*b) % ORDERLY_STEP == 0);
    let orderly = nv.has(NvAttributes::ORDERLY) && !first && !(counter && must_store);
    let nv = if orderly {
        state.nv.volatile_mut(index)
    } else {
        state.nv.get_mut(index)
    }
    .ok_or(Rc::HANDLE)?;
    if first {
        nv.data = alloc::vec![0xFF; usize::from(nv.public.data_size)];
        nv.public.attributes = nv.public.attributes.with(NvAttributes::WRITTEN);
    }
    let end = offset.saturating_add(bytes.len());
    nv.data
        .get_mut(offset..end)
        .ok_or(Rc::NV_RANGE)?
        .copy_from_slice(bytes);
    Ok(())
}

/// Sets and clears attributes of an index.
pub fn set_attributes(state: &mut State, index: Handle, set: NvAttributes, clear: NvAttributes) {
    let Some(nv) = state.nv.get(index) else {
        return;
    };
    let new = nv.public.attributes.without(clear).with(set);
    if new != nv.public.attributes
        && let Some(nv) = state.nv.get_mut(index)
    {
        nv.public.attributes = new;
    }
}

/// Takes an index away. A later counter starts above what this one was.
pub fn remove(state: &mut State, index: Handle) {
    if let Some(nv) = state.nv.remove(index)
        && nv.public.attributes.nv_type() == Some(NvType::Counter)
        && nv.has(NvAttributes::WRITTEN)
        && number(&nv) > state.clock.max_counter
    {
        state.clock.max_counter = number(&nv);
    }
}

/// The highest value that any counter has or had.
#[must_use]
pub fn highest_counter(state: &State) -> u64 {
    state
        .nv
        .iter()
        .filter(|(_, nv)| {
            nv.public.attributes.nv_type() == Some(NvType::Counter) && nv.has(NvAttributes::WRITTEN)
        })
        .map(|(_, nv)| number(nv))
        .fold(state.clock.max_counter, u64::max)
}

/// What a start does to the indices (Part 3, 9.3.3; Part 1, 37.7).
pub(crate) fn on_startup(state: &mut State, start: Start, orderly: bool) {
    let indices: alloc::vec::Vec<Handle> = state.nv.handles().collect();
    for index in indices {
        let Some(nv) = state.nv.get(index) else {
            continue;
        };
        let attributes = nv.public.attributes;
        let counter = attributes.nv_type() == Some(NvType::Counter);
        let mut clear = NvAttributes(0);
        if attributes.has(NvAttributes::ORDERLY) && !orderly {
            if !counter {
                clear = clear.with(NvAttributes::WRITTEN);
            } else if attributes.has(NvAttributes::WRITTEN) {
                let value = (number(nv) | (ORDERLY_STEP - 1)).to_be_bytes();
                if let Some(nv) = state.nv.get_mut(index)
                    && let Some(bytes) = nv.data.first_chunk_mut::<8>()
                {
                    *bytes = value;
                }
            }
        }
        if start != Start::Resume {
            clear = clear.with(NvAttributes::READ_LOCKED);
            if attributes.has(NvAttributes::CLEAR_ST_CLEAR) && !counter {
                clear = clear.with(NvAttributes::WRITTEN);
            }
            let written =
                attributes.has(NvAttributes::WRITTEN) && !clear.has(NvAttributes::WRITTEN);
            if !attributes.has(NvAttributes::WRITE_DEFINE) || !written {
                clear = clear.with(NvAttributes::WRITE_LOCKED);
            }
        }
        set_attributes(state, index, NvAttributes(0), clear);
    }
}

/// Orderly data is stored.
pub(crate) fn on_shutdown(state: &mut State) {
    let indices: alloc::vec::Vec<Handle> = state
        .nv
        .iter()
        .filter(|(_, nv)| nv.has(NvAttributes::ORDERLY))
        .map(|(index, _)| index)
        .collect();
    for index in indices {
        let _ = state.nv.get_mut(index);
    }
}

/// The counters of a PIN index (TPMS_NV_PIN_COUNTER_PARAMETERS).
fn pin(nv: &NvIndex) -> (u32, u32) {
    let value = number(nv);
    let count = u32::try_from(value >> 32).unwrap_or(u32::MAX);
    (count, u32::try_from(value & 0xFFFF_FFFF).unwrap_or(0))
}

/// Whether the auth value of a PIN index can be used: it is written, and its
/// count is below its limit. Other indices are not PINs.
#[must_use]
pub fn pin_usable(nv: &NvIndex) -> bool {
    match nv.public.attributes.nv_type() {
        Some(NvType::PinFail | NvType::PinPass) => {
            let (count, limit) = pin(nv);
            nv.has(NvAttributes::WRITTEN) && count < limit
        }
        _ => true,
    }
}

/// A use of the auth value of an index succeeded or failed: PINs count.
pub(crate) fn count_pin(state: &mut State, index: Handle, success: bool) {
    let Some(nv) = state.nv.get(index) else {
        return;
    };
    let (count, limit) = pin(nv);
    let new = match (nv.public.attributes.nv_type(), success) {
        (Some(NvType::PinPass), true) | (Some(NvType::PinFail), false) => count.saturating_add(1),
        (Some(NvType::PinFail), true) if count != 0 => 0,
        _ => return,
    };
    let value = u64::from(new) << 32 | u64::from(limit);
    // The index exists and is written, so this cannot fail.
    let _ = put(state, index, 0, &value.to_be_bytes());
}
