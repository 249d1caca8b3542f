//! `MqttRecorder`: a consumer whose messages go to a Python function, for `record`.

use crate::errors::MqttError;
use crate::mqtt::{protocol, refused};
use crate::seconds::seconds;
use iiot_mqtt::{
    Arrived, Config, Consumer, ConsumerConfig, Inlet, InletError, Retained, Subscription,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Topic, payload, arrival in nanoseconds since 1970.
type Kept = (Vec<u8>, Vec<u8>, i64);

/// Passes messages on. They are durable when the function has returned.
struct ListenerInlet {
    listener: Py<PyAny>,
    kept: Vec<Kept>,
    ticket: u64,
}

impl ListenerInlet {
    fn keep(&mut self, arrived: &Arrived<'_>) {
        self.kept.push((
            arrived.topic.to_vec(),
            arrived.payload.to_vec(),
            arrived.received_at_ns,
        ));
    }
}

impl Inlet for ListenerInlet {
    fn take(&mut self, arrived: &Arrived<'_>) {
        self.keep(arrived);
    }

    fn skip(&mut self, _: &Arrived<'_>, _: &'static str) {}

    fn refuse_long(&mut self, arrived: &Arrived<'_>) {
        // The beginning of the message shows later why it was refused.
        self.keep(arrived);
    }

    fn forget(&mut self, _: &[u16]) {}

    fn send(&mut self) -> Result<u64, InletError> {
        if self.kept.is_empty() {
            return Ok(self.ticket);
        }
        let kept = std::mem::take(&mut self.kept);
        Python::attach(|py| {
            let messages = kept.iter().map(|(topic, payload, received_at_ns)| {
                (
                    PyBytes::new(py, topic),
                    PyBytes::new(py, payload),
                    *received_at_ns,
                )
            });
            let messages = PyList::new(py, messages.collect::<Vec<_>>())?;
            self.listener.call1(py, (messages,)).map(drop)
        })
        .map_err(|error| InletError(error.to_string()))?;
        self.ticket += 1;
        Ok(self.ticket)
    }

    fn durable(&self) -> u64 {
        self.ticket
    }

    fn has_room(&self) -> bool {
        true
    }

    fn subscribe(&self, _: Arc<dyn Fn() + Send + Sync>) {}

    fn subscribed(&self) -> Result<Vec<String>, InletError> {
        Ok(Vec::new())
    }

    fn set_subscribed(&self, _: &[String]) -> Result<(), InletError> {
        Ok(())
    }

    fn resume_session(&mut self) -> Result<(), InletError> {
        Ok(())
    }

    fn new_session(&self, _: bool) -> Result<(), InletError> {
        Ok(())
    }
}

/// A consumer for `record`. Its session ends with its connection.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct MqttRecorder {
    core: Consumer,
    inlet: Mutex<ListenerInlet>,
}

#[pymethods]
impl MqttRecorder {
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of the Python signature"
    )]
    #[new]
    #[pyo3(signature = (
        listener, *, broker_url, client_id, subscriptions, max_document_bytes = 65_536, protocol = "3.1.1", username = None, password = None,
        ca_file = None, client_cert_file = None, client_key_file = None
    ))]
    fn new(
        listener: Py<PyAny>,
        broker_url: String,
        client_id: String,
        subscriptions: Vec<(String, u8)>,
        max_document_bytes: usize,
        protocol: &str,
        username: Option<String>,
        password: Option<String>,
        ca_file: Option<String>,
        client_cert_file: Option<String>,
        client_key_file: Option<String>,
    ) -> PyResult<Self> {
        let config = Config {
            protocol: self::protocol(protocol)?,
            username,
            password,
            ca_file,
            client_cert_file,
            client_key_file,
            ..Config::new(broker_url, client_id)
        };
        let subscriptions = subscriptions
            .into_iter()
            .map(|(filter, qos)| Subscription { filter, qos });
        let consumer = ConsumerConfig {
            subscriptions: subscriptions.collect(),
            retained: Retained::Ignore,
            session_expiry: Duration::ZERO,
            max_payload_bytes: max_document_bytes,
            receive_maximum: u16::MAX,
            is_counted_for_ever: false,
        };
        Ok(Self {
            core: Consumer::new(config, consumer).map_err(refused)?,
            inlet: Mutex::new(ListenerInlet {
                listener,
                kept: Vec::new(),
                ticket: 0,
            }),
        })
    }

    /// Raises `MqttError` when the connection ends other than by `stop`.
    fn run_connection(&self, py: Python<'_>) -> PyResult<()> {
        let ended = py.detach(|| {
            let mut inlet = self.inlet.lock().unwrap_or_else(PoisonError::into_inner);
            self.core.run_connection(&mut *inlet)
        });
        if ended.kind == iiot_mqtt::EndKind::Stopped {
            return Ok(());
        }
        Err(MqttError::new_err(format!(
            "{}: {}",
            ended.kind, ended.detail
        )))
    }

    #[pyo3(signature = (timeout_s = 1.0))]
    fn stop(&self, timeout_s: f64) -> PyResult<()> {
        self.core.stop(seconds("timeout_s", timeout_s)?);
        Ok(())
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<MqttRecorder>()
}
