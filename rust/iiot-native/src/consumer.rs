//! `MqttConsumer`: one call per connection; messages go into the journal.

use crate::crossings;
use crate::decode::Profile;
use crate::devices::{self, DeviceDirectory};
use crate::journal::Journal;
use crate::mqtt::{protocol, refused};
use crate::seconds::seconds;
use iiot_journal::{Delivery, Intake, Message, Redelivery, SiteMark, SourceSettings, Supply};
use iiot_mqtt::{
    Arrived, Config, Consumer, ConsumerConfig, Inlet, InletError, Retained, Subscription,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a wait for room checks again.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The journal's side of a consumer.
struct JournalInlet {
    intake: Intake,
    redelivery: Redelivery,
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn inlet_error(error: iiot_journal::Error) -> InletError {
    InletError(error.to_string())
}

fn message<'a>(arrived: &Arrived<'a>) -> Message<'a> {
    Message {
        topic: Some(arrived.topic),
        device: None,
        document: arrived.payload,
        received_at_ns: arrived.received_at_ns,
        delivery: Some(Delivery {
            packet_id: arrived.packet_id,
            again: arrived.again,
            retained: arrived.retained,
        }),
        mark: arrived.mark.map(|mark| SiteMark {
            origin: mark.identity.origin,
            run: mark.identity.run,
            position: mark.position,
            place: (mark.place.point, mark.place.field),
            time_ns: mark.time_ns,
        }),
    }
}

impl Inlet for JournalInlet {
    fn take(&mut self, arrived: &Arrived<'_>) {
        self.intake.take_message(&message(arrived));
    }

    fn skip(&mut self, arrived: &Arrived<'_>, why: &'static str) {
        self.intake.skip_message(&message(arrived), why);
    }

    fn refuse_long(&mut self, arrived: &Arrived<'_>) {
        self.intake
            .refuse_long_message(&message(arrived), arrived.payload_bytes);
    }

    fn forget(&mut self, packet_ids: &[u16]) {
        self.intake.forget(packet_ids);
    }

    fn send(&mut self) -> Result<u64, InletError> {
        self.intake.send_messages().map_err(inlet_error)
    }

    fn durable(&self) -> u64 {
        self.intake.synced_ticket()
    }

    fn has_room(&self) -> bool {
        self.intake.has_room()
    }

    fn subscribe(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.intake.subscribe(wake);
    }

    fn subscribed(&self) -> Result<Vec<String>, InletError> {
        self.intake.subscribed().map_err(inlet_error)
    }

    fn set_subscribed(&self, filters: &[String]) -> Result<(), InletError> {
        self.intake.set_subscribed(filters).map_err(inlet_error)
    }

    fn resume_session(&mut self) -> Result<(), InletError> {
        let redelivery = self.redelivery;
        self.intake.resume_session(redelivery).map_err(inlet_error)
    }

    fn new_session(&self, lost: bool) -> Result<(), InletError> {
        self.intake.new_session(lost).map_err(inlet_error)
    }
}

/// How a source of a broker's messages behaves without room in the journal.
pub(crate) fn consumed(waits: bool) -> Supply {
    if waits {
        Supply::Waiting
    } else {
        Supply::Replayable
    }
}

/// A consumer and its place in the journal.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct MqttConsumer {
    core: Consumer,
    inlet: Mutex<JournalInlet>,
}

#[pymethods]
impl MqttConsumer {
    #[expect(
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        reason = "extracted by pyo3: keyword arguments of the Python signature"
    )]
    #[new]
    #[pyo3(signature = (
        journal, name, *, profile, topic_prefix, tags, broker_url, client_id, subscriptions, retained = "ignore", redelivery = "marked", waits = true,
        session_expiry_s = 86_400.0, dedup_window_s = 3600.0, max_document_bytes = 65_536, protocol = "3.1.1", keep_alive_s = 30.0, ack_timeout_s = 20.0,
        connect_timeout_s = 10.0, receive_maximum = 65_535, is_shared = false, username = None, password = None, ca_file = None, client_cert_file = None, client_key_file = None, devices = None
    ))]
    fn new(
        py: Python<'_>,
        journal: &Journal,
        name: &str,
        profile: &Profile,
        topic_prefix: &str,
        tags: BTreeMap<String, String>,
        broker_url: String,
        client_id: String,
        subscriptions: Vec<(String, u8)>,
        retained: &str,
        redelivery: &str,
        waits: bool,
        session_expiry_s: f64,
        dedup_window_s: f64,
        max_document_bytes: usize,
        protocol: &str,
        keep_alive_s: f64,
        ack_timeout_s: f64,
        connect_timeout_s: f64,
        receive_maximum: u16,
        is_shared: bool,
        username: Option<String>,
        password: Option<String>,
        ca_file: Option<String>,
        client_cert_file: Option<String>,
        client_key_file: Option<String>,
        devices: Option<Py<DeviceDirectory>>,
    ) -> PyResult<Self> {
        let retained = match retained {
            "ignore" => Retained::Ignore,
            "take" => Retained::Take,
            other => {
                return Err(PyValueError::new_err(format!(
                    "retained is {other:?}, expected \"ignore\" or \"take\""
                )));
            }
        };
        let redelivery = match redelivery {
            "marked" => Redelivery::Marked,
            "unmarked" => Redelivery::Unmarked,
            other => {
                return Err(PyValueError::new_err(format!(
                    "redelivery is {other:?}, expected \"marked\" or \"unmarked\""
                )));
            }
        };
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
        let subscriptions = subscriptions
            .into_iter()
            .map(|(filter, qos)| Subscription { filter, qos });
        let consumer = ConsumerConfig {
            subscriptions: subscriptions.collect(),
            retained,
            session_expiry: seconds("session_expiry_s", session_expiry_s)?,
            max_payload_bytes: max_document_bytes,
            receive_maximum,
            is_counted_for_ever: redelivery == Redelivery::Unmarked,
        };
        let core = Consumer::new(config, consumer).map_err(refused)?;
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
            is_shared,
        };
        let mut intake = journal.add_core_source(py, settings)?;
        if let Some(devices) = devices::core(devices.as_ref()) {
            intake.set_devices(devices);
        }
        let inlet = JournalInlet { intake, redelivery };
        core.attach(&inlet);
        Ok(Self {
            core,
            inlet: Mutex::new(inlet),
        })
    }

    fn run_connection(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        crossings::count();
        let ended = py.detach(|| {
            let mut inlet = self.inlet.lock().unwrap_or_else(PoisonError::into_inner);
            self.core.run_connection(&mut *inlet)
        });
        let entry = PyDict::new(py);
        entry.set_item("kind", ended.kind.as_str())?;
        entry.set_item("detail", ended.detail)?;
        entry.set_item("subscribed_s", ended.subscribed.as_secs_f64())?;
        Ok(entry.unbind())
    }

    fn wait_room(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let timeout = seconds("timeout_s", timeout_s)?;
        Ok(py.detach(|| {
            let until = Instant::now() + timeout;
            loop {
                let inlet = self.inlet.lock().unwrap_or_else(PoisonError::into_inner);
                let has_room = inlet.has_room();
                drop(inlet);
                if has_room || Instant::now() >= until {
                    return has_room;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }))
    }

    #[pyo3(signature = (timeout_s = 3.0))]
    fn stop(&self, timeout_s: f64) -> PyResult<()> {
        self.core.stop(seconds("timeout_s", timeout_s)?);
        Ok(())
    }

    fn retire(&self) {
        self.core.retire();
    }

    fn state(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let state = self.core.state();
        let entry = PyDict::new(py);
        entry.set_item("state", state.phase.as_str())?;
        entry.set_item("messages", state.messages)?;
        entry.set_item("payload_bytes", state.payload_bytes)?;
        entry.set_item("last_message_ns", state.last_message_ns)?;
        entry.set_item("unacknowledged", state.unacknowledged)?;
        entry.set_item("refused", state.refused)?;
        entry.set_item("limits", state.limits)?;
        entry.set_item("sessions_lost", state.sessions_lost)?;
        Ok(entry.unbind())
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<MqttConsumer>()
}
