#!/usr/bin/env bash
# Watch what the gateway publishes: test-mqtt-sub.sh [PREFIX [HOST [PORT]]]
set -euo pipefail
command -v mosquitto_sub >/dev/null 2>&1 || { echo "mosquitto_sub is missing: apt install mosquitto-clients" >&2; exit 1; }
prefix=${1:-iiot} host=${2:-localhost} port=${3:-1883}
# The retained ones come first, marked; then each as it is published.
exec mosquitto_sub -h "$host" -p "$port" ${MQTT_USERNAME:+-u "$MQTT_USERNAME"} ${MQTT_PASSWORD:+-P "$MQTT_PASSWORD"} \
    -t "$prefix/#" -F '%I %r %t %p'
