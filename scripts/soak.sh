#!/usr/bin/env bash
# The long form of the tests that kill: soak.sh [ARGUMENTS OF PYTEST...]; some minutes
#
# 100,000 numbered messages at full speed, 50 kills of the gateway and 5 clean restarts of the broker, over each protocol and on each broker.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
prepare dev
export IIOT_SOAK_MESSAGES=${IIOT_SOAK_MESSAGES:-100000} IIOT_SOAK_KILLS=${IIOT_SOAK_KILLS:-50} IIOT_SOAK_RESTARTS=${IIOT_SOAK_RESTARTS:-5}
export IIOT_SOAK_LIMIT_S=${IIOT_SOAK_LIMIT_S:-7200}
exec .venv/bin/python -m pytest tests/product/test_mqtt_consumer.py -k exactly_once "$@"
