//! Checks texts for MQTT, for code that reads a configuration or writes documents for other MQTT clients.

use iiot_core::mqtt_text::{MAX_PART_BYTES, MAX_TEXT_BYTES, replaced, text_fault_within};
use pyo3::prelude::*;
use pyo3::types::PyString;

#[pyfunction]
#[pyo3(signature = (text, *, max_bytes = MAX_TEXT_BYTES), text_signature = "(text, *, max_bytes=65535)")]
fn mqtt_text_fault(text: &Bound<'_, PyString>, max_bytes: usize) -> Option<String> {
    // A Python text that Rust cannot hold contains a lone surrogate; there is no other reason.
    text.to_cow().map_or_else(
        |_| Some("holds half of a surrogate pair, which MQTT does not allow".to_owned()),
        |text| text_fault_within(&text, max_bytes).map(|fault| fault.to_string()),
    )
}

#[pyfunction]
fn mqtt_text(text: &str) -> String {
    replaced(text).into_owned()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("MQTT_PREFIX_BYTES", MAX_PART_BYTES)?;
    module.add_function(wrap_pyfunction!(mqtt_text_fault, module)?)?;
    module.add_function(wrap_pyfunction!(mqtt_text, module)?)
}
