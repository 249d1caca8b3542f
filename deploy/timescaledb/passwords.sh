#!/bin/sh
# Give the roles of schema.sql their passwords, once, when the database is made. psql reads them as variables, so no password is a part of SQL.
set -eu
psql -v ON_ERROR_STOP=1 -v writer="$POSTGRES_WRITER_PASSWORD" -v reader="$POSTGRES_READER_PASSWORD" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
ALTER ROLE iiot_writer PASSWORD :'writer';
ALTER ROLE iiot_reader PASSWORD :'reader';
SQL
