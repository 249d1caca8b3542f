//! Commands to sensor nodes: signing them, checking answers, and the connection over which they are asked for.

use crate::errors::MqttError;
use crate::journal::seconds;
use crate::mqtt::protocol;
use iiot_mqtt::Config;
use iiot_proto::mac::Key;
use iiot_proto::packet::{Action, Answer, Command};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// A connection of its own to a broker: messages in, answers out.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Mailbox {
    core: iiot_mqtt::Mailbox,
}

#[pymethods]
impl Mailbox {
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of the Python signature"
    )]
    #[new]
    #[pyo3(signature = (
        filters, *, broker_url, client_id, protocol = "3.1.1", keep_alive_s = 30.0, connect_timeout_s = 10.0, username = None, password = None,
        ca_file = None, client_cert_file = None, client_key_file = None
    ))]
    fn new(
        filters: Vec<String>,
        broker_url: String,
        client_id: String,
        protocol: &str,
        keep_alive_s: f64,
        connect_timeout_s: f64,
        username: Option<String>,
        password: Option<String>,
        ca_file: Option<String>,
        client_cert_file: Option<String>,
        client_key_file: Option<String>,
    ) -> PyResult<Self> {
        let config = Config {
            protocol: self::protocol(protocol)?,
            keep_alive: seconds("keep_alive_s", keep_alive_s)?,
            connect_timeout: seconds("connect_timeout_s", connect_timeout_s)?,
            username,
            password,
            ca_file,
            client_cert_file,
            client_key_file,
            ..Config::new(broker_url, client_id)
        };
        let core = iiot_mqtt::Mailbox::new(config, filters)
            .map_err(|error| MqttError::new_err(error.to_string()))?;
        Ok(Self { core })
    }

    fn run_connection(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let (kind, detail) = py.detach(|| self.core.run_connection());
        let entry = PyDict::new(py);
        entry.set_item("kind", kind.as_str())?;
        entry.set_item("detail", detail)?;
        Ok(entry.unbind())
    }

    fn receive<'py>(
        &self,
        py: Python<'py>,
        timeout_s: f64,
    ) -> PyResult<Vec<(String, Bound<'py, PyBytes>, bool)>> {
        let timeout = seconds("timeout_s", timeout_s)?;
        let letters = py.detach(|| self.core.receive(timeout));
        Ok(letters
            .into_iter()
            .map(|letter| {
                (
                    letter.topic,
                    PyBytes::new(py, &letter.payload),
                    letter.retained,
                )
            })
            .collect())
    }

    #[pyo3(signature = (topic, payload, *, retain = false))]
    fn post(&self, topic: &str, payload: Vec<u8>, retain: bool) -> bool {
        self.core.post(topic, payload, retain)
    }

    fn take_refused(&self) -> Option<String> {
        self.core.take_refused()
    }

    fn stop(&self) {
        self.core.stop();
    }
}

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
    module.add_class::<Mailbox>()?;
    module.add_function(wrap_pyfunction!(sign_command, module)?)?;
    module.add_function(wrap_pyfunction!(read_answer, module)?)
}
