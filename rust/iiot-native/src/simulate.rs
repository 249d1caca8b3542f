//! `Simulator`: simulated sensor nodes.

use crate::crossings;
use iiot_simulate::{Settings, Simulator as Core, natural_rate_per_s};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Makes the log of a receiver, piece by piece.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Simulator {
    core: Mutex<Core>,
}

impl Simulator {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Simulator {
    #[new]
    #[pyo3(signature = (*, nodes, rate_per_s, seed, start_ns))]
    fn new(nodes: u32, rate_per_s: Option<f64>, seed: u64, start_ns: i64) -> PyResult<Self> {
        let settings = Settings {
            nodes,
            rate_per_s: rate_per_s.unwrap_or_else(|| natural_rate_per_s(nodes)),
            seed,
            start_ns,
        };
        let core = Core::new(settings).map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok(Self {
            core: Mutex::new(core),
        })
    }

    #[getter]
    fn next_ns(&self) -> i64 {
        crossings::count();
        self.core().next_ns()
    }

    #[pyo3(signature = (until_ns, *, max_readings))]
    fn advance<'py>(
        &self,
        py: Python<'py>,
        until_ns: Option<i64>,
        max_readings: usize,
    ) -> Bound<'py, PyBytes> {
        crossings::count();
        let text = py.detach(|| {
            let mut out = Vec::new();
            let until_ns = until_ns.unwrap_or(i64::MAX);
            self.core().advance(until_ns, max_readings, &mut out);
            out
        });
        PyBytes::new(py, &text)
    }

    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.core().counts();
        let dict = PyDict::new(py);
        for (name, count) in [
            ("readings", counts.readings),
            ("lost", counts.lost),
            ("damaged", counts.damaged),
            ("documents", counts.documents),
            ("duplicates", counts.duplicates),
            ("node_restarts", counts.node_restarts),
            ("receiver_restarts", counts.receiver_restarts),
        ] {
            dict.set_item(name, count)?;
        }
        Ok(dict)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Simulator>()
}
