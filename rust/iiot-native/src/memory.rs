//! The allocator, told once that this process has many threads and little to do in most of them.

use pyo3::prelude::*;

/// Blocks of this size and above come from the system and go back to it at once: large batches, a few a second. By itself glibc
/// raises this limit to the largest block it has seen freed, and keeps what lies between them for ever.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES: libc::c_int = 128 << 10;

/// glibc gives threads arenas of their own, which keep what they once held: ten megabytes here, and slow growth.
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

/// Let all threads share one arena. Call before threads are started; other allocators are left as they are.
#[pyfunction]
fn share_arena() -> bool {
    one_arena()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(share_arena, module)?)
}
