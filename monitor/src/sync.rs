//! The lock of everything that vCPUs share. One module, so that the tests can put a scheduler's own
//! lock in its place and try the orders in which vCPUs may come (feature `shuttle`).

#[cfg(not(feature = "shuttle"))]
mod imp {
    /// A spin lock: VMPL0 runs with interrupts off and has nothing else to do.
    #[derive(Debug)]
    pub struct Lock<T>(spin::Mutex<T>);

    /// Gives the lock back when it is dropped.
    pub type Guard<'a, T> = spin::MutexGuard<'a, T>;

    impl<T> Lock<T> {
        /// A free lock.
        pub const fn new(value: T) -> Self {
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
}

#[cfg(feature = "shuttle")]
mod imp {
    use shuttle::sync::{Mutex, MutexGuard};

    /// The scheduler's lock.
    #[derive(Debug)]
    pub struct Lock<T>(Mutex<T>);

    /// Gives the lock back when it is dropped.
    pub type Guard<'a, T> = MutexGuard<'a, T>;

    impl<T> Lock<T> {
        /// A free lock.
        pub const fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        /// What it has guarded.
        #[cfg(test)]
        pub(crate) fn into_inner(self) -> T {
            self.0.into_inner().unwrap()
        }

        /// Waits for it.
        #[allow(clippy::expect_used, reason = "never part of the firmware")]
        pub fn lock(&self) -> Guard<'_, T> {
            self.0.lock().expect("a vCPU panicked")
        }

        /// `None` when somebody has it.
        pub fn try_lock(&self) -> Option<Guard<'_, T>> {
            self.0.try_lock().ok()
        }
    }
}

pub use imp::{Guard, Lock};
