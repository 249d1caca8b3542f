"""Accounts of devices at a Mosquitto: its dynamic security plug-in is told what the registry says."""
