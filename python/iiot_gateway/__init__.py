"""Telemetry from sensor nodes to MQTT and time-series databases, with a durable journal in between."""

__version__ = "0.1.0"
