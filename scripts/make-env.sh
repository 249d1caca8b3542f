#!/usr/bin/env bash
# Write .env for docker-compose.yml with random passwords: make-env.sh [PROFILE [FILE]]. A file that is there stays as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
profile=${1:-lora} file=${2:-.env}
case $profile in
lora | factory-influx | factory-timescale | devices | infra) ;;
*)
    echo "make-env.sh: there is no profile $profile; there are lora, factory-influx, factory-timescale, devices and infra" >&2
    exit 2
    ;;
esac
if [ -e "$file" ]; then
    echo "make-env.sh: $file is there already, and stays as it is" >&2
    exit 1
fi
# A letter first: Grafana takes a value of digits for a number.
random() { printf 'p%s' "$(od -An -tx1 -N24 /dev/urandom | tr -d ' \n')"; }
umask 077
new="$(mktemp "$file.XXXXXX")"
trap 'rm -f "$new"' EXIT
while IFS= read -r line; do
    if [[ $line =~ ^([A-Z_]+)=$ ]]; then line="${BASH_REMATCH[1]}=$(random)"; fi
    if [[ $line == COMPOSE_PROFILES=* ]]; then line="COMPOSE_PROFILES=$profile"; fi
    if [[ $profile == infra && $line == "#GATEWAY_TARGET="* ]]; then line="GATEWAY_TARGET=host.docker.internal:5000"; fi
    printf '%s\n' "$line"
done <.env.example >"$new"
# Fails where somebody else was faster.
ln "$new" "$file"
echo "$file: the profile $profile, with new passwords"
