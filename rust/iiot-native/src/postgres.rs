//! `PostgresSink`, `RowBatch` and `PostgresConnection`: rows for a database that stores the position itself.

use crate::journal::Journal;
use crate::postgres_values::{Parameter, tuple, values};
use crate::seconds::seconds;
use crate::{crossings, errors};
use iiot_journal::Batches;
use iiot_postgres::connection::Connection;
use iiot_postgres::rows::{RowLimits, RowOptions, Rows};
use iiot_postgres::settings::Settings;
use iiot_postgres::sink::{Connected, Done, Outcome, Sink};
use iiot_postgres::value::Value;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const DAY_NS: f64 = 86_400e9;

/// How to connect.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct PostgresSettings {
    core: Settings,
}

#[pymethods]
impl PostgresSettings {
    #[new]
    #[pyo3(signature = (url, *, password = None, pass_file = None, schema = "public", application_name = "iiot-gateway", connect_timeout_s = 10.0, timeout_s = 60.0, lock_timeout_s = 10.0))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of the Python signature"
    )]
    fn new(
        url: &str,
        password: Option<String>,
        pass_file: Option<String>,
        schema: &str,
        application_name: &str,
        connect_timeout_s: f64,
        timeout_s: f64,
        lock_timeout_s: f64,
    ) -> PyResult<Self> {
        let core = Settings {
            url: url.to_owned(),
            password,
            pass_file: pass_file.map(Into::into),
            schema: schema.to_owned(),
            application_name: application_name.to_owned(),
            connect_timeout: seconds("connect_timeout_s", connect_timeout_s)?,
            timeout: seconds("timeout_s", timeout_s)?,
            lock_timeout: seconds("lock_timeout_s", lock_timeout_s)?,
        };
        Ok(Self { core })
    }
}

/// A sink for a database that stores the position.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct PostgresSink {
    core: Sink,
}

/// The state at the beginning of a connection.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct PostgresResumed {
    core: Connected,
}

/// Rows of consecutive frames.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct RowBatch {
    core: Rows,
    done: Mutex<Done>,
}

#[pymethods]
impl PostgresSink {
    #[new]
    #[pyo3(signature = (journal, name, settings, *, manage = true, configuration_tags = false, unique = false, replace_nul = false, max_columns = 200, max_tables = 1000, retention_days = BTreeMap::new()), text_signature = "(journal, name, settings, *, manage=True, configuration_tags=False, unique=False, replace_nul=False, max_columns=200, max_tables=1000, retention_days={})")]
    #[expect(
        clippy::too_many_arguments,
        clippy::fn_params_excessive_bools,
        reason = "keyword arguments of the Python signature"
    )]
    fn new(
        py: Python<'_>,
        journal: &Journal,
        name: &str,
        settings: &PostgresSettings,
        manage: bool,
        configuration_tags: bool,
        unique: bool,
        replace_nul: bool,
        max_columns: usize,
        max_tables: usize,
        retention_days: BTreeMap<String, f64>,
    ) -> PyResult<Self> {
        let options = RowOptions {
            manage,
            configuration_tags,
            unique,
            replace_nul,
            max_columns,
            max_tables,
            retention_ns: retention_days
                .into_iter()
                .map(|(table, days)| (table, (days * DAY_NS) as i64))
                .collect(),
        };
        let batches = Batches::new(journal.cursor(py, name)?);
        let names = (journal.core.id(), name);
        let made = Sink::new(
            batches,
            names,
            journal.core.runs(),
            settings.core.clone(),
            options,
        );
        Ok(Self {
            core: made.map_err(|e| errors::postgres(py, &e))?,
        })
    }

    fn connect(&self, py: Python<'_>) -> PyResult<PostgresResumed> {
        let core = run(py, || self.core.connect())?;
        Ok(PostgresResumed { core })
    }

    fn adopt(&self, py: Python<'_>) -> PyResult<u64> {
        run(py, || self.core.adopt())
    }

    #[pyo3(signature = (*, max_rows, max_bytes, linger_ms, timeout_ms))]
    fn next_batch(
        &self,
        py: Python<'_>,
        max_rows: usize,
        max_bytes: usize,
        linger_ms: u64,
        timeout_ms: u64,
    ) -> PyResult<Option<RowBatch>> {
        crossings::count();
        let limits = RowLimits {
            rows: max_rows,
            bytes: max_bytes,
        };
        let (linger, timeout) = (
            Duration::from_millis(linger_ms),
            Duration::from_millis(timeout_ms),
        );
        let rows = run(py, || self.core.next(limits, linger, timeout))?;
        Ok(rows.map(|core| RowBatch {
            core,
            done: Mutex::default(),
        }))
    }

    fn rewind(&self, py: Python<'_>) {
        py.detach(|| self.core.rewind());
    }

    fn commit(&self, py: Python<'_>, batch: &RowBatch) -> PyResult<bool> {
        crossings::count();
        match run(py, || self.core.commit(&batch.core))? {
            Outcome::ReadAgain => Ok(false),
            Outcome::Committed(done) => {
                *batch.done() = done;
                Ok(true)
            }
        }
    }

    #[pyo3(signature = (batch, *, wait = true))]
    fn confirm(&self, py: Python<'_>, batch: &RowBatch, wait: bool) -> PyResult<bool> {
        crossings::count();
        let refused = batch.done().refused.clone();
        run(py, || self.core.confirm(&batch.core, &refused, wait))
    }

    fn prepare_partitions(&self, py: Python<'_>) -> PyResult<()> {
        run(py, || self.core.prepare_partitions())
    }

    fn query(&self, py: Python<'_>, sql: &str) -> PyResult<Vec<Vec<Option<String>>>> {
        run(py, || self.core.query(sql))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.core.close());
    }

    fn stop(&self) {
        self.core.stop();
    }

    fn cancel(&self) {
        self.core.cancel();
    }
}

fn run<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> iiot_postgres::Result<T> + Send,
) -> PyResult<T> {
    py.detach(work).map_err(|e| errors::postgres(py, &e))
}

#[pymethods]
impl PostgresResumed {
    #[getter]
    fn state(&self) -> &'static str {
        self.core.state.name()
    }

    #[getter]
    fn position(&self) -> u64 {
        self.core.position
    }

    #[getter]
    fn lost(&self) -> (u64, u64) {
        (self.core.lost.start, self.core.lost.end)
    }

    #[getter]
    fn lost_here(&self) -> u64 {
        self.core.lost_here
    }

    #[getter]
    fn server_version(&self) -> u32 {
        self.core.server.version
    }

    #[getter]
    fn timescaledb(&self) -> Option<&str> {
        self.core.server.timescaledb.as_deref()
    }
}

impl RowBatch {
    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl RowBatch {
    #[getter]
    fn rows(&self) -> usize {
        crossings::count();
        self.core.len()
    }

    #[getter]
    fn frames(&self) -> u64 {
        crossings::count();
        self.core.frames()
    }

    #[getter]
    fn byte_length(&self) -> usize {
        crossings::count();
        self.core.bytes()
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

    #[getter]
    fn repeated(&self) -> u64 {
        self.done().repeated
    }

    #[getter]
    fn left_out(&self) -> Vec<(String, String, u64)> {
        crossings::count();
        let counts = self.core.left_out.iter();
        counts
            .map(|((table, name), count)| (table.clone(), name.clone(), *count))
            .collect()
    }

    #[getter]
    fn refused(&self) -> Vec<(u64, u32, String, String)> {
        crossings::count();
        let done = self.done();
        let all = self.core.refused.iter().chain(&done.refused);
        all.map(|r| (r.position, r.point, r.reason.clone(), r.excerpt.clone()))
            .collect()
    }
}

/// A connection for commands and queries, beside the sink.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct PostgresConnection {
    core: Mutex<Connection>,
    cancel: Arc<iiot_postgres::connection::Cancel>,
}

#[pymethods]
impl PostgresConnection {
    #[new]
    fn new(py: Python<'_>, settings: &PostgresSettings) -> PyResult<Self> {
        let core = Connection::new(settings.core.clone()).map_err(|e| errors::postgres(py, &e))?;
        Ok(Self {
            cancel: core.cancel(),
            core: Mutex::new(core),
        })
    }

    fn connect(&self, py: Python<'_>) -> PyResult<(u32, Option<String>)> {
        run(py, || {
            let mut core = self.core();
            core.open()?;
            let server = core.server().cloned();
            Ok(server.map_or((0, None), |s| (s.version, s.timescaledb)))
        })
    }

    fn query(&self, py: Python<'_>, sql: &str) -> PyResult<Vec<Vec<Option<String>>>> {
        run(py, || self.core().query(sql))
    }

    #[expect(clippy::needless_pass_by_value, reason = "extracted by pyo3")]
    fn ask<'py>(
        &self,
        py: Python<'py>,
        sql: &str,
        parameters: Vec<Parameter>,
    ) -> PyResult<(Vec<Bound<'py, PyTuple>>, u64)> {
        let parameters = values(py, &parameters);
        let asked = run(py, || self.core().ask(sql, &parameters))?;
        let rows: PyResult<Vec<_>> = asked.rows.into_iter().map(|row| tuple(py, row)).collect();
        Ok((rows?, asked.changed))
    }

    #[expect(clippy::needless_pass_by_value, reason = "extracted by pyo3")]
    fn ask_many(&self, py: Python<'_>, sql: &str, sets: Vec<Vec<Parameter>>) -> PyResult<u64> {
        let sets: Vec<Vec<Value>> = sets.iter().map(|set| values(py, set)).collect();
        run(py, || self.core().ask_many(sql, &sets))
    }

    fn notified(&self, py: Python<'_>, within_s: f64) -> PyResult<bool> {
        let within = seconds("within_s", within_s)?;
        run(py, || self.core().notified(within))
    }

    #[getter]
    fn is_open(&self, py: Python<'_>) -> bool {
        py.detach(|| self.core().is_open())
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.core().close());
    }

    fn cancel(&self) {
        self.cancel.set();
    }
}

impl PostgresConnection {
    fn core(&self) -> MutexGuard<'_, Connection> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PostgresSettings>()?;
    module.add_class::<PostgresSink>()?;
    module.add_class::<PostgresResumed>()?;
    module.add_class::<RowBatch>()?;
    module.add_class::<PostgresConnection>()
}
