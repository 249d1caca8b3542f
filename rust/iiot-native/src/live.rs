//! `Live`: the present values as finished JSON.

use crate::{crossings, errors, journal::Journal};
use iiot_live::Live as Core;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The newest value of every topic and of every node's link.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Live {
    core: Mutex<Core>,
}

impl Live {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Live {
    #[new]
    #[pyo3(signature = (journal, *, max_bytes = 1_048_576))]
    fn new(py: Python<'_>, journal: &Journal, max_bytes: usize) -> PyResult<Self> {
        let core = py
            .detach(|| Core::new(journal.core.tap(max_bytes)?))
            .map_err(|e| errors::journal(py, &e))?;
        Ok(Self {
            core: Mutex::new(core),
        })
    }

    fn follow(&self, py: Python<'_>) -> PyResult<u64> {
        crossings::count();
        py.detach(|| self.core().follow())
            .map_err(|e| errors::journal(py, &e))
    }

    fn latest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        crossings::count();
        let document = py.detach(|| self.core().latest());
        PyBytes::new(py, &document)
    }

    fn changes<'py>(&self, py: Python<'py>, since: u64) -> Bound<'py, PyBytes> {
        crossings::count();
        let document = py.detach(|| self.core().changes(since));
        PyBytes::new(py, &document)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Live>()
}
