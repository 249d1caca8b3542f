//! `Broker`: the built-in MQTT broker.

use crate::consumer::consumed;
use crate::decode::Profile;
use crate::devices::{self, DeviceDirectory};
use crate::errors::BrokerError;
use crate::journal::Journal;
use crate::seconds::seconds;
use iiot_broker::{Broker as Core, Consumer, DeviceAccounts, JournalTaker, Settings, Takers};
use iiot_journal::SourceSettings;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// A running MQTT broker.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Broker {
    core: Core,
}

#[pymethods]
impl Broker {
    #[staticmethod]
    #[expect(
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        reason = "extracted by pyo3: keyword arguments of the Python signature"
    )]
    #[pyo3(signature = (listen, *, path, own_clients = Vec::new(), consumers = Vec::new(), username = None, password = None, devices = None, device_prefix = "iotflow/devices"),
           text_signature = "(listen, *, path, own_clients=(), consumers=(), username=None, password=None, devices=None, device_prefix='iotflow/devices')")]
    fn start(
        py: Python<'_>,
        listen: &str,
        path: String,
        own_clients: Vec<String>,
        consumers: Vec<Py<BrokerConsumer>>,
        username: Option<String>,
        password: Option<String>,
        devices: Option<Py<DeviceDirectory>>,
        device_prefix: &str,
    ) -> PyResult<Self> {
        let listen: SocketAddr = listen.parse().map_err(|_| {
            PyValueError::new_err(format!("listen is {listen:?}, expected ADDRESS:PORT"))
        })?;
        let takers = Takers::default();
        for consumer in &consumers {
            takers.add(Arc::new(JournalTaker(Arc::clone(&consumer.get().core))));
        }
        let settings = Settings {
            listen,
            credentials: username.map(|user| (user, password.unwrap_or_default())),
            own_clients,
            store: path.into(),
            takers,
            devices: devices::core(devices.as_ref()).map(|directory| DeviceAccounts {
                directory,
                prefix: device_prefix.to_owned(),
            }),
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

    fn refused(&self) -> BTreeMap<&'static str, u64> {
        self.core.refused().into_iter().collect()
    }

    fn stop(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let timeout = seconds("timeout_s", timeout_s)?;
        Ok(py.detach(|| self.core.stop(timeout)))
    }
}

/// A consumer of messages from clients of the built-in broker.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct BrokerConsumer {
    core: Arc<Consumer>,
}

#[pymethods]
impl BrokerConsumer {
    #[expect(
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        reason = "extracted by pyo3: keyword arguments of the Python signature"
    )]
    #[new]
    #[pyo3(signature = (journal, name, *, profile, topic_prefix, tags, filters, waits = true, dedup_window_s = 3600.0, max_document_bytes = 65_536, devices = None))]
    fn new(
        py: Python<'_>,
        journal: &Journal,
        name: &str,
        profile: &Profile,
        topic_prefix: &str,
        tags: BTreeMap<String, String>,
        filters: Vec<String>,
        waits: bool,
        dedup_window_s: f64,
        max_document_bytes: usize,
        devices: Option<Py<DeviceDirectory>>,
    ) -> PyResult<Self> {
        let settings = SourceSettings {
            name: name.to_owned(),
            profile: Arc::clone(&profile.core),
            topic_prefix: topic_prefix.to_owned(),
            tags: tags.into_iter().collect(),
            dedup_window: seconds("dedup_window_s", dedup_window_s)?,
            time_step_us: 1000,
            supply: consumed(waits),
            max_document_bytes,
            rtt_channel: None,
            is_shared: false,
        };
        let mut intake = journal.add_core_source(py, settings)?;
        if let Some(devices) = devices::core(devices.as_ref()) {
            intake.set_devices(devices);
        }
        Ok(Self {
            core: Consumer::new(filters, max_document_bytes, intake),
        })
    }

    fn has_room(&self) -> bool {
        self.core.has_room()
    }

    fn stop(&self) {
        self.core.stop();
    }

    fn counts(&self) -> (u64, u64, i64) {
        self.core.counts()
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<BrokerConsumer>()?;
    module.add_class::<Broker>()
}
