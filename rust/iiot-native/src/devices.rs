//! `DeviceDirectory`: the registry's data about devices, for consumers and the built-in broker.

use iiot_journal::{DeviceEntry, DeviceKey, Directory, UnknownDevices};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Devices by id.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct DeviceDirectory {
    pub(crate) core: Arc<Directory>,
}

#[pymethods]
impl DeviceDirectory {
    #[new]
    #[pyo3(signature = (*, unknown = "reject"))]
    fn new(unknown: &str) -> PyResult<Self> {
        let unknown = match unknown {
            "reject" => UnknownDevices::Reject,
            "take" => UnknownDevices::Take,
            other => {
                return Err(PyValueError::new_err(format!(
                    "unknown is {other:?}, expected \"reject\" or \"take\""
                )));
            }
        };
        Ok(Self {
            core: Arc::new(Directory::new(unknown)),
        })
    }

    #[expect(clippy::needless_pass_by_value, reason = "extracted by pyo3")]
    #[pyo3(signature = (device_id, *, user_name = None, is_enabled = true, tags, keys))]
    fn set(
        &self,
        device_id: &str,
        user_name: Option<String>,
        is_enabled: bool,
        tags: BTreeMap<String, String>,
        keys: Vec<(Vec<u8>, Option<f64>)>,
    ) -> PyResult<()> {
        let tags: Vec<(&str, &str)> = tags
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let snapshot = iiot_core::device_snapshot(&tags)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let keys = keys.into_iter().map(|(hash, expires_at_s)| {
            let hash = hash.try_into().map_err(|hash: Vec<u8>| {
                PyValueError::new_err(format!(
                    "a SHA-256 has 32 bytes, and this one has {}",
                    hash.len()
                ))
            })?;
            Ok(DeviceKey { hash, expires_at_s })
        });
        let entry = DeviceEntry {
            user_name,
            is_enabled,
            snapshot: snapshot.into(),
            keys: keys.collect::<PyResult<_>>()?,
        };
        self.core.set(device_id, entry);
        Ok(())
    }

    fn remove(&self, device_id: &str) {
        self.core.remove(device_id);
    }

    fn heard(&self) -> Vec<(String, i64)> {
        self.core.heard()
    }
}

/// The directory behind an argument that may be none.
pub(crate) fn core(devices: Option<&Py<DeviceDirectory>>) -> Option<Arc<Directory>> {
    devices.map(|devices| Arc::clone(&devices.get().core))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<DeviceDirectory>()
}
