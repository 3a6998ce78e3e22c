//! Persistent values that know whether they changed since the last commit.

use crate::wire::Handle;
use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::{Deref, DerefMut};

/// A value that is marked as changed by every mutable access.
#[derive(Clone)]
pub struct Tracked<T> {
    value: T,
    dirty: bool,
}

impl<T> Tracked<T> {
    /// A value that is stored already.
    pub fn stored(value: T) -> Self {
        Tracked {
            value,
            dirty: false,
        }
    }

    /// A value that is not stored yet.
    pub fn new(value: T) -> Self {
        Tracked { value, dirty: true }
    }

    /// Whether it changed since the last call.
    pub fn take_dirty(&mut self) -> bool {
        core::mem::take(&mut self.dirty)
    }

    /// Whether it changed since it was last stored.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Mutable access that needs no commit: for what is stored at Shutdown only.
    pub fn volatile_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Deref for Tracked<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Tracked<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.dirty = true;
        &mut self.value
    }
}

/// Values by handle; each remembers whether it changed.
#[derive(Clone)]
pub struct TrackedMap<T> {
    values: BTreeMap<u32, T>,
    dirty: BTreeSet<u32>,
}

impl<T> Default for TrackedMap<T> {
    fn default() -> Self {
        TrackedMap {
            values: BTreeMap::new(),
            dirty: BTreeSet::new(),
        }
    }
}

impl<T> TrackedMap<T> {
    /// The value of a handle.
    #[must_use]
    pub fn get(&self, h: Handle) -> Option<&T> {
        self.values.get(&h.0)
    }

    /// The value of a handle, to be changed; it counts as changed.
    pub fn get_mut(&mut self, h: Handle) -> Option<&mut T> {
        let value = self.values.get_mut(&h.0)?;
        self.dirty.insert(h.0);
        Some(value)
    }

    /// Mutable access that needs no commit: for orderly data, stored at
    /// Shutdown only.
    pub fn volatile_mut(&mut self, h: Handle) -> Option<&mut T> {
        self.values.get_mut(&h.0)
    }

    /// Puts a value in.
    pub fn insert(&mut self, h: Handle, value: T) {
        self.dirty.insert(h.0);
        self.values.insert(h.0, value);
    }

    /// Puts a value in that is stored already.
    pub fn insert_stored(&mut self, h: Handle, value: T) {
        self.values.insert(h.0, value);
    }

    /// Takes a value out.
    pub fn remove(&mut self, h: Handle) -> Option<T> {
        let old = self.values.remove(&h.0)?;
        self.dirty.insert(h.0);
        Some(old)
    }

    /// Takes out all that do not fulfil a condition.
    pub fn retain(&mut self, mut keep: impl FnMut(Handle, &T) -> bool) {
        let dirty = &mut self.dirty;
        self.values.retain(|&h, v| {
            let stays = keep(Handle(h), v);
            if !stays {
                dirty.insert(h);
            }
            stays
        });
    }

    /// All values, by ascending handle.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, &T)> {
        self.values.iter().map(|(&h, v)| (Handle(h), v))
    }

    /// The handles, ascending.
    pub fn handles(&self) -> impl Iterator<Item = Handle> + '_ {
        self.values.keys().map(|&h| Handle(h))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The handles that changed since the last call.
    pub fn take_dirty(&mut self) -> BTreeSet<u32> {
        core::mem::take(&mut self.dirty)
    }

    /// Whether some value changed since it was last stored.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }
}
