//! `MqttSink`: one call per connection.

use crate::crossings;
use crate::errors::MqttError;
use crate::journal::Journal;
use crate::seconds::seconds;
use iiot_journal::Batches;
use iiot_mqtt::{Backlog, Config, ConfigError, Protocol, Sink};
use iiot_sinks::publishes::JournalQueue;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Mutex, PoisonError};

/// The MQTT client and its place in the journal.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct MqttSink {
    core: Sink,
    queue: Mutex<JournalQueue>,
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
pub(crate) fn refused(error: ConfigError) -> PyErr {
    MqttError::new_err(error.to_string())
}

pub(crate) fn protocol(name: &str) -> PyResult<Protocol> {
    match name {
        "3.1.1" => Ok(Protocol::V311),
        "5" => Ok(Protocol::V5),
        other => Err(PyValueError::new_err(format!(
            "protocol is {other:?}, expected \"3.1.1\" or \"5\""
        ))),
    }
}

#[pymethods]
impl MqttSink {
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of the Python signature"
    )]
    #[new]
    #[pyo3(signature = (
        journal, name, *, broker_url, client_id, availability_topic, health_topic, own_topics = Vec::new(), protocol = "3.1.1", qos = 1,
        backlog = "replay", keep_alive_s = 30.0, ack_timeout_s = 20.0, connect_timeout_s = 10.0, inflight = 1000, max_topics = 100_000, username = None,
        password = None, ca_file = None, client_cert_file = None, client_key_file = None
    ), text_signature = "(journal, name, *, broker_url, client_id, availability_topic, health_topic, own_topics=(), protocol='3.1.1', qos=1, backlog='replay', keep_alive_s=30.0, ack_timeout_s=20.0, connect_timeout_s=10.0, inflight=1000, max_topics=100000, username=None, password=None, ca_file=None, client_cert_file=None, client_key_file=None)")]
    fn new(
        py: Python<'_>,
        journal: &Journal,
        name: &str,
        broker_url: String,
        client_id: String,
        availability_topic: String,
        health_topic: String,
        own_topics: Vec<String>,
        protocol: &str,
        qos: u8,
        backlog: &str,
        keep_alive_s: f64,
        ack_timeout_s: f64,
        connect_timeout_s: f64,
        inflight: u16,
        max_topics: u32,
        username: Option<String>,
        password: Option<String>,
        ca_file: Option<String>,
        client_cert_file: Option<String>,
        client_key_file: Option<String>,
    ) -> PyResult<Self> {
        let backlog = match backlog {
            "replay" => Backlog::Replay,
            "latest" => Backlog::Latest,
            other => {
                return Err(PyValueError::new_err(format!(
                    "backlog is {other:?}, expected \"replay\" or \"latest\""
                )));
            }
        };
        let config = Config {
            availability_topic,
            health_topic,
            own_topics,
            protocol: self::protocol(protocol)?,
            qos,
            backlog,
            keep_alive: seconds("keep_alive_s", keep_alive_s)?,
            ack_timeout: seconds("ack_timeout_s", ack_timeout_s)?,
            connect_timeout: seconds("connect_timeout_s", connect_timeout_s)?,
            inflight,
            max_topics,
            username,
            password,
            ca_file,
            client_cert_file,
            client_key_file,
            ..Config::new(broker_url, client_id)
        };
        let core = Sink::new(config).map_err(refused)?;
        Ok(Self {
            core,
            queue: Mutex::new(JournalQueue::new(
                Batches::new(journal.cursor(py, name)?),
                journal.core.id().to_owned(),
                journal.core.runs(),
            )),
        })
    }

    fn run_connection(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        crossings::count();
        let ended = py.detach(|| {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            self.core.run_connection(&mut *queue)
        });
        let entry = PyDict::new(py);
        entry.set_item("kind", ended.kind.as_str())?;
        entry.set_item("detail", ended.detail)?;
        entry.set_item("connected_s", ended.connected.as_secs_f64())?;
        entry.set_item("delivered", ended.delivered)?;
        entry.set_item("again", ended.again)?;
        entry.set_item("answered", ended.answered)?;
        Ok(entry.unbind())
    }

    fn is_answering(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let within = seconds("timeout_s", timeout_s)?;
        Ok(py.detach(|| self.core.is_answering(within)))
    }

    #[pyo3(signature = (timeout_s = 3.0))]
    fn stop(&self, timeout_s: f64) -> PyResult<()> {
        self.core.stop(seconds("timeout_s", timeout_s)?);
        Ok(())
    }

    fn publish_health(&self, payload: Vec<u8>) {
        self.core.publish_health(payload);
    }

    fn refusal(&self, topic: &str) -> Option<String> {
        self.core.refusal(topic)
    }

    fn state(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let state = self.core.state();
        let entry = PyDict::new(py);
        entry.set_item("state", state.phase.as_str())?;
        entry.set_item("in_flight", state.in_flight)?;
        entry.set_item("late", state.late)?;
        entry.set_item("refreshed", state.refreshed)?;
        entry.set_item("publishes", state.publishes)?;
        entry.set_item("unlisted", state.unlisted)?;
        entry.set_item("suspects", state.suspects)?;
        entry.set_item("rejects", state.rejects)?;
        entry.set_item("last_reject", state.last_reject)?;
        entry.set_item("limits", state.limits)?;
        entry.set_item("last_error", state.last_error)?;
        Ok(entry.unbind())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of the Python signature"
    )]
    #[staticmethod]
    #[pyo3(signature = (
        *, broker_url, client_id, topic, filter = None, protocol = "3.1.1", username = None, password = None, ca_file = None, client_cert_file = None,
        client_key_file = None, timeout_s = 10.0
    ))]
    fn probe(
        py: Python<'_>,
        broker_url: String,
        client_id: String,
        topic: &str,
        filter: Option<&str>,
        protocol: &str,
        username: Option<String>,
        password: Option<String>,
        ca_file: Option<String>,
        client_cert_file: Option<String>,
        client_key_file: Option<String>,
        timeout_s: f64,
    ) -> PyResult<Py<PyDict>> {
        let config = Config {
            protocol: self::protocol(protocol)?,
            username,
            password,
            ca_file,
            client_cert_file,
            client_key_file,
            ..Config::new(broker_url, client_id)
        };
        let timeout = seconds("timeout_s", timeout_s)?;
        let report = py
            .detach(|| iiot_mqtt::probe(config, topic, filter.unwrap_or(topic), timeout))
            .map_err(refused)?;
        let entry = PyDict::new(py);
        entry.set_item("ok", report.failed.is_none())?;
        entry.set_item("step", report.failed.map(iiot_mqtt::ProbeStep::as_str))?;
        entry.set_item("kind", report.kind.map(iiot_mqtt::EndKind::as_str))?;
        entry.set_item("detail", report.detail)?;
        Ok(entry.unbind())
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<MqttSink>()
}
