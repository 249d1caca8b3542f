//! `AlertSink`: judges the journal's frames by rules, and gives the notifications for receivers.

use crate::journal::Journal;
use crate::seconds::seconds;
use crate::{crossings, errors};
use iiot_alerts::{Core, Feed, Figure, Limits, Rule};
use iiot_journal::{Batches, Journal as CoreJournal, Stop, now_ns};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::path::Path;
use std::time::Duration;

/// The path from the journal to the alerts of a sink.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct AlertSink {
    feed: Feed,
    stop: Stop,
}

/// The settings of `[alerts]` for states and queues; times are in seconds.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct AlertSettings {
    rules: Vec<Rule>,
    receivers: Vec<String>,
    limits: Limits,
}

/// Name, labels and value.
type GivenFigure = (String, Vec<(String, String)>, f64);

fn nanoseconds(name: &str, value: f64) -> PyResult<i64> {
    let duration = seconds(name, value)?;
    Ok(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

#[pymethods]
impl AlertSettings {
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of the Python signature"
    )]
    #[new]
    #[pyo3(signature = (rules, receivers, *, late_s, repeat_s, forget_s, max_series, group_s, expire_s, max_waiting))]
    #[expect(clippy::needless_pass_by_value, reason = "made of the Python list")]
    fn new(
        rules: Vec<String>,
        receivers: Vec<String>,
        late_s: f64,
        repeat_s: f64,
        forget_s: f64,
        max_series: usize,
        group_s: f64,
        expire_s: f64,
        max_waiting: usize,
    ) -> PyResult<Self> {
        let rules = rules.iter().map(|json| Rule::parse(json));
        let rules = rules.collect::<Result<_, _>>();
        let every_ns = nanoseconds("repeat_s", repeat_s)?;
        Ok(Self {
            rules: rules.map_err(|e| PyValueError::new_err(e.to_string()))?,
            receivers,
            limits: Limits {
                late_ns: nanoseconds("late_s", late_s)?,
                repeat_ns: (every_ns > 0).then_some(every_ns),
                forget_ns: nanoseconds("forget_s", forget_s)?,
                max_series,
                group_ns: nanoseconds("group_s", group_s)?,
                expire_ns: nanoseconds("expire_s", expire_s)?,
                max_waiting,
            },
        })
    }
}

#[pymethods]
impl AlertSink {
    #[new]
    fn new(
        py: Python<'_>,
        journal: &Journal,
        name: &str,
        settings: &AlertSettings,
    ) -> PyResult<Self> {
        let batches = Batches::new(journal.cursor(py, name)?);
        let stop = batches.stop();
        let AlertSettings {
            rules,
            receivers,
            limits,
        } = settings;
        let id = journal.core.id();
        let feed = py.detach(|| Feed::new(batches, rules.clone(), receivers, *limits, id));
        Ok(Self {
            feed: feed.map_err(|e| errors::journal(py, &e))?,
            stop,
        })
    }

    #[pyo3(signature = (*, linger_ms, timeout_ms))]
    fn deliver(&self, py: Python<'_>, linger_ms: u64, timeout_ms: u64) -> PyResult<Option<u64>> {
        crossings::count();
        let linger = Duration::from_millis(linger_ms);
        let timeout = Duration::from_millis(timeout_ms);
        let delivered = py.detach(|| self.feed.deliver(linger, timeout));
        let delivered = delivered.map_err(|e| errors::journal(py, &e))?;
        Ok(delivered.map(|d| d.frames))
    }

    fn figures(&self, py: Python<'_>, figures: Vec<GivenFigure>) -> PyResult<()> {
        let figures: Vec<Figure> = figures
            .into_iter()
            .map(|(name, labels, value)| Figure {
                name,
                labels,
                value,
            })
            .collect();
        py.detach(|| self.feed.figures(&figures))
            .map_err(|e| errors::journal(py, &e))
    }

    fn take(&self, py: Python<'_>, receiver: &str) -> PyResult<Option<String>> {
        let taken = py
            .detach(|| self.feed.take(receiver))
            .map_err(|e| errors::journal(py, &e))?;
        Ok(taken.map(|notification| notification.json().to_string()))
    }

    fn tried(&self, py: Python<'_>, receiver: &str, id: &str, sent: bool) -> PyResult<bool> {
        py.detach(|| self.feed.tried(receiver, id, sent))
            .map_err(|e| errors::journal(py, &e))
    }

    fn version(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.feed.version())
    }

    fn document(&self, py: Python<'_>) -> String {
        py.detach(|| self.feed.document().to_string())
    }

    fn cancel(&self) {
        self.stop.set();
    }
}

/// The result of `AlertSink.document` for a journal that no gateway has open.
#[pyfunction]
fn stored_alerts(
    py: Python<'_>,
    path: &str,
    name: &str,
    settings: &AlertSettings,
) -> PyResult<String> {
    let AlertSettings {
        rules,
        receivers,
        limits,
    } = settings;
    let read = || {
        let state = CoreJournal::inspect_sink_state(Path::new(path), name)?;
        let (core, _) = Core::load(rules.clone(), receivers, *limits, "", &state, now_ns());
        Ok(core.document().to_string())
    };
    py.detach(read).map_err(|e| errors::journal(py, &e))
}

/// The wrong key of a rule and its fault; none if the rule can be used.
#[pyfunction]
fn alert_rule_fault(rule: &str) -> Option<(&'static str, String)> {
    Rule::parse(rule).err().map(|e| (e.key, e.message))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<AlertSettings>()?;
    module.add_class::<AlertSink>()?;
    module.add_function(wrap_pyfunction!(stored_alerts, module)?)?;
    module.add_function(wrap_pyfunction!(alert_rule_fault, module)?)
}
