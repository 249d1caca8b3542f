"""The MQTT consumer: messages of a broker, or of the built-in one."""
