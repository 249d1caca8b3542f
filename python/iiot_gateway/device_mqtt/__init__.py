"""Devices over MQTT: who they are, what is sent to them, and whether they are there."""
