//! Commands to sensor nodes: signing them, and checking answers.

use iiot_proto::mac::Key;
use iiot_proto::packet::{Action, Answer, Command};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

fn key(bytes: &[u8]) -> PyResult<Key> {
    let bytes = bytes
        .try_into()
        .map_err(|_| PyValueError::new_err("a key has 16 bytes"))?;
    Ok(Key::new(bytes))
}

#[pyfunction]
#[pyo3(signature = (key, *, node, boot, until_seq, counter, action, value))]
#[expect(
    clippy::too_many_arguments,
    reason = "keyword arguments of the Python signature"
)]
fn sign_command<'py>(
    py: Python<'py>,
    key: &[u8],
    node: u8,
    boot: u16,
    until_seq: u16,
    counter: u32,
    action: &str,
    value: u16,
) -> PyResult<Bound<'py, PyBytes>> {
    let action = match action {
        "interval_s" => Action::SetInterval { interval_s: value },
        "led" => Action::SetLed { on: value != 0 },
        "reboot" => Action::Reboot,
        other => {
            return Err(PyValueError::new_err(format!(
                "action is {other:?}, expected interval_s, led or reboot"
            )));
        }
    };
    let command = Command::sign(&self::key(key)?, node, boot, until_seq, counter, action);
    Ok(PyBytes::new(py, &command.to_payload()))
}

#[pyfunction]
#[pyo3(signature = (key, *, node, payload))]
fn read_answer(
    py: Python<'_>,
    key: &[u8],
    node: u8,
    payload: &[u8],
) -> PyResult<Option<Py<PyDict>>> {
    let key = self::key(key)?;
    let Ok(answer) = Answer::from_payload(payload) else {
        return Ok(None);
    };
    if !answer.is_genuine(&key, node) {
        return Ok(None);
    }
    let entry = PyDict::new(py);
    entry.set_item("counter", answer.counter)?;
    entry.set_item("outcome", answer.outcome.name())?;
    entry.set_item("value", answer.value)?;
    Ok(Some(entry.unbind()))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sign_command, module)?)?;
    module.add_function(wrap_pyfunction!(read_answer, module)?)
}
