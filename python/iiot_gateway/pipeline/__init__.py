"""Start, stop and status of sources and sinks around one journal."""
