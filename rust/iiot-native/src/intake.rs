//! `Intake`: takes chunks of bytes, and returns numbers.

use crate::descriptor::{self, Traffic};
use crate::seconds::seconds;
use crate::{crossings, errors};
use iiot_journal::Intake as Core;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the bytes of a source.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Intake {
    core: Mutex<Core>,
    traffic: Traffic,
    #[pyo3(get)]
    resume_offset: u64,
    #[pyo3(get)]
    finished: bool,
}

impl Intake {
    pub(crate) fn new(core: Core) -> Self {
        Self {
            resume_offset: core.resume_offset,
            finished: core.finished,
            core: Mutex::new(core),
            traffic: Traffic::default(),
        }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Intake {
    fn skip(&self, py: Python<'_>, chunk: &[u8]) {
        crossings::count();
        py.detach(|| self.core().skip(chunk));
    }

    fn push(&self, py: Python<'_>, chunk: &[u8], received_at_ns: i64) -> PyResult<usize> {
        crossings::count();
        py.detach(|| self.core().push(chunk, received_at_ns))
            .map_err(|e| errors::journal(py, &e))
    }

    fn push_message(
        &self,
        py: Python<'_>,
        topic: &[u8],
        document: &[u8],
        received_at_ns: i64,
        settled: u64,
    ) -> PyResult<()> {
        crossings::count();
        py.detach(|| {
            self.core()
                .push_message(Some(topic), document, received_at_ns, settled)
        })
        .map_err(|e| errors::journal(py, &e))
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "an argument of the Python signature, used without the interpreter's lock"
    )]
    #[pyo3(signature = (descriptor, stop, listener = None))]
    fn read<'py>(
        &self,
        py: Python<'py>,
        descriptor: RawFd,
        stop: RawFd,
        listener: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        crossings::count();
        let tail = py.detach(|| {
            descriptor::read(
                &self.core,
                &self.traffic,
                descriptor,
                stop,
                listener.as_ref(),
            )
        })?;
        Ok(PyBytes::new(py, &tail))
    }

    fn traffic(&self) -> (u64, f64, u64, f64) {
        self.traffic.get()
    }

    fn wait_room(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        crossings::count();
        let timeout = seconds("timeout_s", timeout_s)?;
        Ok(py.detach(|| self.core().wait_room(timeout)))
    }

    fn finish(&self, py: Python<'_>, received_at_ns: i64) -> PyResult<usize> {
        py.detach(|| self.core().finish(received_at_ns))
            .map_err(|e| errors::journal(py, &e))
    }

    fn restart(&self, py: Python<'_>) -> PyResult<usize> {
        py.detach(|| self.core().restart())
            .map_err(|e| errors::journal(py, &e))
    }

    fn settled(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let timeout = seconds("timeout_s", timeout_s)?;
        Ok(py.detach(|| self.core().settled(timeout)))
    }
}
