//! `SideConnection`: a connection beside a sink's, for messages that belong to no ledger.

use crate::mqtt::{protocol, refused};
use crate::seconds::seconds;
use iiot_mqtt::{Config, Publish};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// A separate connection, which takes messages of subscriptions and sends publishes.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct SideConnection {
    core: iiot_mqtt::SideConnection,
}

/// The connection, its messages (topic, payload, came as retained), refused publishes (topic, reason).
type Received<'py> = (
    u64,
    Vec<(String, Bound<'py, PyBytes>, bool)>,
    Vec<(String, String, u64)>,
);

#[pymethods]
impl SideConnection {
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of the Python signature"
    )]
    #[new]
    #[pyo3(signature = (
        *, broker_url, client_id, subscriptions, protocol = "3.1.1", keep_alive_s = 30.0, ack_timeout_s = 20.0, connect_timeout_s = 10.0,
        username = None, password = None, ca_file = None, client_cert_file = None, client_key_file = None, will_topic = None
    ))]
    fn new(
        broker_url: String,
        client_id: String,
        subscriptions: Vec<String>,
        protocol: &str,
        keep_alive_s: f64,
        ack_timeout_s: f64,
        connect_timeout_s: f64,
        username: Option<String>,
        password: Option<String>,
        ca_file: Option<String>,
        client_cert_file: Option<String>,
        client_key_file: Option<String>,
        will_topic: Option<String>,
    ) -> PyResult<Self> {
        let config = Config {
            protocol: self::protocol(protocol)?,
            keep_alive: seconds("keep_alive_s", keep_alive_s)?,
            ack_timeout: seconds("ack_timeout_s", ack_timeout_s)?,
            connect_timeout: seconds("connect_timeout_s", connect_timeout_s)?,
            username,
            password,
            ca_file,
            client_cert_file,
            client_key_file,
            ..Config::new(broker_url, client_id)
        };
        let mut core = iiot_mqtt::SideConnection::new(config, subscriptions).map_err(refused)?;
        if let Some(topic) = will_topic {
            core = core.with_will(topic).map_err(refused)?;
        }
        Ok(Self { core })
    }

    fn run_connection(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let ended = py.detach(|| self.core.run_connection());
        let entry = PyDict::new(py);
        entry.set_item("kind", ended.kind.as_str())?;
        entry.set_item("detail", ended.detail)?;
        entry.set_item("connected_s", ended.connected.as_secs_f64())?;
        Ok(entry.unbind())
    }

    #[pyo3(signature = (topic, payload, *, retain, only_over = None))]
    fn publish(
        &self,
        topic: String,
        payload: Vec<u8>,
        retain: bool,
        only_over: Option<u64>,
    ) -> bool {
        self.core.publish(Publish {
            topic,
            payload: payload.into(),
            retain,
            only_over,
        })
    }

    fn receive<'py>(&self, py: Python<'py>, known: u64, timeout_s: f64) -> PyResult<Received<'py>> {
        let within = seconds("timeout_s", timeout_s)?;
        let received = py.detach(|| self.core.receive(known, within));
        let messages = received
            .messages
            .into_iter()
            .map(|m| (m.topic, PyBytes::new(py, &m.payload), m.retained))
            .collect();
        let refused = received.refused.into_iter();
        let refused = refused.map(|r| (r.topic, r.reason, r.number));
        Ok((received.connection, messages, refused.collect()))
    }

    fn waiting(&self) -> usize {
        self.core.waiting()
    }

    fn is_waiting(&self, number: u64) -> bool {
        self.core.is_waiting(number)
    }

    #[pyo3(signature = (timeout_s = 0.3))]
    fn stop(&self, timeout_s: f64) -> PyResult<()> {
        self.core.stop(seconds("timeout_s", timeout_s)?);
        Ok(())
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SideConnection>()
}
