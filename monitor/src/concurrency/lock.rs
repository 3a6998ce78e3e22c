//! The lock of [`crate::sync`] as the scheduler knows it.

use core::ops::{Deref, DerefMut};

use loom::sync::{Condvar, Mutex, MutexGuard};

/// The same to the scheduler. Made of two locks, because the scheduler's own `try_lock` waits.
#[derive(Debug)]
pub struct Lock<T> {
    held: Mutex<bool>,
    freed: Condvar,
    value: Mutex<T>,
}

/// Gives the lock back when it is dropped.
#[derive(Debug)]
pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
    value: Option<MutexGuard<'a, T>>,
}

impl<T> Lock<T> {
    /// A free lock.
    pub fn new(value: T) -> Self {
        Self {
            held: Mutex::new(false),
            freed: Condvar::new(),
            value: Mutex::new(value),
        }
    }

    /// What it has guarded.
    pub(crate) fn into_inner(self) -> T {
        self.value.into_inner().unwrap()
    }

    /// Waits for it.
    pub fn lock(&self) -> Guard<'_, T> {
        let mut held = self.held.lock().unwrap();
        while *held {
            held = self.freed.wait(held).unwrap();
        }
        self.taken(held)
    }

    /// `None` when somebody has it.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let held = self.held.lock().unwrap();
        (!*held).then(|| self.taken(held))
    }

    fn taken(&self, mut held: MutexGuard<'_, bool>) -> Guard<'_, T> {
        *held = true;
        Guard {
            lock: self,
            value: Some(self.value.lock().unwrap()),
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().unwrap()
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().unwrap()
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        *self.lock.held.lock().unwrap() = false;
        self.lock.freed.notify_one();
    }
}
