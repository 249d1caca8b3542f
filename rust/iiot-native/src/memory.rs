//! The allocator, told once that this process has many threads and little to do in most of them.

use pyo3::prelude::*;

/// glibc gives threads arenas of their own, which keep what they once held: ten megabytes here, and slow growth.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn one_arena() -> bool {
    // SAFETY: mallopt takes two numbers and may be called at any time.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) == 1 }
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
