//! `LineSink` and `LineBatch`: a database sink's reader.

use crate::batch::Lines;
use crate::journal::Journal;
use crate::{crossings, errors};
use iiot_core::Integers;
use iiot_core::scan::Scan;
use iiot_http::Gzipped;
use iiot_journal::{Confirmation, Confirmer, Cursor, Error, Row, SinkReject};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a batch that is not full looks for more frames. No multiple of a usual period: looks that keep step with a node that sends
/// every 10 ms would meet each of its frames while it is being published.
const COLLECT_EVERY: Duration = Duration::from_millis(23);
/// How far back `newest` looks.
const NEWEST_FRAMES: u64 = 64;

/// Set once; can be waited for.
#[derive(Default)]
struct Flag {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Flag {
    fn set(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn is_set(&self) -> bool {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, timeout: Duration) {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout_while(set, timeout, |set| !*set));
    }
}

struct Reader {
    cursor: Cursor,
    scan: Scan,
    /// Behind the last batch handed out.
    next: u64,
    /// The row that it ended in.
    rest: Option<Arc<Row>>,
    /// Bytes of the last batch: the next one will need about as many.
    usual_bytes: usize,
}

/// A database sink's reader: lines of the frames behind its cursor.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct LineSink {
    integers: Integers,
    reader: Mutex<Reader>,
    confirmer: Confirmer,
    /// Behind the last confirmation queued.
    confirmed: AtomicU64,
    nudge: Box<dyn Fn() + Send + Sync>,
    cancelled: Flag,
}

/// Lines of consecutive frames.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct LineBatch {
    pub core: Arc<Lines>,
}

#[pymethods]
impl LineSink {
    #[new]
    #[pyo3(signature = (journal, name, *, integers = "typed"))]
    fn new(py: Python<'_>, journal: &Journal, name: &str, integers: &str) -> PyResult<Self> {
        let integers = match integers {
            "typed" => Integers::Typed,
            "float" => Integers::AsFloats,
            other => {
                return Err(PyValueError::new_err(format!(
                    "integers is {other:?}, expected \"typed\" or \"float\""
                )));
            }
        };
        let cursor = journal.cursor(py, name)?;
        let nudge = Box::new(cursor.nudge());
        let (next, confirmer) = (cursor.position(), cursor.confirmer());
        Ok(Self {
            integers,
            confirmer,
            confirmed: AtomicU64::new(next),
            reader: Mutex::new(Reader {
                cursor,
                scan: Scan::new(),
                next,
                rest: None,
                usual_bytes: 0,
            }),
            nudge,
            cancelled: Flag::default(),
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
        let lines = py
            .detach(|| {
                let mut lines = self.read(
                    max_lines,
                    max_bytes,
                    Duration::from_millis(linger_ms),
                    Duration::from_millis(timeout_ms),
                )?;
                // Here, because the batch before is usually being posted meanwhile.
                if let Some(lines) = lines.as_mut().filter(|_| gzip) {
                    lines.gzipped = Some(Gzipped::of(&lines.text));
                }
                Ok(lines)
            })
            .map_err(|e| errors::journal(py, &e))?;
        Ok(lines.map(|lines| LineBatch {
            core: Arc::new(lines),
        }))
    }

    fn rewind(&self) {
        let mut reader = self.reader();
        // What is queued needs no second sending: it is committed before the journal closes.
        let confirmed = self.confirmed.load(Ordering::Acquire);
        reader.next = reader.cursor.position().max(confirmed);
        reader.rest = None;
    }

    fn newest(&self, py: Python<'_>, behind: u64) -> PyResult<Option<LineBatch>> {
        crossings::count();
        let lines = py
            .detach(|| {
                let reader = &mut *self.reader();
                let visible = reader.cursor.visible();
                let from = visible.saturating_sub(NEWEST_FRAMES).max(behind);
                let mut lines = Lines {
                    from,
                    end: from,
                    integers: self.integers,
                    ..Lines::default()
                };
                while lines.end < visible
                    && lines.extend(
                        &mut reader.cursor,
                        &mut None,
                        &mut reader.scan,
                        usize::MAX,
                        usize::MAX,
                    )?
                {}
                Ok(Some(lines).filter(|lines| !lines.ends.is_empty()))
            })
            .map_err(|e: Error| errors::journal(py, &e))?;
        Ok(lines.map(|lines| LineBatch {
            core: Arc::new(lines),
        }))
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
        let lines = &batch.core;
        let mut refused = Vec::with_capacity(rejects.len());
        for (index, reason) in rejects {
            let (Some((position, point)), Some(line)) = (lines.place(index), lines.line(index))
            else {
                return Err(PyIndexError::new_err(format!(
                    "line {index} of a batch of {}",
                    lines.ends.len()
                )));
            };
            let excerpt = String::from_utf8_lossy(line.trim_ascii_end())
                .chars()
                .take(200)
                .collect();
            refused.push(SinkReject {
                position,
                point,
                field: None,
                reason,
                excerpt,
            });
        }
        refused.sort_by_key(|r| (r.position, r.point));
        let mut positions: Vec<u64> = refused.iter().map(|r| r.position).collect();
        positions.dedup();
        let rejected = positions.len() as u64;
        let confirmation = Confirmation {
            from: lines.from,
            end: lines.end,
            delivered: lines.frames.len() as u64 - rejected,
            rejected,
            rejects: refused,
            ..Confirmation::default()
        };
        py.detach(|| self.commit(confirmation, wait))
            .map_err(|e| errors::journal(py, &e))
    }

    fn cancel(&self) {
        self.cancelled.set();
        (self.nudge)();
    }
}

impl LineSink {
    fn reader(&self) -> std::sync::MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(
        &self,
        max_lines: usize,
        max_bytes: usize,
        linger: Duration,
        timeout: Duration,
    ) -> Result<Option<Lines>, Error> {
        let cancelled = || self.cancelled.is_set();
        let mut reader = self.reader();
        let reader = &mut *reader;
        if cancelled()
            || !reader.cursor.wait_readable(reader.next, timeout, cancelled)
            || cancelled()
        {
            return Ok(None);
        }
        let mut lines = Lines {
            from: reader.next,
            end: reader.next,
            integers: self.integers,
            text: Vec::with_capacity(reader.usual_bytes),
            ..Lines::default()
        };
        let until = Instant::now() + linger;
        while !lines.is_full(max_lines, max_bytes) {
            let extended = lines.extend(
                &mut reader.cursor,
                &mut reader.rest,
                &mut reader.scan,
                max_lines,
                max_bytes,
            );
            if extended.is_err() && lines.end > lines.from {
                // What was read before is whole; the next batch begins at the error.
                break;
            }
            if !extended? {
                if Instant::now() >= until {
                    break;
                }
                // Not woken by each commit: it would take a core from those who publish the frame.
                self.cancelled.wait(linger.min(COLLECT_EVERY));
            }
            if cancelled() {
                break;
            }
        }
        reader.next = lines.end;
        reader.usual_bytes = lines.text.len() + lines.text.len() / 16;
        Ok((lines.end > lines.from).then_some(lines))
    }

    /// Queue the confirmation once the one before it is committed, so that the commit goes on while the next batch is sent.
    /// False if that would need waiting, and none is wanted.
    fn commit(&self, confirmation: Confirmation, wait: bool) -> Result<bool, Error> {
        let before = self.confirmed.load(Ordering::Acquire);
        let look = Duration::from_millis(if wait { 200 } else { 0 });
        while !self.confirmer.wait_settled(before, look) && !self.cancelled.is_set() {
            if !wait {
                return Ok(false);
            }
        }
        let end = confirmation.end;
        self.confirmer.confirm(confirmation)?;
        self.confirmed.store(end, Ordering::Release);
        Ok(true)
    }
}

#[pymethods]
impl LineBatch {
    #[getter]
    fn lines(&self) -> usize {
        crossings::count();
        self.core.ends.len()
    }

    #[getter]
    fn frames(&self) -> usize {
        crossings::count();
        self.core.frames.len()
    }

    #[getter]
    fn byte_length(&self) -> usize {
        crossings::count();
        self.core.text.len()
    }

    #[getter]
    fn first_position(&self) -> u64 {
        crossings::count();
        self.core.from
    }

    #[getter]
    fn end_position(&self) -> u64 {
        crossings::count();
        self.core.end
    }

    fn line<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyBytes>> {
        let line = self.core.line(index).ok_or_else(|| {
            PyValueError::new_err(format!("line {index} of {}", self.core.ends.len()))
        })?;
        Ok(PyBytes::new(py, line))
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
        let end = end.unwrap_or(self.core.ends.len());
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
