//! Memory for a page map, on the host.

use std::collections::BTreeMap;
use std::vec::Vec;

use crate::platform::{MapFrame, MapStorage, MapStorageFault};

/// Frames that come into being when they are first written.
#[derive(Debug)]
pub(crate) struct FrameStore {
    count: u64,
    frames: BTreeMap<u64, MapFrame>,
}

impl FrameStore {
    pub(crate) fn new(count: u64) -> Self {
        FrameStore {
            count,
            frames: BTreeMap::new(),
        }
    }

    /// Numbers of the frames that were written.
    pub(crate) fn touched(&self) -> Vec<u64> {
        self.frames.keys().copied().collect()
    }
}

impl MapStorage for FrameStore {
    fn frame(&self, index: u64) -> Option<&MapFrame> {
        self.frames.get(&index)
    }

    fn frame_mut(&mut self, index: u64) -> Result<&mut MapFrame, MapStorageFault> {
        if index >= self.count {
            return Err(MapStorageFault);
        }
        Ok(self.frames.entry(index).or_insert([0; 512]))
    }
}
