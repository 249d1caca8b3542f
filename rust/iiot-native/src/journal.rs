//! `Journal`: opens, queries and closes the journal.

use crate::copying::CopyProgress;
use crate::decode::Profile;
use crate::devices::{self, DeviceDirectory};
use crate::errors;
use crate::intake::Intake;
use crate::seconds::seconds;
use crate::status::{reject_dict, status_dict};
use iiot_journal::{
    Journal as Core, Options, RecordingSettings, Result, RetrySource, SiteChunk, SourceSettings,
    Supply, SyncMode,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// A chunk of a site: run, number, and the values in their stored form.
type PlainChunk = (String, u64, Cow<'static, [u8]>);

/// The durable log between sources and sinks.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Journal {
    pub core: Arc<Core>,
    filters: std::sync::Mutex<HashMap<String, Option<Vec<String>>>>,
}

fn run<T: Send>(py: Python<'_>, body: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(body).map_err(|e| errors::journal(py, &e))
}

#[pymethods]
impl Journal {
    #[staticmethod]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of the Python signature"
    )]
    #[pyo3(signature = (path, *, sync = "full", max_bytes = 268_435_456, max_age_s = 0.0, max_rejects = 10_000, keep_confirmed_s = 0.0, keep_sinks = false))]
    fn open(
        py: Python<'_>,
        path: &str,
        sync: &str,
        max_bytes: u64,
        max_age_s: f64,
        max_rejects: u64,
        keep_confirmed_s: f64,
        keep_sinks: bool,
    ) -> PyResult<Self> {
        let sync = match sync {
            "full" => SyncMode::Full,
            "normal" => SyncMode::Normal,
            other => {
                return Err(PyValueError::new_err(format!(
                    "sync is {other:?}, expected \"full\" or \"normal\""
                )));
            }
        };
        let max_age = seconds("max_age_s", max_age_s)?;
        let options = Options {
            sync,
            max_bytes,
            max_age: (!max_age.is_zero()).then_some(max_age),
            max_rejects,
            keep_confirmed: seconds("keep_confirmed_s", keep_confirmed_s)?,
            keep_sinks,
        };
        let core = run(py, || Core::open(Path::new(path), &options))?;
        Ok(Self {
            core: Arc::new(core),
            filters: std::sync::Mutex::default(),
        })
    }

    #[staticmethod]
    fn inspect(py: Python<'_>, path: &str) -> PyResult<Py<PyDict>> {
        let status = run(py, || Core::inspect(Path::new(path)))?;
        status_dict(py, &status, None, None)
    }

    #[staticmethod]
    #[pyo3(signature = (path, *, limit = 100))]
    fn inspect_rejects(py: Python<'_>, path: &str, limit: u64) -> PyResult<Vec<Py<PyDict>>> {
        let rejects = run(py, || Core::inspect_rejects(Path::new(path), limit))?;
        rejects.iter().map(|r| reject_dict(py, r)).collect()
    }

    fn notes(&self) -> Vec<String> {
        self.core.notes()
    }

    fn status(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let status = run(py, || self.core.status())?;
        status_dict(py, &status, self.core.stalled(), Some(self.core.id()))
    }

    #[pyo3(signature = (*, limit = 100))]
    fn rejects(&self, py: Python<'_>, limit: u64) -> PyResult<Vec<Py<PyDict>>> {
        let rejects = run(py, || self.core.rejects(limit))?;
        rejects.iter().map(|r| reject_dict(py, r)).collect()
    }

    #[pyo3(signature = (sources, *, ids = None, devices = None))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted by pyo3")]
    fn retry_rejects(
        &self,
        py: Python<'_>,
        sources: HashMap<String, (Py<Profile>, f64)>,
        ids: Option<Vec<i64>>,
        devices: Option<Py<DeviceDirectory>>,
    ) -> PyResult<BTreeMap<&'static str, u64>> {
        let sources = sources
            .iter()
            .map(|(name, (profile, dedup_window_s))| {
                let source = RetrySource {
                    profile: Arc::clone(&profile.get().core),
                    dedup_window: seconds("dedup_window_s", *dedup_window_s)?,
                    devices: devices::core(devices.as_ref()),
                };
                Ok((name.clone(), source))
            })
            .collect::<PyResult<_>>()?;
        let retried = run(py, || self.core.retry_rejects(sources, ids))?;
        Ok(BTreeMap::from([
            ("accepted", retried.accepted),
            ("duplicate", retried.duplicate),
            ("still_rejected", retried.still_rejected),
            ("without_source", retried.without_source),
        ]))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of the Python signature"
    )]
    #[pyo3(signature = (name, *, profile, topic_prefix, tags, dedup_window_s = 3600.0, time_step_us = 1000, replayable = false, max_document_bytes = 65_536, rtt_channel = None))]
    fn add_source(
        &self,
        py: Python<'_>,
        name: &str,
        profile: &Profile,
        topic_prefix: &str,
        tags: BTreeMap<String, String>,
        dedup_window_s: f64,
        time_step_us: u32,
        replayable: bool,
        max_document_bytes: usize,
        rtt_channel: Option<String>,
    ) -> PyResult<Intake> {
        let settings = SourceSettings {
            name: name.to_owned(),
            profile: Arc::clone(&profile.core),
            topic_prefix: topic_prefix.to_owned(),
            tags: tags.into_iter().collect(),
            dedup_window: seconds("dedup_window_s", dedup_window_s)?,
            time_step_us,
            supply: if replayable {
                Supply::Replayable
            } else {
                Supply::Live
            },
            max_document_bytes,
            rtt_channel,
            is_shared: false,
        };
        Ok(Intake::new(run(py, || {
            self.core.add_source(settings, None)
        })?))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of the Python signature"
    )]
    #[pyo3(signature = (name, *, fingerprint, arguments, from_start = false, start_ns = None, profile, topic_prefix, tags, dedup_window_s = 3600.0, time_step_us = 1000, max_document_bytes = 65_536, rtt_channel = None))]
    fn add_recording(
        &self,
        py: Python<'_>,
        name: &str,
        fingerprint: &str,
        arguments: &str,
        from_start: bool,
        start_ns: Option<i64>,
        profile: &Profile,
        topic_prefix: &str,
        tags: BTreeMap<String, String>,
        dedup_window_s: f64,
        time_step_us: u32,
        max_document_bytes: usize,
        rtt_channel: Option<String>,
    ) -> PyResult<Intake> {
        let settings = SourceSettings {
            name: name.to_owned(),
            profile: Arc::clone(&profile.core),
            topic_prefix: topic_prefix.to_owned(),
            tags: tags.into_iter().collect(),
            dedup_window: seconds("dedup_window_s", dedup_window_s)?,
            time_step_us,
            supply: Supply::Replayable,
            max_document_bytes,
            rtt_channel,
            is_shared: false,
        };
        let recording = RecordingSettings {
            fingerprint: fingerprint.to_owned(),
            arguments: arguments.to_owned(),
            from_start,
            start_ns,
        };
        Ok(Intake::new(run(py, || {
            self.core.add_source(settings, Some(recording))
        })?))
    }

    /// The sink itself is made later, by `MqttSink` or `LineSink` of the same name.
    #[pyo3(signature = (name, *, profiles = None))]
    fn add_sink(&self, py: Python<'_>, name: &str, profiles: Option<Vec<String>>) -> PyResult<()> {
        run(py, || self.core.add_sink(name, profiles.clone()).map(drop))?;
        self.filters
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(name.to_owned(), profiles);
        Ok(())
    }

    /// A random id of the journal, in hexadecimal, made together with the journal.
    #[getter]
    fn id(&self) -> &str {
        self.core.id()
    }

    /// The run that this opening began, in hexadecimal.
    #[getter]
    fn run(&self) -> String {
        let runs = self.core.runs();
        runs.present()
            .map_or_else(String::new, |run| run.id.clone())
    }

    /// The values that came from a site: run, position divided by 64, and the values in their stored form.
    #[pyo3(signature = (origin, *, behind = None, limit = 256))]
    fn site_chunks(
        &self,
        py: Python<'_>,
        origin: &str,
        behind: Option<(&str, u64)>,
        limit: u32,
    ) -> PyResult<Vec<PlainChunk>> {
        let chunks = run(py, || self.core.site_chunks(origin, behind, limit))?;
        let plain = |chunk: SiteChunk| (chunk.run, chunk.number, Cow::Owned(chunk.entries));
        Ok(chunks.into_iter().map(plain).collect())
    }

    #[pyo3(signature = (name))]
    fn may_drop(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        run(py, || self.core.may_drop(name))
    }

    fn end(&self, py: Python<'_>, timeout_s: f64) -> PyResult<Option<u64>> {
        let timeout = seconds("timeout_s", timeout_s)?;
        Ok(py.detach(|| self.core.end(timeout)))
    }

    fn behind(&self, py: Python<'_>, position: u64) -> PyResult<Vec<String>> {
        run(py, || self.core.behind(position))
    }

    fn delete_rejects(
        &self,
        py: Python<'_>,
        device_id: &str,
        start_ns: i64,
        stop_ns: i64,
    ) -> PyResult<u64> {
        run(py, || {
            self.core.delete_rejects(device_id, start_ns, stop_ns)
        })
    }

    fn wait_delivered(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let timeout = seconds("timeout_s", timeout_s)?;
        Ok(py.detach(|| self.core.wait_delivered(timeout)))
    }

    fn sync(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let timeout = seconds("timeout_s", timeout_s)?;
        Ok(py.detach(|| self.core.sync(timeout)))
    }

    fn copy_to(&self, py: Python<'_>, path: &str, progress: &CopyProgress) -> PyResult<()> {
        run(py, || self.core.copy_to(Path::new(path), &progress.core))
    }

    #[staticmethod]
    fn copy_file(py: Python<'_>, path: &str, to: &str, progress: &CopyProgress) -> PyResult<()> {
        run(py, || {
            Core::copy_file(Path::new(path), Path::new(to), &progress.core)
        })
    }

    #[pyo3(signature = (timeout_s = 3.0))]
    fn close(&self, py: Python<'_>, timeout_s: f64) -> PyResult<u64> {
        let timeout = seconds("timeout_s", timeout_s)?;
        run(py, || self.core.close(timeout))
    }
}

impl Journal {
    /// Begin a source whose data comes from other classes of this module.
    pub(crate) fn add_core_source(
        &self,
        py: Python<'_>,
        settings: SourceSettings,
    ) -> PyResult<iiot_journal::Intake> {
        run(py, || self.core.add_source(settings, None))
    }

    /// The cursor of a sink that was added.
    pub(crate) fn cursor(&self, py: Python<'_>, name: &str) -> PyResult<iiot_journal::Cursor> {
        let filter = self
            .filters
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(name)
            .cloned();
        let Some(profiles) = filter else {
            return Err(PyValueError::new_err(format!(
                "sink {name} is not known to the journal: call add_sink first"
            )));
        };
        run(py, || self.core.add_sink(name, profiles))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Journal>()?;
    module.add_class::<Intake>()
}
