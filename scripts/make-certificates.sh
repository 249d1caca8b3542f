#!/usr/bin/env bash
# Make what MQTT over TLS (8883) needs: make-certificates.sh [NAME...], the names and addresses by which clients call this machine.
# An authority of its own for ten years, whose ca.crt clients need, and a certificate of the server for two years. The authority is made once; run it again to renew the server's.
# IIOT_CA_FOLDER is the authority's folder, IIOT_CERTIFICATES_FOLDER that of what Mosquitto reads.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
authority=${IIOT_CA_FOLDER:-deploy/mosquitto/ca} out=${IIOT_CERTIFICATES_FOLDER:-deploy/mosquitto/certificates}
command -v openssl >/dev/null 2>&1 || { echo "openssl is missing: apt install openssl" >&2; exit 1; }
names=("$@" localhost 127.0.0.1)
if [ $# -eq 0 ]; then names=("$(hostname)" "${names[@]}"); fi
alternatives=()
for name in "${names[@]}"; do
    if [[ $name =~ ^[0-9.]+$ || $name == *:* ]]; then alternatives+=("IP:$name"); else alternatives+=("DNS:$name"); fi
done
joined="$(IFS=,; echo "${alternatives[*]}")"
umask 077
if [ -e "$authority/ca.crt" ] && [ ! -e "$authority/ca.key" ]; then
    # A new authority would shut out every client that has the old ca.crt.
    echo "$authority/ca.key is not there, and only it can renew a certificate that clients trust. Bring it back for this command." >&2
    echo "If it is lost, name another folder (IIOT_CA_FOLDER=...) for a new authority, and give its ca.crt to all clients." >&2
    exit 1
fi
mkdir -p "$authority" "$out"
if [ ! -e "$authority/ca.key" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=iiot-gateway plant CA" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
        -keyout "$authority/ca.key" -out "$authority/ca.crt" 2>/dev/null
fi
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=${names[0]}" -keyout "$work/server.key" -out "$work/server.csr" 2>/dev/null
printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$joined" >"$work/extensions"
openssl x509 -req -in "$work/server.csr" -CA "$authority/ca.crt" -CAkey "$authority/ca.key" -CAcreateserial -days 730 -extfile "$work/extensions" \
    -out "$work/server.crt" 2>/dev/null
cp "$authority/ca.crt" "$work/ca.crt"
for file in ca.crt server.crt server.key; do
    cp "$work/$file" "$out/$file.new"
    # It is no secret, and whoever takes it to clients need not be root.
    if [ "$file" = ca.crt ]; then chmod 0644 "$out/$file.new"; fi
    mv "$out/$file.new" "$out/$file"
done
echo "$out: ca.crt for clients, server.crt and server.key for Mosquitto (${names[*]}), valid until $(openssl x509 -in "$out/server.crt" -noout -enddate | cut -d= -f2)"
echo "keep $authority/ca.key secret: whoever has it can pretend to be this broker. You may move it to another machine until the next renewal."
echo "now: docker compose restart mosquitto"
