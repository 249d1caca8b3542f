//! `CopyProgress`, `copy_file` and `check_file`: copy files, and check that they are intact.

use crate::errors;
use iiot_journal::CopyProgress as Core;
use pyo3::prelude::*;
use std::path::Path;

/// The progress of a copy.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct CopyProgress {
    pub core: Core,
}

#[pymethods]
impl CopyProgress {
    #[new]
    fn new() -> Self {
        Self {
            core: Core::default(),
        }
    }

    fn cancel(&self) {
        self.core.cancel();
    }

    fn pages(&self) -> (u64, u64) {
        self.core.pages()
    }
}

#[pyfunction]
fn copy_file(py: Python<'_>, path: &str, to: &str, progress: &CopyProgress) -> PyResult<()> {
    py.detach(|| iiot_journal::copy_file(Path::new(path), Path::new(to), &progress.core))
        .map_err(|e| errors::journal(py, &e))
}

#[pyfunction]
fn check_file(py: Python<'_>, path: &str) -> PyResult<Vec<String>> {
    py.detach(|| iiot_journal::check_file(Path::new(path)))
        .map_err(|e| errors::journal(py, &e))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CopyProgress>()?;
    module.add_function(wrap_pyfunction!(copy_file, module)?)?;
    module.add_function(wrap_pyfunction!(check_file, module)?)
}
