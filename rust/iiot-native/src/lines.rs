//! `LineSink` and `LineBatch`: lines for a database or a pipe.

use crate::journal::Journal;
use crate::{crossings, errors};
use iiot_core::Integers;
use iiot_http::Gzipped;
use iiot_journal::{Batches, Confirmations, Stop};
use iiot_sinks::lines::{LineFormat, LineLimits, LineReader, Lines};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A database sink's reader: lines of the frames behind its cursor.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct LineSink {
    reader: Mutex<LineReader>,
    confirmations: Arc<Confirmations>,
    stop: Stop,
}

/// Lines of consecutive frames.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct LineBatch {
    pub core: Arc<Lines>,
}

#[pymethods]
impl LineSink {
    #[new]
    #[pyo3(signature = (journal, name, *, format = "influx", integers = "typed"))]
    fn new(
        py: Python<'_>,
        journal: &Journal,
        name: &str,
        format: &str,
        integers: &str,
    ) -> PyResult<Self> {
        let format = match (format, integers) {
            ("influx", "typed") => LineFormat::Influx(Integers::Typed),
            ("influx", "float") => LineFormat::Influx(Integers::AsFloats),
            ("json", "typed") => LineFormat::Json,
            (format, integers) => {
                return Err(PyValueError::new_err(format!(
                    "format {format:?} with integers {integers:?}, expected \"influx\" with \"typed\" or \"float\", or \"json\" with \"typed\""
                )));
            }
        };
        let batches = Batches::new(journal.cursor(py, name)?);
        Ok(Self {
            confirmations: batches.confirmations(),
            stop: batches.stop(),
            reader: Mutex::new(LineReader::new(batches, format)),
        })
    }

    #[pyo3(signature = (*, max_lines, max_bytes, linger_ms, timeout_ms, gzip = false))]
    fn next_batch(
        &self,
        py: Python<'_>,
        max_lines: usize,
        max_bytes: usize,
        linger_ms: u64,
        timeout_ms: u64,
        gzip: bool,
    ) -> PyResult<Option<LineBatch>> {
        crossings::count();
        let limits = LineLimits {
            lines: max_lines,
            bytes: max_bytes,
        };
        let lines = py
            .detach(|| {
                let (linger, timeout) = (
                    Duration::from_millis(linger_ms),
                    Duration::from_millis(timeout_ms),
                );
                let mut lines = self.reader().next(limits, linger, timeout)?;
                // Compressed here, because the previous batch is usually posted meanwhile.
                if let Some(lines) = lines.as_mut().filter(|_| gzip) {
                    lines.gzipped = Some(Gzipped::of(&lines.text));
                }
                Ok(lines)
            })
            .map_err(|e| errors::journal(py, &e))?;
        Ok(lines.map(LineBatch::new))
    }

    fn rewind(&self) {
        self.reader().rewind();
    }

    fn newest(&self, py: Python<'_>, behind: u64) -> PyResult<Option<LineBatch>> {
        crossings::count();
        let lines = py
            .detach(|| self.reader().newest(behind))
            .map_err(|e| errors::journal(py, &e))?;
        Ok(lines.map(LineBatch::new))
    }

    #[pyo3(signature = (batch, *, rejects = Vec::new(), wait = true), text_signature = "($self, batch, *, rejects=(), wait=True)")]
    fn confirm(
        &self,
        py: Python<'_>,
        batch: &LineBatch,
        rejects: Vec<(usize, String)>,
        wait: bool,
    ) -> PyResult<bool> {
        crossings::count();
        let confirmation = batch.core.confirmation(rejects).ok_or_else(|| {
            PyIndexError::new_err(format!(
                "a rejected line is none of the {} lines of the batch",
                batch.core.len()
            ))
        })?;
        py.detach(|| self.confirmations.confirm(confirmation, wait))
            .map_err(|e| errors::journal(py, &e))
    }

    fn cancel(&self) {
        self.stop.set();
    }
}

impl LineSink {
    fn reader(&self) -> MutexGuard<'_, LineReader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LineBatch {
    fn new(lines: Lines) -> Self {
        Self {
            core: Arc::new(lines),
        }
    }
}

#[pymethods]
impl LineBatch {
    #[getter]
    fn lines(&self) -> usize {
        crossings::count();
        self.core.len()
    }

    #[getter]
    fn frames(&self) -> usize {
        crossings::count();
        self.core.frames()
    }

    #[getter]
    fn byte_length(&self) -> usize {
        crossings::count();
        self.core.text.len()
    }

    #[getter]
    fn first_position(&self) -> u64 {
        crossings::count();
        self.core.positions.start
    }

    #[getter]
    fn end_position(&self) -> u64 {
        crossings::count();
        self.core.positions.end
    }

    fn line<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyBytes>> {
        let line = self
            .core
            .line(index)
            .ok_or_else(|| PyValueError::new_err(format!("line {index} of {}", self.core.len())))?;
        Ok(PyBytes::new(py, line))
    }

    #[pyo3(signature = (*, first = 0, end = None))]
    fn text<'py>(
        &self,
        py: Python<'py>,
        first: usize,
        end: Option<usize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        crossings::count();
        let lines = first..end.unwrap_or(self.core.len());
        let part = self.core.part(lines.clone()).ok_or_else(|| {
            PyValueError::new_err(format!(
                "lines {}..{} of {}",
                lines.start,
                lines.end,
                self.core.len()
            ))
        })?;
        Ok(PyBytes::new(py, part))
    }

    #[pyo3(signature = (*, first = 0, end = None, most = 1000))]
    fn last_lines<'py>(
        &self,
        py: Python<'py>,
        first: usize,
        end: Option<usize>,
        most: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        crossings::count();
        let end = end.unwrap_or(self.core.len());
        let found = py.detach(|| self.core.last_lines(first..end, most));
        let lines = PyDict::new(py);
        for (measurement, line) in found {
            lines.set_item(PyBytes::new(py, measurement), PyBytes::new(py, line))?;
        }
        Ok(lines)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LineSink>()?;
    module.add_class::<LineBatch>()
}
