#!/usr/bin/env bash
# Lines of SQL and Rust per service, without blank lines, comments and tests.
set -euo pipefail
cd "$(dirname "$0")/.."

# Lines that say something, of files in SQL.
sql() { cat "$@" </dev/null | grep -cvE '^[[:space:]]*(--.*)?$' || true; }
# The same of files in Rust; a file's unit tests stand at its end.
rust() {
    awk 'FNR == 1 { tests = 0 }
         /^#\[cfg\(test\)\]/ { tests = 1 }
         !tests && !/^[[:space:]]*(\/\/.*)?$/ { lines++ }
         END { print lines + 0 }' "$@" </dev/null
}

cd 3-services
printf '%-10s %8s %11s %11s %6s %6s\n' service tables procedures invariants SQL Rust
all=(0 0 0 0 0)
row() {
    printf '%-10s %8d %11d %11d %6d %6d\n' "$@"
}
modules=()
for folder in os scheduler ipc fs; do
    files=(src/"$folder".rs)
    [ -d "src/$folder" ] && mapfile -t files < <(find "src/$folder" -name '*.rs' | sort)
    modules+=("${files[@]}")
    mapfile -t made < <(find "$folder" -maxdepth 2 -name '*.sql' ! -path '*/procedures/*' ! -name invariants.sql | sort)
    tables=$(sql "${made[@]}")
    procedures=$(sql "$folder"/procedures/*.sql)
    invariants=$(sql "$folder/invariants.sql")
    counts=("$tables" "$procedures" "$invariants" $((tables + procedures + invariants)) "$(rust "${files[@]}")")
    row "$folder" "${counts[@]}"
    for index in "${!all[@]}"; do all[index]=$((all[index] + counts[index])); done
done
mapfile -t rest < <(find src -name '*.rs' | sort | grep -vxF "$(printf '%s\n' "${modules[@]}")")
shared=$(rust "${rest[@]}")
printf '%-10s %45s %6d\n' 'for all' '' "$shared"
all[4]=$((all[4] + shared))
row total "${all[@]}"
