//! `Posts`: puts messages of HTTP clients into the journal and returns their outcomes, with one call per batch.

use crate::crossings;
use crate::decode::Profile;
use crate::errors;
use crate::journal::Journal;
use crate::seconds::seconds;
use iiot_core::{device_snapshot, time_format};
use iiot_journal::{Post, Posts as Core, PostsSettings, SourceSettings, Supply};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Topic, document, device id, snapshot of the device, message id, arrival in Unix nanoseconds.
type PostArgument = (
    Option<PyBackedStr>,
    PyBackedBytes,
    PyBackedStr,
    PyBackedBytes,
    Option<PyBackedBytes>,
    i64,
);

/// The ticket, and the outcome and detail of each message.
type Result = (u64, Vec<(&'static str, String)>);

struct Inner {
    core: Core,
    /// The end to which a byte is written, as long as results are wanted.
    bell: Mutex<Option<UnixStream>>,
}

impl Inner {
    /// Make the other end readable if there are results.
    fn ring(&self) {
        if self.core.has_results()
            && let Some(bell) = lock(&self.bell).as_mut()
        {
            // If the pipe is full, the other end is readable anyway.
            let _ = bell.write(&[1]);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The source of HTTP clients in the journal.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Posts {
    inner: Arc<Inner>,
    listening: Mutex<Option<UnixStream>>,
}

#[pymethods]
impl Posts {
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of the Python signature"
    )]
    #[new]
    #[pyo3(signature = (
        journal, name, *, profile, topic_prefix, tags, dedup_window_s = 3600.0, message_id_window_s = 900.0, max_message_ids = 2_000_000, max_document_bytes = 65_536
    ))]
    fn new(
        py: Python<'_>,
        journal: &Journal,
        name: &str,
        profile: &Profile,
        topic_prefix: &str,
        tags: BTreeMap<String, String>,
        dedup_window_s: f64,
        message_id_window_s: f64,
        max_message_ids: usize,
        max_document_bytes: usize,
    ) -> PyResult<Self> {
        let settings = PostsSettings {
            source: SourceSettings {
                name: name.to_owned(),
                profile: Arc::clone(&profile.core),
                topic_prefix: topic_prefix.to_owned(),
                tags: tags.into_iter().collect(),
                dedup_window: seconds("dedup_window_s", dedup_window_s)?,
                time_step_us: 1000,
                supply: Supply::Waiting,
                max_document_bytes,
                rtt_channel: None,
                is_shared: false,
            },
            message_id_window: seconds("message_id_window_s", message_id_window_s)?,
            max_message_ids,
        };
        let (bell, listening) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        listening.set_nonblocking(true)?;
        let core = py
            .detach(|| journal.core.add_posts(settings))
            .map_err(|e| errors::journal(py, &e))?;
        let inner = Arc::new(Inner {
            core,
            bell: Mutex::new(Some(bell)),
        });
        let woken = Arc::downgrade(&inner);
        inner.core.subscribe(Arc::new(move || {
            if let Some(inner) = woken.upgrade() {
                inner.ring();
            }
        }));
        Ok(Self {
            inner,
            listening: Mutex::new(Some(listening)),
        })
    }

    #[expect(clippy::needless_pass_by_value, reason = "extracted by pyo3")]
    fn post(&self, py: Python<'_>, messages: Vec<PostArgument>) -> PyResult<u64> {
        crossings::count();
        if messages.is_empty() {
            return Err(PyValueError::new_err("there is no message"));
        }
        py.detach(|| {
            let posts: Vec<Post<'_>> = messages.iter().map(post).collect();
            let ticket = self.inner.core.post(&posts);
            // The batch may already be synced.
            self.inner.ring();
            ticket
        })
        .map_err(|e| errors::journal(py, &e))
    }

    fn fileno(&self) -> PyResult<RawFd> {
        lock(&self.listening)
            .as_ref()
            .map(AsRawFd::as_raw_fd)
            .ok_or_else(|| PyValueError::new_err("it is closed"))
    }

    fn results(&self, py: Python<'_>) -> Vec<Result> {
        crossings::count();
        py.detach(|| {
            if let Some(listening) = lock(&self.listening).as_mut() {
                let mut room = [0; 64];
                // Results that come after this make the descriptor readable again.
                while listening.read(&mut room).is_ok_and(|length| length > 0) {}
            }
            let answered = self.inner.core.results().into_iter();
            answered
                .map(|(ticket, outcomes)| {
                    let outcomes = outcomes.into_iter();
                    let outcomes = outcomes.map(|(outcome, detail)| (outcome.name(), detail));
                    (ticket, outcomes.collect())
                })
                .collect()
        })
    }

    fn has_room(&self) -> bool {
        self.inner.core.has_room()
    }

    fn counts(&self) -> (u64, u64, i64) {
        self.inner.core.counts()
    }

    fn close(&self) {
        lock(&self.inner.bell).take();
        lock(&self.listening).take();
    }
}

fn post(argument: &PostArgument) -> Post<'_> {
    let (topic, document, device_id, device, message_id, received_at_ns) = argument;
    Post {
        topic: topic.as_ref().map(|topic| topic.as_bytes()),
        document,
        device_id,
        device: (!device.is_empty()).then_some(&**device),
        message_id: message_id.as_deref(),
        received_at_ns: *received_at_ns,
    }
}

#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "extracted by pyo3")]
fn device_tags(py: Python<'_>, tags: BTreeMap<String, String>) -> PyResult<Bound<'_, PyBytes>> {
    let tags: Vec<(&str, &str)> = tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let snapshot =
        device_snapshot(&tags).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyBytes::new(py, &snapshot))
}

#[pyfunction]
fn read_time(text: &[u8]) -> Option<i64> {
    time_format::read_auto(text)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(device_tags, module)?)?;
    module.add_function(wrap_pyfunction!(read_time, module)?)?;
    module.add_class::<Posts>()
}
