#!/bin/sh
# Starts Grafana with what this plant has: the rules of its profiles, the receivers whose addresses are set, its time zone and working hours.
# start.sh [FROM [TO [COMMAND...]]]: the files are copied from FROM to TO and changed there, because FROM is read-only.
set -eu
# The token that reads InfluxDB lies in a file, and data sources read variables only.
tokens=${TOKENS_FOLDER:-/tokens}
if [ -s "$tokens/dashboard.token" ]; then
    INFLUXDB_READ_TOKEN="$(cat "$tokens/dashboard.token")"
    export INFLUXDB_READ_TOKEN
fi
from=${1:-/etc/grafana/provisioning}
to=${2:-/tmp/provisioning}
if [ $# -ge 2 ]; then shift 2; else shift $#; fi
if [ $# -eq 0 ]; then set -- /run.sh; fi

refuse() {
    echo "start.sh: $1" >&2
    exit 1
}

# check NAME PATTERN EXAMPLE: refuse a value that holds a character other than those of the pattern.
check() {
    eval "value=\${$1:-}"
    case $value in *[!$2]*) refuse "$1=$value: write it as $3" ;; esac
}
check PLANT_TIME_ZONE 'A-Za-z0-9_+/-' Europe/Berlin
check PLANT_BEGINS_H 0-9 6
check PLANT_ENDS_H 0-9 22
check PLANT_WEEKDAYS 1-7, 1,2,3,4,5
check RUNBOOKS_URL 'A-Za-z0-9_:/.~%-' https://wiki.example/runbooks

rm -rf "$to"
cp -R "$from" "$to"
chmod -R u+w "$to"
alerting=$to/alerting

# Rules of a database that does not run would only say that it does not answer. Without any of these profiles all rules stay.
profiles=",${COMPOSE_PROFILES:-},"
case $profiles in
*,lora,* | *,factory-influx,* | *,factory-timescale,* | *,devices,*)
    for profile in lora factory-influx factory-timescale; do
        case $profiles in
        *,$profile,*) ;;
        *) rm -f "$alerting/rules-$profile.yaml" ;;
        esac
    done
    ;;
esac

receivers=
for name in ALERT_EMAIL ALERT_SLACK_URL ALERT_WEBHOOK_URL; do
    eval "value=\${$name:-}"
    if [ -n "$value" ]; then receivers=yes; else sed -i "/# begin $name\$/,/# end $name\$/d" "$alerting/contact-points.yaml"; fi
done
if [ -z "$receivers" ]; then
    echo "start.sh: no receiver of alerts is set (ALERT_EMAIL, ALERT_SLACK_URL, ALERT_WEBHOOK_URL): alerts show in Grafana only" >&2
    rm -f "$alerting/contact-points.yaml" "$alerting/policies.yaml"
fi

for file in "$alerting"/rules-*.yaml; do
    [ -e "$file" ] || continue
    if [ -n "${PLANT_TIME_ZONE:-}" ]; then sed -i "s|Etc/UTC|$PLANT_TIME_ZONE|" "$file"; fi
    if [ -n "${PLANT_BEGINS_H:-}" ]; then sed -i "s/[0-9]* AS begins_h/$PLANT_BEGINS_H AS begins_h/; s/begins_h = [0-9]*/begins_h = $PLANT_BEGINS_H/" "$file"; fi
    if [ -n "${PLANT_ENDS_H:-}" ]; then sed -i "s/[0-9]* AS ends_h/$PLANT_ENDS_H AS ends_h/; s/ends_h = [0-9]*/ends_h = $PLANT_ENDS_H/" "$file"; fi
    if [ -n "${PLANT_WEEKDAYS:-}" ]; then
        sed -i "s/ARRAY\[[0-9, ]*\] AS weekdays/ARRAY[$PLANT_WEEKDAYS] AS weekdays/; s/weekdays = \[[0-9, ]*\]/weekdays = [$PLANT_WEEKDAYS]/" "$file"
    fi
    if [ -n "${RUNBOOKS_URL:-}" ]; then sed -i "s|runbook_url: docs/runbooks/|runbook_url: $RUNBOOKS_URL/|" "$file"; fi
done

export GF_PATHS_PROVISIONING="$to"
exec "$@"
