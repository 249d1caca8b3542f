"""The MQTT consumer: takes messages from a broker, or from the built-in one."""
