//! Converts parameters of statements and values of rows between Python and PostgreSQL.

use iiot_postgres::value::Value;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

/// A parameter; None is NULL.
pub(crate) type Parameter = Option<Given>;

/// A parameter from Python.
#[derive(FromPyObject)]
pub(crate) enum Given {
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Py<PyBytes>),
}

pub(crate) fn values(py: Python<'_>, parameters: &[Parameter]) -> Vec<Value> {
    parameters
        .iter()
        .map(|parameter| match parameter {
            None => Value::Null,
            Some(Given::Integer(number)) => Value::Integer(*number),
            Some(Given::Real(number)) => Value::Real(*number),
            Some(Given::Text(text)) => Value::Text(text.clone()),
            Some(Given::Bytes(bytes)) => Value::Bytes(bytes.as_bytes(py).to_vec()),
        })
        .collect()
}

/// A row.
pub(crate) fn tuple(py: Python<'_>, row: Vec<Value>) -> PyResult<Bound<'_, PyTuple>> {
    let values: PyResult<Vec<_>> = row.into_iter().map(|value| given(py, value)).collect();
    PyTuple::new(py, values?)
}

fn given(py: Python<'_>, value: Value) -> PyResult<Bound<'_, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Integer(number) => number.into_bound_py_any(py),
        Value::Real(number) => number.into_bound_py_any(py),
        Value::Text(text) => text.into_bound_py_any(py),
        Value::Bytes(bytes) => Ok(PyBytes::new(py, &bytes).into_any()),
    }
}
