#!/bin/sh
# Make the tokens of the gateway and of the dashboards, each in a file of /tokens, unless they are there. Runs once, in a container beside InfluxDB.
set -eu

bucket_id="$(influx bucket list --name "$INFLUXDB_BUCKET" --hide-headers | sed 's/[^0-9a-f].*//')"
[ -n "$bucket_id" ] || { echo "there is no bucket $INFLUXDB_BUCKET" >&2; exit 1; }

# make NAME FLAG...: the file appears whole or not at all.
make() {
    name=$1
    shift
    if [ -s "/tokens/$name" ]; then return; fi
    token="$(influx auth create --user admin --description "$name" --json "$@" | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p')"
    [ -n "$token" ] || { echo "no token came for $name" >&2; exit 1; }
    # Readable for the users of the other containers; nothing else sees this volume.
    printf '%s\n' "$token" >"/tokens/.$name"
    chmod 0644 "/tokens/.$name"
    mv "/tokens/.$name" "/tokens/$name"
}

make gateway.token --write-bucket "$bucket_id"
make dashboard.token --read-bucket "$bucket_id"
