"""Devices over MQTT: their identities, the messages that are sent to them, and their presence."""
