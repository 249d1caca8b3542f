"""Code that MQTT in and MQTT out share: the built-in broker, connections, and the check of texts."""
