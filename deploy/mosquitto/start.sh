#!/bin/sh
# Start Mosquitto in its container: the password file is made from the environment, so no password lies in an image or a repository.
set -eu
secrets=/mosquitto/secrets
rm -rf "$secrets"
mkdir -p "$secrets/conf.d"
chmod 0700 "$secrets"
: >"$secrets/passwords"
mosquitto_passwd -b "$secrets/passwords" gateway "${MQTT_GATEWAY_PASSWORD:?}"
mosquitto_passwd -b "$secrets/passwords" reader "${MQTT_READER_PASSWORD:?}"
mosquitto_passwd -b "$secrets/passwords" machine "${MQTT_MACHINE_PASSWORD:?}"
if [ -s /certificates/server.crt ] && [ -s /certificates/server.key ]; then
    cp /certificates/server.crt /certificates/server.key "$secrets/"
    cp /mosquitto/config/tls.conf "$secrets/conf.d/tls.conf"
else
    echo "8883 stays closed: scripts/make-certificates.sh makes a certificate" >&2
fi
chown -R mosquitto:mosquitto "$secrets"
exec mosquitto -c /mosquitto/config/mosquitto.conf
