//! Locks that stay usable after a thread has panicked.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked while it held the lock left the data after one of its steps, and every step here leaves
    // the data consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
