"""The simulate source: simulated sensor nodes."""
