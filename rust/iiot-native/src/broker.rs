//! `Broker`: the built-in MQTT broker.

use crate::errors::BrokerError;
use crate::journal::seconds;
use iiot_broker::{Broker as Core, Settings};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::net::SocketAddr;

/// A running MQTT broker.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Broker {
    core: Core,
}

#[pymethods]
impl Broker {
    #[staticmethod]
    #[pyo3(signature = (listen, *, path, own_clients = Vec::new(), username = None, password = None),
           text_signature = "(listen, *, path, own_clients=(), username=None, password=None)")]
    fn start(
        py: Python<'_>,
        listen: &str,
        path: String,
        own_clients: Vec<String>,
        username: Option<String>,
        password: Option<String>,
    ) -> PyResult<Self> {
        let listen: SocketAddr = listen.parse().map_err(|_| {
            PyValueError::new_err(format!("listen is {listen:?}, expected ADDRESS:PORT"))
        })?;
        let settings = Settings {
            listen,
            credentials: username.map(|user| (user, password.unwrap_or_default())),
            own_clients,
            store: path.into(),
        };
        let core = py
            .detach(|| Core::start(settings))
            .map_err(|error| BrokerError::new_err(error.to_string()))?;
        Ok(Self { core })
    }

    #[getter]
    fn port(&self) -> u16 {
        self.core.address().port()
    }

    fn has_ended(&self) -> bool {
        self.core.has_ended()
    }

    fn end_reason(&self) -> Option<String> {
        self.core.end_reason()
    }

    fn not_stored(&self) -> u64 {
        self.core.not_stored()
    }

    fn stop(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let timeout = seconds("timeout_s", timeout_s)?;
        Ok(py.detach(|| self.core.stop(timeout)))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Broker>()
}
