//! The extension module `iiot_gateway._native`: registrations only.

mod alerts;
mod broker;
mod consumer;
mod copying;
mod crossings;
mod decode;
mod descriptor;
mod devices;
mod downlink;
mod errors;
mod history;
mod http;
mod intake;
mod journal;
mod line_protocol;
mod lines;
mod live;
mod memory;
mod mqtt;
mod mqtt_text;
mod postgres;
mod postgres_sql;
mod postgres_values;
mod posts;
mod recorder;
mod seconds;
mod side;
mod simulate;
mod status;
mod toml_places;

use pyo3::prelude::*;

/// Hot path, journal, MQTT and HTTP client of `iiot_gateway`.
#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("debug_build", cfg!(debug_assertions))?;
    errors::register(module)?;
    decode::register(module)?;
    journal::register(module)?;
    copying::register(module)?;
    lines::register(module)?;
    line_protocol::register(module)?;
    live::register(module)?;
    history::register(module)?;
    alerts::register(module)?;
    mqtt::register(module)?;
    consumer::register(module)?;
    recorder::register(module)?;
    mqtt_text::register(module)?;
    toml_places::register(module)?;
    downlink::register(module)?;
    side::register(module)?;
    http::register(module)?;
    postgres::register(module)?;
    postgres_sql::register(module)?;
    posts::register(module)?;
    devices::register(module)?;
    simulate::register(module)?;
    broker::register(module)?;
    memory::register(module)?;
    crossings::register(module)
}
