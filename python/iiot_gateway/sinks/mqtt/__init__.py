"""The MQTT sink: one topic a metric, at a broker or the built-in one."""
