//! The lines of the keys in a TOML text.

use iiot_core::toml_places::places;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyTuple};

#[pyfunction]
fn toml_places<'py>(
    py: Python<'py>,
    text: &str,
) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PySet>, Bound<'py, PyList>)> {
    let found = places(text);
    let lines = PyDict::new(py);
    for (path, line) in found.lines {
        lines.set_item(PyTuple::new(py, path)?, line)?;
    }
    let headers = PySet::empty(py)?;
    for path in found.headers {
        headers.add(PyTuple::new(py, path)?)?;
    }
    let order = PyList::empty(py);
    for (path, line, is_array) in found.order {
        order.append((PyTuple::new(py, path)?, line, is_array))?;
    }
    Ok((lines, headers, order))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(toml_places, module)?)
}
