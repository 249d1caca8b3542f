"""What MQTT in and MQTT out share: the built-in broker, connections, and what MQTT takes as text."""
