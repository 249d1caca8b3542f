"""Commands to sensor nodes."""
