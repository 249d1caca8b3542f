//! Counts the calls into the extension on the data path, for a benchmark.

use pyo3::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

static CROSSINGS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn count() {
    CROSSINGS.fetch_add(1, Ordering::Relaxed);
}

#[pyfunction]
fn crossings() -> u64 {
    CROSSINGS.load(Ordering::Relaxed)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(crossings, module)?)
}
