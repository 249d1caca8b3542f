"""The types of `iiot_gateway._native`, one file for each Rust file. Nothing of this exists at run time: import from `_native`."""
