//! A spin lock: VMPL0 runs with interrupts off and has nothing else to do.

/// The lock.
#[derive(Debug)]
pub struct Lock<T>(spin::Mutex<T>);

/// Gives the lock back when it is dropped.
pub type Guard<'a, T> = spin::MutexGuard<'a, T>;

impl<T> Lock<T> {
    /// A free lock.
    pub fn new(value: T) -> Self {
        Self(spin::Mutex::new(value))
    }

    /// What it has guarded.
    #[cfg(test)]
    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }

    /// Waits for it.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        self.0.lock()
    }

    /// `None` when somebody has it.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.0.try_lock()
    }
}
