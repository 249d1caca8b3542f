#!/usr/bin/env bash
# Back everything up that is there: the gateway, InfluxDB, PostgreSQL, Grafana. Then restore what can be restored into temporary places, count, and delete old backups.
#
#   backup.sh FOLDER [KEEP]      a new folder in FOLDER, named by the time; the newest KEEP (14) of them stay
#
# A folder that is called .partial was cut off. What there is to back up is said by the environment (/etc/iiot-gateway/backup.conf, for the timer):
#
#   IIOT_GATEWAY      the program; iiot-gateway by default. Its configuration: IIOT_CONFIG, /etc/iiot-gateway/config.toml by default
#   INFLUX_TOKEN      the administrator's token of InfluxDB 2, INFLUX_HOST its address; needs the program `influx`
#   BACKUP_POSTGRES   the database as its owner, postgresql://OWNER@HOST/DATABASE; PGPASSWORD or ~/.pgpass has the password; needs `pg_dump`
#   BACKUP_SCRATCH    a database of that server in which databases can be made, to restore there and count; "postgres" by default, "none" does without
#   GRAFANA_DATA      Grafana's folder, such as /var/lib/grafana
#   BACKUP_COMPOSE    the folder of docker-compose.yml: then all of this is taken from its containers, and no other variable is needed
set -euo pipefail

say() { printf '%s\n' "$*"; }
die() {
    printf 'backup.sh: %s\n' "$*" >&2
    exit 1
}

folder=${1:?backup.sh FOLDER [KEEP]} keep=${2:-14}
[[ $keep =~ ^[1-9][0-9]*$ ]] || die "KEEP: expected a number above 0, found $keep"
umask 077
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"
exec 9>"$folder/.lock"
flock -n 9 || die "another backup into $folder is under way"
name="$(date -u +%Y-%m-%dT%H%M%SZ)"
work="$folder/$name.partial"
mkdir "$work"
scratch="iiot_verify_$$"
tab=$'\t'
# Where the trial's database was made, if it was.
maintenance=

compose() { docker compose --project-directory "$BACKUP_COMPOSE" "$@"; }
# What runs of the services that are backed up.
running=
has_service() { grep -qx "$1" <<<"$running"; }
# Grafana writes while it is copied, so what came is looked at.
is_whole() { python3 -c 'import sqlite3, sys; sys.exit(sqlite3.connect(sys.argv[1]).execute("PRAGMA integrity_check").fetchone() != ("ok",))' "$1" 2>/dev/null; }

finish() {
    if [ -n "$maintenance" ]; then on_postgres psql -Xq -d "$maintenance" -c "DROP DATABASE IF EXISTS $scratch" >/dev/null 2>&1 || true; fi
    # The room of what is of no use.
    rm -rf "$work"
}
trap finish EXIT

# on_postgres PROGRAM ARGUMENT...: run a client where the server is, as the owner.
on_postgres() {
    if [ -n "${BACKUP_COMPOSE:-}" ]; then
        compose exec -T -e PGUSER=iiot_owner -e PGDATABASE=factory_metrics timescaledb "$@"
    else
        "$@"
    fi
}

# A service that stands still would be missing in a backup that calls itself whole.
look_at_containers() {
    local ask wanted service
    ask="docker compose does not answer for BACKUP_COMPOSE=$BACKUP_COMPOSE: is Docker there, and may $(id -un) use it?"
    wanted="$(compose config --services)" || die "$ask"
    running="$(compose ps --services --status running)" || die "$ask"
    while read -r service; do
        has_service "$service" || die "$service does not run, so it cannot be backed up. Start it: docker compose up -d $service"
    done < <(grep -Ex 'gateway-.*|influxdb|timescaledb|grafana' <<<"$wanted")
}

back_up_gateway() {
    local service config=${IIOT_CONFIG:-/etc/iiot-gateway/config.toml}
    service="$(grep '^gateway-' <<<"$running" | head -n 1)" || true
    if [ -z "$service" ]; then
        [ -e "$config" ] || die "there is no $config: name the gateway's configuration in IIOT_CONFIG"
        "${IIOT_GATEWAY:-iiot-gateway}" backup "$work/gateway" --config "$config"
        "${IIOT_GATEWAY:-iiot-gateway}" backup verify "$work/gateway" --restore
        return
    fi
    if ! compose exec -T "$service" sh -c "iiot-gateway backup /backups/$name --config $config && iiot-gateway backup verify /backups/$name --restore" ||
        ! compose cp "$service:/backups/$name" "$work/gateway"; then
        # Its folder gets room again, whatever happened.
        compose exec -T "$service" rm -rf "/backups/$name" || true
        die "the gateway could not be backed up"
    fi
    compose exec -T "$service" rm -rf "/backups/$name"
}

back_up_influxdb() {
    if [ -n "${BACKUP_COMPOSE:-}" ]; then
        has_service influxdb || return 0
        compose exec -T influxdb sh -c "rm -rf /tmp/backup && INFLUX_TOKEN=\"\$DOCKER_INFLUXDB_INIT_ADMIN_TOKEN\" influx backup /tmp/backup"
        compose cp influxdb:/tmp/backup "$work/influxdb"
        compose exec -T influxdb rm -rf /tmp/backup
    elif [ -n "${INFLUX_TOKEN:-}" ]; then
        command -v influx >/dev/null || die "INFLUX_TOKEN is set, but there is no program influx"
        influx backup "$work/influxdb"
    else
        return 0
    fi
    # It is checked for completeness, and not restored: the manifest names every file, and all of them must be there.
    python3 - "$work/influxdb" <<'PYTHON' || die "the backup of InfluxDB is not whole"
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
manifests = sorted(folder.glob("*.manifest"))
if not manifests:
    sys.exit("no manifest came")
names = []
def walk(value):
    if isinstance(value, dict):
        if "fileName" in value:
            names.append((value["fileName"], value.get("size")))
        for each in value.values():
            walk(each)
    elif isinstance(value, list):
        for each in value:
            walk(each)
walk(json.loads(manifests[-1].read_text()))
for name, size in names:
    if not (folder / name).is_file() or (size is not None and (folder / name).stat().st_size != size):
        sys.exit(f"{name} is missing, or has another size")
print(f"influxdb: {len(names)} files of {manifests[-1].name}")
PYTHON
}

# counts DATABASE: each table with its rows, behind a tab. What TimescaleDB keeps for itself is counted with its hypertables.
counts() {
    local tables="SELECT format('SELECT %L, count(*) FROM %I.%I;', CASE n WHEN 'public' THEN t ELSE n || '.' || t END, n, t)
        FROM (SELECT c.relname t, s.nspname n FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND s.nspname !~ '^(pg_|information_schema$|_?timescaledb_)' ORDER BY 2, 1) x"
    on_postgres psql -XAt -d "$1" -c "$tables" | on_postgres psql -XAt -F "$tab" -d "$1"
}

names() { cut -f 1 <<<"$1" | sort; }

back_up_postgresql() {
    local database=${BACKUP_POSTGRES:-} server=${BACKUP_SCRATCH:-postgres} before after restored missing table rows lowest highest
    if [ -n "${BACKUP_COMPOSE:-}" ]; then
        has_service timescaledb || return 0
        database=factory_metrics
    elif [ -z "$database" ]; then
        return 0
    else
        command -v pg_dump >/dev/null || die "BACKUP_POSTGRES is set, but there is no program pg_dump"
    fi
    before="$(counts "$database")"
    on_postgres pg_dump --format=custom --dbname="$database" >"$work/postgresql.dump"
    after="$(counts "$database")"
    if [ "$server" = none ]; then
        say "postgresql: dumped, and not restored for a trial"
        return
    fi
    local there=$server target=$scratch
    if [[ $database == postgresql://* ]]; then
        local parameters="" base=$database
        if [[ $base == *\?* ]]; then parameters="?${base#*\?}" base=${base%%\?*}; fi
        there="${base%/*}/$server$parameters" target="${base%/*}/$scratch$parameters"
    fi
    on_postgres psql -Xq -d "$there" -c "CREATE DATABASE $scratch"
    maintenance=$there
    if [ -n "$(on_postgres psql -XAt -d "$database" -c "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")" ]; then
        on_postgres psql -Xq -d "$target" -c "CREATE EXTENSION IF NOT EXISTS timescaledb" -c "SELECT timescaledb_pre_restore()" >/dev/null
        on_postgres pg_restore --no-owner --no-privileges --dbname="$target" <"$work/postgresql.dump"
        on_postgres psql -Xq -d "$target" -c "SELECT timescaledb_post_restore()" >/dev/null
    else
        on_postgres pg_restore --no-owner --no-privileges --exit-on-error --dbname="$target" <"$work/postgresql.dump"
    fi
    restored="$(counts "$target")"
    on_postgres psql -Xq -d "$there" -c "DROP DATABASE $scratch"
    maintenance=
    if [ -z "$before$restored" ]; then
        say "postgresql: there are no tables"
        return
    fi
    missing="$(comm -23 <(comm -12 <(names "$before") <(names "$after")) <(names "$restored"))"
    if [ -n "$missing" ]; then die "postgresql: missing in the restored copy: ${missing//$'\n'/, }"; fi
    # Rows come and go meanwhile: what was restored lies between what was there before and behind.
    while IFS=$tab read -r table rows; do
        lowest="$(printf '%s\n%s\n' "$before" "$after" | awk -F "$tab" -v t="$table" '$1 == t { print $2 }' | sort -n | head -n 1)"
        highest="$(printf '%s\n%s\n' "$before" "$after" | awk -F "$tab" -v t="$table" '$1 == t { print $2 }' | sort -n | tail -n 1)"
        if [ "$rows" -lt "${lowest:-0}" ] || [ "$rows" -gt "${highest:-0}" ]; then
            die "postgresql: $table has $rows rows in the restored copy, expected ${lowest:-0} to ${highest:-0}"
        fi
        say "postgresql: $table: $rows rows restored"
    done <<<"$restored"
}

back_up_grafana() {
    local try
    if [ -n "${BACKUP_COMPOSE:-}" ]; then
        has_service grafana || return 0
    elif [ -z "${GRAFANA_DATA:-}" ]; then
        return 0
    fi
    for try in 1 2 3 4 5; do
        rm -rf "$work/grafana"
        mkdir "$work/grafana"
        if [ -n "${BACKUP_COMPOSE:-}" ]; then
            compose cp grafana:/var/lib/grafana/. "$work/grafana" >/dev/null
        else
            cp -a "$GRAFANA_DATA/." "$work/grafana"
        fi
        # Without this file its database is on a server.
        if [ ! -e "$work/grafana/grafana.db" ] || is_whole "$work/grafana/grafana.db"; then
            say "grafana: copied"
            return
        fi
        say "grafana: it wrote while it was copied; try $try"
        sleep 2
    done
    die "no whole copy of Grafana's database came in five tries"
}

if [ -n "${BACKUP_COMPOSE:-}" ]; then look_at_containers; fi
back_up_gateway
back_up_influxdb
back_up_postgresql
back_up_grafana
sync "$work" 2>/dev/null || sync
mv "$work" "$folder/$name"
trap - EXIT
say "$folder/$name: $(du -sh "$folder/$name" | cut -f 1)"
# The lock says that nobody makes a .partial now; those that are left were cut off.
find "$folder" -mindepth 1 -maxdepth 1 -type d -name '20*.partial' -exec rm -rf {} +
find "$folder" -mindepth 1 -maxdepth 1 -type d -name '20??-??-??T??????Z' | sort -r | tail -n +"$((keep + 1))" | while IFS= read -r old; do
    rm -rf "$old"
    say "deleted $old"
done
