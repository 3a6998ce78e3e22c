//! Persistent state as records: what goes to the platform and comes back.

use crate::platform::{Change, Platform, Record};
use crate::rc::Rc;
use crate::state::{
    Audit, Clock, Hierarchies, Lockout, NvIndex, Object, OrderlyShutdown, PcrConfig, State,
    Tracked, TrackedMap,
};
use crate::wire::{Handle, HandleType, Marshal, Unmarshal};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Why stored state cannot be used. It is never overwritten then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// There is no state: the TPM was never manufactured.
    Absent,
    /// It was made by a newer version.
    Newer(u32),
    /// It is cut, altered, or made with another key.
    Damaged,
    /// It is older than the rollback counter allows.
    RolledBack,
    /// The platform failed.
    Platform,
}

/// Version of the records' format.
const VERSION: u32 = 1;

/// Identifiers of the records that are not an index's or object's.
mod id {
    /// Written last at manufacture: the version.
    pub(super) const MANUFACTURED: u32 = 0;
    pub(super) const HIERARCHIES: u32 = 1;
    pub(super) const LOCKOUT: u32 = 2;
    pub(super) const CLOCK: u32 = 3;
    pub(super) const PCR: u32 = 4;
    pub(super) const AUDIT: u32 = 5;
    pub(super) const SHUTDOWN: u32 = 6;
}

/// The persistent part of the state.
pub(crate) struct Persistent {
    pub(crate) hierarchies: Tracked<Hierarchies>,
    pub(crate) lockout: Tracked<Lockout>,
    pub(crate) clock: Tracked<Clock>,
    pub(crate) pcr_config: Tracked<PcrConfig>,
    pub(crate) audit: Tracked<Audit>,
    pub(crate) shutdown: Tracked<OrderlyShutdown>,
    pub(crate) nv: TrackedMap<NvIndex>,
    pub(crate) persistent: TrackedMap<Object>,
}

fn parse<T: Unmarshal>(bytes: &[u8]) -> Result<T, StateError> {
    T::from_bytes(bytes).map_err(|_| StateError::Damaged)
}

/// The persistent state that records hold.
pub(crate) fn load(records: Vec<Record>) -> Result<Persistent, StateError> {
    let mut records: BTreeMap<u32, Vec<u8>> = records.into_iter().collect();
    let version: u32 = parse(
        &records
            .remove(&id::MANUFACTURED)
            .ok_or(StateError::Absent)?,
    )?;
    if version > VERSION {
        return Err(StateError::Newer(version));
    }
    let mut take = |id| records.remove(&id).ok_or(StateError::Damaged);
    let mut state = Persistent {
        hierarchies: Tracked::stored(parse(&take(id::HIERARCHIES)?)?),
        lockout: Tracked::stored(parse(&take(id::LOCKOUT)?)?),
        clock: Tracked::stored(parse(&take(id::CLOCK)?)?),
        pcr_config: Tracked::stored(parse(&take(id::PCR)?)?),
        audit: Tracked::stored(parse(&take(id::AUDIT)?)?),
        shutdown: Tracked::stored(parse(&take(id::SHUTDOWN)?)?),
        nv: TrackedMap::default(),
        persistent: TrackedMap::default(),
    };
    for (id, bytes) in records {
        let h = Handle(id);
        match h.kind() {
            HandleType::NvIndex => state.nv.insert_stored(h, parse(&bytes)?),
            HandleType::Persistent => state.persistent.insert_stored(h, parse(&bytes)?),
            _ => return Err(StateError::Damaged),
        }
    }
    Ok(state)
}

fn single<T: Marshal>(id: u32, value: &mut Tracked<T>, changes: &mut Vec<Change>) {
    if value.take_dirty() {
        changes.push(Change {
            id,
            bytes: Some(value.to_bytes()),
        });
    }
}

fn many<T: Marshal>(values: &mut TrackedMap<T>, changes: &mut Vec<Change>) {
    for id in values.take_dirty() {
        changes.push(Change {
            id,
            bytes: values.get(Handle(id)).map(Marshal::to_bytes),
        });
    }
}

impl State {
    /// Whether something persistent changed since the last commit.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.hierarchies.is_dirty()
            || self.lockout.is_dirty()
            || self.clock.is_dirty()
            || self.pcr_config.is_dirty()
            || self.audit.is_dirty()
            || self.shutdown.is_dirty()
            || self.nv.is_dirty()
            || self.persistent.is_dirty()
    }

    /// Stores what changed. When that fails the TPM goes to failure mode,
    /// since its state is ahead of what is stored. While NV is not available
    /// nothing that must last changes (such commands are refused); what
    /// changes by itself, like the clock, is stored with the next commit.
    pub(crate) fn commit(&mut self, platform: &mut dyn Platform) -> Result<(), Rc> {
        if !self.is_dirty() || !platform.nv_available() {
            return Ok(());
        }
        let changes = self.changes();
        if platform.nv_commit(&changes).is_err() {
            self.volatile.failure = true;
            return Err(Rc::FAILURE);
        }
        Ok(())
    }

    /// All changes since the last commit.
    pub(crate) fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        single(id::HIERARCHIES, &mut self.hierarchies, &mut changes);
        single(id::LOCKOUT, &mut self.lockout, &mut changes);
        single(id::CLOCK, &mut self.clock, &mut changes);
        single(id::PCR, &mut self.pcr_config, &mut changes);
        single(id::AUDIT, &mut self.audit, &mut changes);
        single(id::SHUTDOWN, &mut self.shutdown, &mut changes);
        many(&mut self.nv, &mut changes);
        many(&mut self.persistent, &mut changes);
        changes
    }
}

/// The record that says that manufacture is complete.
pub(crate) fn manufactured() -> Change {
    Change {
        id: id::MANUFACTURED,
        bytes: Some(VERSION.to_bytes()),
    }
}
