"""The probe-rs source: a debug probe, through the tool of that name."""
