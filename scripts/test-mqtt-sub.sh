#!/usr/bin/env bash
# Watch what is published: test-mqtt-sub.sh [PREFIX [HOST [PORT [OPTION...]]]]
#
# PREFIX is iiot by default: values, the gateway's health and its alerts; `factory` is what machines publish. Port 8883 is TLS, with the ca.crt of
# scripts/make-certificates.sh or MQTT_CAFILE. The account is MQTT_USERNAME and MQTT_PASSWORD, else `reader` of the .env beside docker-compose.yml.
# Options go to mosquitto_sub: -C 1 ends after one message.
set -euo pipefail
command -v mosquitto_sub >/dev/null 2>&1 || { echo "mosquitto_sub is missing: apt install mosquitto-clients" >&2; exit 1; }
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
prefix=${1:-iiot} host=${2:-localhost} port=${3:-1883}
env_file=${MQTT_ENV_FILE:-$here/.env}
if [ -z "${MQTT_USERNAME:-}" ] && [ -r "$env_file" ]; then
    MQTT_PASSWORD="$(sed -n 's/^MQTT_READER_PASSWORD=//p' "$env_file")"
    if [ -n "$MQTT_PASSWORD" ]; then MQTT_USERNAME=reader; fi
fi
options=()
if [ -n "${MQTT_USERNAME:-}" ]; then options+=(-u "$MQTT_USERNAME" -P "${MQTT_PASSWORD:-}"); fi
if [ "$port" = 8883 ] || [ -n "${MQTT_CAFILE:-}" ]; then options+=(--cafile "${MQTT_CAFILE:-$here/deploy/mosquitto/certificates/ca.crt}"); fi
# The retained ones come first, marked; then each as it is published.
exec mosquitto_sub -h "$host" -p "$port" ${options[@]+"${options[@]}"} -t "$prefix/#" -F '%I %r %t %p' "${@:4}"
