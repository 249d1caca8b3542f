//! `HistorySink` and `HistoryReader`: write points to the history file, and query it.

use crate::copying::CopyProgress;
use crate::journal::Journal;
use crate::seconds::seconds;
use crate::{crossings, errors};
use iiot_history::{Error, Feed, FeedError, Function, Limits, Range, Reader, Value, Writer};
use iiot_journal::{Batches, Stop};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyString, PyTuple};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The path of a history sink from the journal to its file.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct HistorySink {
    feed: Mutex<Feed>,
    writer: Mutex<Option<Writer>>,
    /// A deletion or a copy holds this from the moment when it waits for the writer, so that the next delivery waits for it.
    turn: Mutex<()>,
    stop: Stop,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[pymethods]
impl HistorySink {
    #[new]
    fn new(py: Python<'_>, journal: &Journal, name: &str) -> PyResult<Self> {
        let batches = Batches::new(journal.cursor(py, name)?);
        Ok(Self {
            stop: batches.stop(),
            feed: Mutex::new(Feed::new(batches)),
            writer: Mutex::new(None),
            turn: Mutex::new(()),
        })
    }

    #[pyo3(signature = (path, *, max_age_s = 0.0, max_bytes = 0, check = true))]
    fn open(
        &self,
        py: Python<'_>,
        path: &str,
        max_age_s: f64,
        max_bytes: u64,
        check: bool,
    ) -> PyResult<()> {
        let max_age = seconds("max_age_s", max_age_s)?;
        let limits = Limits {
            max_age: (!max_age.is_zero()).then_some(max_age),
            max_bytes,
        };
        let stop = self.stop.clone();
        py.detach(|| {
            let mut writer = lock(&self.writer);
            // The lock of the previous file is released first, because it may be the same file.
            *writer = None;
            *writer = Some(Writer::open(Path::new(path), limits, check, move || {
                stop.is_set()
            })?);
            Ok(())
        })
        .map_err(|e: Error| errors::history(py, &e))
    }

    #[pyo3(signature = (*, max_points, linger_ms, timeout_ms))]
    fn deliver<'py>(
        &self,
        py: Python<'py>,
        max_points: usize,
        linger_ms: u64,
        timeout_ms: u64,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        crossings::count();
        let done = py.detach(|| {
            drop(lock(&self.turn));
            let mut writer = lock(&self.writer);
            let Some(writer) = writer.as_mut() else {
                return Ok(None);
            };
            lock(&self.feed).deliver(
                writer,
                max_points,
                Duration::from_millis(linger_ms),
                Duration::from_millis(timeout_ms),
            )
        });
        let delivered = match done {
            Ok(Some(delivered)) => delivered,
            Ok(None) => return Ok(None),
            Err(FeedError::Journal(error)) => return Err(errors::journal(py, &error)),
            Err(FeedError::History(error)) => return Err(errors::history(py, &error)),
        };
        let dict = PyDict::new(py);
        dict.set_item("frames", delivered.frames)?;
        dict.set_item("inserted", delivered.stored.inserted)?;
        dict.set_item("replaced", delivered.stored.replaced)?;
        dict.set_item("unchanged", delivered.stored.unchanged)?;
        dict.set_item("pruned", delivered.stored.pruned)?;
        Ok(Some(dict))
    }

    fn size<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let size = py
            .detach(|| lock(&self.writer).as_ref().map(Writer::size).transpose())
            .map_err(|e| errors::history(py, &e))?;
        let Some(size) = size else {
            return Ok(None);
        };
        let dict = PyDict::new(py);
        dict.set_item("series", size.series)?;
        dict.set_item("points", size.points)?;
        dict.set_item("bytes", size.bytes)?;
        Ok(Some(dict))
    }

    fn delete(
        &self,
        py: Python<'_>,
        device_id: &str,
        start_ns: i64,
        stop_ns: i64,
    ) -> PyResult<Option<u64>> {
        py.detach(|| {
            let _turn = lock(&self.turn);
            let mut writer = lock(&self.writer);
            let Some(writer) = writer.as_mut() else {
                return Ok(None);
            };
            let tag = ("device_id", device_id);
            writer
                .delete(tag, start_ns, stop_ns, || self.stop.is_set())
                .map(Some)
        })
        .map_err(|e| errors::history(py, &e))
    }

    fn copy_to(&self, py: Python<'_>, path: &str, progress: &CopyProgress) -> PyResult<bool> {
        py.detach(|| {
            let _turn = lock(&self.turn);
            let writer = lock(&self.writer);
            let Some(writer) = writer.as_ref() else {
                return Ok(false);
            };
            let ended = || self.stop.is_set();
            writer
                .copy_to(Path::new(path), &progress.core, ended)
                .map(|()| true)
        })
        .map_err(|e| errors::journal(py, &e))
    }

    fn cancel(&self) {
        self.stop.set();
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| *lock(&self.writer) = None);
    }
}

/// A connection that only reads.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct HistoryReader {
    core: Reader,
}

#[pymethods]
impl HistoryReader {
    #[new]
    fn new(py: Python<'_>, path: &str) -> PyResult<Self> {
        py.detach(|| Reader::open(Path::new(path)))
            .map(|core| Self { core })
            .map_err(|e| errors::history(py, &e))
    }

    fn series<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let all = py
            .detach(|| self.core.series())
            .map_err(|e| errors::history(py, &e))?;
        all.into_iter()
            .map(|series| {
                let tags = PyDict::new(py);
                for (key, value) in series.tags {
                    tags.set_item(key, value)?;
                }
                let dict = PyDict::new(py);
                dict.set_item("id", series.id)?;
                dict.set_item("measurement", series.measurement)?;
                dict.set_item("tags", tags)?;
                dict.set_item("field", series.field)?;
                dict.set_item("topic", series.topic)?;
                dict.set_item("first_ns", series.first_ns)?;
                dict.set_item("last_ns", series.last_ns)?;
                dict.set_item("points", series.points)?;
                Ok(dict)
            })
            .collect()
    }

    #[pyo3(signature = (ids = None))]
    #[expect(clippy::needless_pass_by_value, reason = "made of the Python list")]
    fn last<'py>(
        &self,
        py: Python<'py>,
        ids: Option<Vec<i64>>,
    ) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let all = py
            .detach(|| self.core.last(ids.as_deref()))
            .map_err(|e| errors::history(py, &e))?;
        all.into_iter()
            .map(|last| {
                let dict = PyDict::new(py);
                dict.set_item("id", last.id)?;
                dict.set_item("time_ns", last.time_ns)?;
                dict.set_item("value", last.value.text())?;
                dict.set_item("typed", typed(py, &last.value)?)?;
                Ok(dict)
            })
            .collect()
    }

    #[pyo3(signature = (id, start_ns, end_ns, *, every_ns = 0, agg = "mean", limit = 100_000, timeout_s = 0.0))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn range(
        &self,
        py: Python<'_>,
        id: i64,
        start_ns: i64,
        end_ns: i64,
        every_ns: i64,
        agg: &str,
        limit: usize,
        timeout_s: f64,
    ) -> PyResult<(Vec<i64>, Vec<Option<f64>>)> {
        let timeout = seconds("timeout_s", timeout_s)?;
        let function = Function::named(agg).ok_or_else(|| {
            let names = Function::ALL.map(|(name, _)| name).join(", ");
            PyValueError::new_err(format!("agg is {agg:?}, expected one of {names}"))
        })?;
        let range = Range {
            start_ns,
            end_ns,
            every_ns,
            function,
            limit,
            timeout: (!timeout.is_zero()).then_some(timeout),
        };
        py.detach(|| self.core.range(id, &range))
            .map_err(|e| errors::history(py, &e))
    }

    #[pyo3(signature = (id, start_ns, end_ns, *, limit = 100_000))]
    fn texts(
        &self,
        py: Python<'_>,
        id: i64,
        start_ns: i64,
        end_ns: i64,
        limit: usize,
    ) -> PyResult<(Vec<i64>, Vec<String>)> {
        py.detach(|| self.core.texts(id, start_ns, end_ns, limit))
            .map_err(|e| errors::history(py, &e))
    }

    #[pyo3(signature = (id, start_ns, end_ns, *, limit = 100_000))]
    fn values<'py>(
        &self,
        py: Python<'py>,
        id: i64,
        start_ns: i64,
        end_ns: i64,
        limit: usize,
    ) -> PyResult<(Vec<i64>, Vec<Bound<'py, PyAny>>)> {
        let (times, values) = py
            .detach(|| self.core.values(id, start_ns, end_ns, limit))
            .map_err(|e| errors::history(py, &e))?;
        let values = values.iter().map(|value| typed(py, value));
        Ok((times, values.collect::<PyResult<_>>()?))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.core.close());
    }
}

/// A value as a Python object. A number without point and exponent is an int.
fn typed<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    let whole = match value {
        Value::Bool(value) => return Ok(PyBool::new(py, *value).to_owned().into_any()),
        Value::Text(text) => return Ok(PyString::new(py, text).into_any()),
        Value::Decimal { mantissa, scale: 0 } => return Ok(mantissa.into_pyobject(py)?.into_any()),
        Value::Decimal { .. } => None,
        Value::Number(text) => text.parse::<i128>().ok(),
    };
    Ok(match whole {
        Some(whole) => whole.into_pyobject(py)?.into_any(),
        None => PyFloat::new(py, value.number().unwrap_or(f64::NAN)).into_any(),
    })
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let names = PyTuple::new(module.py(), Function::ALL.map(|(name, _)| name))?;
    module.add("AGGREGATES", names)?;
    module.add_class::<HistorySink>()?;
    module.add_class::<HistoryReader>()
}
