"""The MQTT sink: one topic per metric, at a broker or the built-in one."""
