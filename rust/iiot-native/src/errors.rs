//! Errors of the crates as Python exceptions.

use iiot_core::profile::ProfileError as CoreProfileError;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;

create_exception!(iiot_gateway._native, ProfileError, PyValueError);
create_exception!(iiot_gateway._native, JournalError, PyException);
create_exception!(iiot_gateway._native, HistoryError, PyException);
create_exception!(iiot_gateway._native, MqttError, PyValueError);
create_exception!(iiot_gateway._native, HttpError, PyValueError);
create_exception!(iiot_gateway._native, BrokerError, PyException);
create_exception!(iiot_gateway._native, PostgresError, PyException);

pub(crate) fn journal(py: Python<'_>, error: &iiot_journal::Error) -> PyErr {
    if error.kind == iiot_journal::ErrorKind::Conflict {
        return PyValueError::new_err(error.to_string());
    }
    let raised = JournalError::new_err(error.to_string());
    // A plain attribute of a fresh exception cannot fail to be set.
    let _ = raised.value(py).setattr("kind", error.kind.name());
    raised
}

pub(crate) fn history(py: Python<'_>, error: &iiot_history::Error) -> PyErr {
    if error.kind == iiot_history::ErrorKind::Invalid {
        return PyValueError::new_err(error.to_string());
    }
    let raised = HistoryError::new_err(error.to_string());
    let _ = raised.value(py).setattr("kind", error.kind.name());
    raised
}

pub(crate) fn postgres(py: Python<'_>, error: &iiot_postgres::Error) -> PyErr {
    if error.kind == iiot_postgres::ErrorKind::Journal {
        let raised = JournalError::new_err(error.to_string());
        let _ = raised.value(py).setattr("kind", "io");
        return raised;
    }
    let raised = PostgresError::new_err(error.to_string());
    let _ = raised.value(py).setattr("kind", error.kind.name());
    let _ = raised
        .value(py)
        .setattr("sqlstate", error.sqlstate.as_deref());
    let _ = raised
        .value(py)
        .setattr("constraint", error.constraint.as_deref());
    raised
}

pub(crate) fn profile(py: Python<'_>, error: &CoreProfileError) -> PyErr {
    let faults: Vec<(usize, String)> = error
        .faults
        .iter()
        .map(|f| (f.line, f.message.clone()))
        .collect();
    let raised = ProfileError::new_err(error.to_string());
    let _ = raised.value(py).setattr("faults", faults);
    raised
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("ProfileError", py.get_type::<ProfileError>())?;
    module.add("JournalError", py.get_type::<JournalError>())?;
    module.add("HistoryError", py.get_type::<HistoryError>())?;
    module.add("MqttError", py.get_type::<MqttError>())?;
    module.add("PostgresError", py.get_type::<PostgresError>())?;
    module.add("BrokerError", py.get_type::<BrokerError>())?;
    module.add("HttpError", py.get_type::<HttpError>())
}
