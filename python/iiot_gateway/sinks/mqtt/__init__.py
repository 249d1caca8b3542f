"""The MQTT sink: publishes one topic per metric, to a broker or the built-in one."""
