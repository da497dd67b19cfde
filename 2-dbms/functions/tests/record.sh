#!/bin/sh
# Writes tests/expected from tests/cases with a PostgreSQL 15 (UTF8, locale C.UTF-8, TimeZone UTC):
#   PGHOST=... PGPORT=... tests/record.sh
set -eu
cd "$(dirname "$0")"
for case in cases/*.txt; do
    grep -v -e '^#' -e '^$' "$case" | psql -XqAt -v ON_ERROR_STOP=1 -f record.sql -o "expected/$(basename "$case")" "${PGDATABASE:-postgres}"
done
