"""The probe-rs source: reads a debug probe through the program probe-rs."""
