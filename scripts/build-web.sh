#!/usr/bin/env bash
# Builds the web page from web/ into python/iiot_gateway/web, if it is not there or something changed. Needs nodejs (18 or later) and npm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
prepare_page || exit 1
