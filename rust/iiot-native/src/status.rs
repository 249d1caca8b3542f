//! The ledger and the rejects as dictionaries, in the form of the status document.

use iiot_journal::{Reject, Status};
use pyo3::prelude::*;
use pyo3::types::PyDict;

pub(crate) fn status_dict(
    py: Python<'_>,
    status: &Status,
    stalled: Option<String>,
    id: Option<&str>,
) -> PyResult<Py<PyDict>> {
    let intake = PyDict::new(py);
    for (name, value) in &status.intake {
        intake.set_item(name, value)?;
    }
    intake.set_item("reject_reasons", &status.reject_reasons)?;
    intake.set_item("times_not_believed", &status.times_not_believed)?;
    intake.set_item("ignored_kinds", &status.ignored_kinds)?;
    intake.set_item("skipped_kinds", &status.skipped_kinds)?;
    intake.set_item("sessions_lost", &status.sessions_lost)?;
    let sinks = PyDict::new(py);
    for sink in &status.sinks {
        let entry = PyDict::new(py);
        entry.set_item("active", sink.active)?;
        entry.set_item("cursor", sink.cursor)?;
        for (name, value) in [
            ("accepted", sink.accepted),
            ("delivered", sink.delivered),
            ("queued", sink.queued),
            ("rejected", sink.rejected),
            (
                "dropped",
                sink.dropped_full + sink.dropped_age + sink.dropped_away,
            ),
            ("superseded", sink.superseded),
            ("values", sink.values),
        ] {
            entry.set_item(name, value)?;
        }
        let reasons = PyDict::new(py);
        reasons.set_item("journal_full", sink.dropped_full)?;
        reasons.set_item("journal_age", sink.dropped_age)?;
        reasons.set_item("sink_away", sink.dropped_away)?;
        entry.set_item("dropped_reasons", reasons)?;
        let lost = status.lost_by_peer.get(&sink.name).copied();
        entry.set_item("lost_by_peer", lost.unwrap_or_default())?;
        entry.set_item("oldest_queued_at_ms", sink.oldest_queued_at_ms)?;
        sinks.set_item(&sink.name, entry)?;
    }
    let sites = PyDict::new(py);
    for site in &status.sites {
        let entry = PyDict::new(py);
        entry.set_item("received", site.received)?;
        entry.set_item("doubles", site.doubles)?;
        entry.set_item("forgotten", site.forgotten)?;
        sites.set_item(&site.origin, entry)?;
    }
    let journal = PyDict::new(py);
    journal.set_item("bytes", status.journal.bytes)?;
    journal.set_item("max_bytes", status.journal.max_bytes)?;
    journal.set_item("frames", status.journal.frames)?;
    journal.set_item("bytes_per_s", status.journal.bytes_per_s)?;
    journal.set_item("hours_left", status.journal.hours_left)?;
    journal.set_item("rejects", status.journal.rejects)?;
    journal.set_item("stalled", stalled)?;
    if let Some(id) = id {
        journal.set_item("id", id)?;
    }
    let all = PyDict::new(py);
    all.set_item("intake", intake)?;
    all.set_item("sinks", sinks)?;
    all.set_item("sites", sites)?;
    all.set_item("journal", journal)?;
    Ok(all.unbind())
}

pub(crate) fn reject_dict(py: Python<'_>, reject: &Reject) -> PyResult<Py<PyDict>> {
    let entry = PyDict::new(py);
    entry.set_item("id", reject.id)?;
    entry.set_item("at_ns", reject.at_ns)?;
    entry.set_item("sink", &reject.sink)?;
    entry.set_item("source", &reject.source)?;
    entry.set_item("kind", &reject.kind)?;
    entry.set_item("position", reject.position)?;
    entry.set_item("point", reject.point)?;
    entry.set_item("field", reject.field)?;
    entry.set_item("topic", &reject.topic)?;
    entry.set_item("reason", &reject.reason)?;
    entry.set_item("place", &reject.place)?;
    entry.set_item("excerpt", &reject.excerpt)?;
    Ok(entry.unbind())
}
