#!/usr/bin/env bash
# Five checks of a running stack: InfluxDB, Grafana, the data source between them, the dashboards, and a point that is seen through Grafana.
#
# Addresses and secrets come from the environment, or from .env: GRAFANA_URL, GRAFANA_ADMIN_USER, GRAFANA_ADMIN_PASSWORD, INFLUXDB_URL,
# INFLUXDB_ORG, INFLUXDB_BUCKET, INFLUXDB_TOKEN (one that may write). The point stays in the measurement `iiot_gateway_check`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v curl >/dev/null 2>&1 || { echo "curl is missing: apt install curl" >&2; exit 1; }

# Only what is not set yet, and without letting a shell read the values.
if [ -f .env ]; then
    while IFS='=' read -r name value; do
        if [[ "$name" =~ ^[A-Z_]+$ && -z "${!name:-}" ]]; then
            value="${value%\"}"
            export "$name=${value#\"}"
        fi
    done <.env
fi
grafana=${GRAFANA_URL:-http://localhost:3000} influxdb=${INFLUXDB_URL:-http://localhost:8086}
org=${INFLUXDB_ORG:-iiot} bucket=${INFLUXDB_BUCKET:-telemetry}
failed=0

good() { echo "ok   $1"; }
bad() {
    echo "FAIL $1: $2"
    failed=1
}
# Secrets go to curl by a file that nobody else can list, with the escapes of its format.
escaped() {
    local value=${1//\\/\\\\}
    printf '%s' "${value//\"/\\\"}"
}
ask_grafana() {
    local login="${GRAFANA_ADMIN_USER:-admin}:${GRAFANA_ADMIN_PASSWORD:-}"
    curl -sS --max-time 10 -K <(printf 'user = "%s"\n' "$(escaped "$login")") "$@" 2>&1 || true
}
ask_influxdb() {
    curl -sS --max-time 10 -K <(printf 'header = "Authorization: Token %s"\n' "${INFLUXDB_TOKEN:-}") "$@" 2>&1 || true
}

answer="$(ask_influxdb "$influxdb/health")"
if [[ "$answer" =~ \"status\":[[:space:]]*\"pass\" ]]; then good "InfluxDB is healthy"; else bad "InfluxDB at $influxdb" "$answer"; fi

answer="$(ask_grafana "$grafana/api/health")"
if [[ "$answer" =~ \"database\":[[:space:]]*\"ok\" ]]; then good "Grafana is healthy"; else bad "Grafana at $grafana" "$answer"; fi

answer="$(ask_grafana "$grafana/api/datasources/uid/influx/health")"
if [[ "$answer" =~ \"status\":[[:space:]]*\"OK\" ]]; then
    good "the data source InfluxDB works"
else
    bad "the data source with the uid influx" "$answer (see INFLUXDB_READ_TOKEN, INFLUXDB_ORG and INFLUXDB_BUCKET)"
fi

answer="$(ask_grafana "$grafana/api/search?tag=iiot&type=dash-db")"
missing=()
for file in deploy/grafana/dashboards/*.json; do
    uid="$(basename "$file" .json)"
    [[ "$answer" == *"\"$uid\""* ]] || missing+=("$uid")
done
if [ ${#missing[@]} -eq 0 ]; then good "the dashboards are there"; else bad "dashboards" "not there: ${missing[*]}; Grafana said: ${answer:0:200}"; fi

number=$((RANDOM * 32768 + RANDOM))
answer="$(ask_influxdb -w '%{http_code}' --data-binary "iiot_gateway_check value=${number}i" "$influxdb/api/v2/write?org=$org&bucket=$bucket")"
if [ "$answer" != 204 ]; then
    bad "writing a point" "$answer (see INFLUXDB_TOKEN)"
else
    query="from(bucket: \\\"$bucket\\\") |> range(start: -5m) |> filter(fn: (r) => r._measurement == \\\"iiot_gateway_check\\\") |> last()"
    body="{\"from\":\"now-5m\",\"to\":\"now\",\"queries\":[{\"refId\":\"A\",\"datasource\":{\"type\":\"influxdb\",\"uid\":\"influx\"},\"query\":\"$query\"}]}"
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        answer="$(ask_grafana -H 'Content-Type: application/json' --data-binary "$body" "$grafana/api/ds/query")"
        [[ "$answer" == *"$number"* ]] && break
        sleep 1
    done
    if [[ "$answer" == *"$number"* ]]; then good "a point arrived, and Grafana shows it"; else bad "the point $number through Grafana" "${answer:0:300}"; fi
fi
exit "$failed"
