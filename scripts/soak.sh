#!/usr/bin/env bash
# The long form of the tests that kill: soak.sh [ARGUMENTS OF PYTEST...]; some minutes
#
# 100,000 numbered messages at full speed, 50 kills of the gateway and 5 clean restarts of the broker, over each protocol and on each broker;
# and as many into PostgreSQL, with 50 kills, 20 ended connections, 5 crashes of the server and a full disk, which needs the right to mount;
# and posts of 200 devices over HTTP with 200 kills; and 10,000 devices on a cluster of two Artemis nodes with four workers, of which one is killed
# every half minute, for five minutes (IIOT_FLEET_MESSAGES=360 IIOT_FLEET_ROUND_S=60 is an hour).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
prepare dev
export IIOT_SOAK_MESSAGES=${IIOT_SOAK_MESSAGES:-100000} IIOT_SOAK_KILLS=${IIOT_SOAK_KILLS:-50} IIOT_SOAK_RESTARTS=${IIOT_SOAK_RESTARTS:-5}
export IIOT_SOAK_TERMINATIONS=${IIOT_SOAK_TERMINATIONS:-20} IIOT_SOAK_CRASHES=${IIOT_SOAK_CRASHES:-5} IIOT_SOAK_FULL_DISKS=${IIOT_SOAK_FULL_DISKS:-1}
export IIOT_STORM_CLIENTS=${IIOT_STORM_CLIENTS:-200} IIOT_STORM_KILLS=${IIOT_STORM_KILLS:-200}
export IIOT_FLEET_DEVICES=${IIOT_FLEET_DEVICES:-10000} IIOT_FLEET_INTERVAL_S=${IIOT_FLEET_INTERVAL_S:-10}
export IIOT_FLEET_MESSAGES=${IIOT_FLEET_MESSAGES:-30} IIOT_FLEET_ROUND_S=${IIOT_FLEET_ROUND_S:-30}
export IIOT_SOAK_LIMIT_S=${IIOT_SOAK_LIMIT_S:-7200}
exec .venv/bin/python -m pytest tests/product/test_mqtt_consumer.py tests/product/test_postgresql_soak.py \
    tests/product/test_device_storm.py tests/product/test_fleet_cluster.py -k 'exactly_once or storm or answered_post or loses_and_doubles' "$@"
