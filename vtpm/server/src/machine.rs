//! The machine around the TPM: its power and the lines that lead to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::Engine;

/// One TPM with the lines that lead to it; all connections share it.
pub struct Machine {
    inside: Mutex<Inside>,
    cancel: AtomicBool,
}

struct Inside {
    engine: Box<dyn Engine>,
    powered: bool,
}

impl Machine {
    /// A machine without power, as the reference simulator starts.
    #[must_use]
    pub fn new(engine: Box<dyn Engine>) -> Self {
        Self {
            inside: Mutex::new(Inside {
                engine,
                powered: false,
            }),
            cancel: AtomicBool::new(false),
        }
    }

    // A thread that panicked while it held the lock left a TPM in an unknown
    // state, but one that still answers is what its other clients expect.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Power comes; nothing happens if it is on.
    pub fn power_on(&self) {
        let mut inside = self.lock();
        if !inside.powered {
            inside.powered = true;
            inside.engine.init();
        }
    }

    /// Power goes.
    pub fn power_off(&self) {
        let mut inside = self.lock();
        if inside.powered {
            inside.powered = false;
            inside.engine.power_off();
        }
    }

    /// The reset line; nothing happens without power.
    pub fn reset(&self) {
        self.with_power(|engine| engine.init());
    }

    /// `TPM2_Send_Command`; an empty answer without power.
    pub fn execute(&self, locality: u8, command: &[u8]) -> Vec<u8> {
        let mut inside = self.lock();
        if !inside.powered {
            return Vec::new();
        }
        let cancelled = || self.cancel.load(Ordering::Acquire);
        inside.engine.execute(locality, command, &cancelled)
    }

    /// Cancels the running command and those that follow, until it is taken back.
    /// Waits for nothing.
    pub fn cancel(&self, on: bool) {
        self.cancel.store(on, Ordering::Release);
    }

    /// Something that the platform does to a TPM that has power.
    pub fn with_power(&self, action: impl FnOnce(&mut dyn Engine)) {
        let mut inside = self.lock();
        if inside.powered {
            action(&mut *inside.engine);
        }
    }

    /// Something that the platform does whether the TPM has power or not.
    pub fn with_engine(&self, action: impl FnOnce(&mut dyn Engine)) {
        action(&mut *self.lock().engine);
    }
}
