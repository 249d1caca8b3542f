#!/bin/sh
# Start Mosquitto in its container: the password file is made from the environment, so no password lies in an image or a repository.
set -eu
file=/mosquitto/secrets/passwords
mkdir -p /mosquitto/secrets
: >"$file"
chmod 0600 "$file"
mosquitto_passwd -b "$file" gateway "${MQTT_GATEWAY_PASSWORD:?}"
mosquitto_passwd -b "$file" reader "${MQTT_READER_PASSWORD:?}"
chown -R mosquitto:mosquitto /mosquitto/secrets
exec mosquitto -c /mosquitto/config/mosquitto.conf
