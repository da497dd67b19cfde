#!/usr/bin/env bash
# Prints the five queries about the newest run, and their answers.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tuplix=${TUPLIX:-tuplix}
for query in "$here"/queries/*.sql; do
    printf '%s\n' "$(sed -n '1s/^-- //p' "$query")"
    "$tuplix" sql <"$query"
done
