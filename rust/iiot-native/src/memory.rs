//! Configures the allocator for a process with many threads, most of which do little.

use pyo3::prelude::*;

/// Blocks of this size and above come from the system and go back to it at once. These are large batches, a few per second. By default glibc
/// raises this limit to the largest freed block, and keeps the memory between such blocks.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES: libc::c_int = 128 << 10;

/// glibc gives each thread an arena of its own, which keeps its memory. That would be ten megabytes here, and would grow slowly.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn one_arena() -> bool {
    let set = |parameter, value| {
        // SAFETY: mallopt takes two numbers and may be called at any time.
        unsafe { libc::mallopt(parameter, value) == 1 }
    };
    set(libc::M_ARENA_MAX, 1) && set(libc::M_MMAP_THRESHOLD, MAPPED_BYTES)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn one_arena() -> bool {
    false
}

/// Let all threads share one arena. Call this before threads are started. Other allocators than glibc's are not changed.
#[pyfunction]
fn share_arena() -> bool {
    one_arena()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(share_arena, module)?)
}
