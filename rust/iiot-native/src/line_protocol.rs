//! `read_lines`: turns line protocol from clients into documents for the profile `line-protocol`.

use crate::crossings;
use iiot_core::Precision;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A document, or the fault of the line.
type Line<'py> = (Bound<'py, PyBytes>, String);

#[pyfunction]
fn read_lines<'py>(
    py: Python<'py>,
    body: &[u8],
    precision: &str,
    max_lines: usize,
) -> PyResult<Vec<Line<'py>>> {
    crossings::count();
    let precision = Precision::named(precision).ok_or_else(|| {
        PyValueError::new_err(format!(
            "precision is {precision:?}, expected \"ns\", \"us\", \"ms\" or \"s\""
        ))
    })?;
    let read = py
        .detach(|| iiot_core::read_lines(body, precision, max_lines))
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    let lines = read.into_iter().map(|line| match line {
        Ok(document) => (PyBytes::new(py, &document), String::new()),
        Err(fault) => (PyBytes::new(py, b""), fault.to_string()),
    });
    Ok(lines.collect())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(read_lines, module)?)
}
