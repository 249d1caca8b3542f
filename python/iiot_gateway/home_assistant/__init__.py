"""Home Assistant's MQTT discovery: every metric that is published becomes a sensor there, every node a device."""
