"""Accounts of devices at a Mosquitto broker: they are kept in step with the registry through its dynamic security plug-in."""
