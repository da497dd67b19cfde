#!/usr/bin/env bash
# The first steps: builds the command, starts a node in a folder of its own, schedules tasks by a PL/pgSQL
# procedure, kills the node with SIGKILL, starts it again and compares. Ends with an error if a row differs.
#
#   run.sh [TASKS]     how many tasks to schedule (7)
set -euo pipefail
cd "$(dirname "$0")/../.."
tasks=${1:-7}
example=examples/first-steps

say() { printf '\n== %s\n' "$*"; }

say 'Building'
cargo build --release --locked -p tuplix-cli --bin tuplix
tuplix=$(realpath "${CARGO_TARGET_DIR:-target}/release/tuplix")
. scripts/node.sh

say 'Starting a node'
start_node

say "Loading $example"
for file in schema schedule_fifo workers; do
    "$tuplix" sql <"$example/$file.sql"
done

say "Scheduling $tasks tasks: SELECT demo.schedule_fifo(0, task)"
for ((task = 1; task <= tasks; task++)); do
    "$tuplix" sql --csv "SELECT demo.schedule_fifo(0, $task) AS worker" | tail -n 1 |
        sed "s/^$/nobody has room: it waits/; s/^[0-9]/worker &/; s/^/task $task: /"
done

say 'What the tables say'
"$tuplix" sql <"$example/show.sql" | tee "$folder/before"

say 'kill -9, then the same data directory again'
kill_node
start_node
"$tuplix" sql <"$example/show.sql" | tee "$folder/after"
cmp "$folder/before" "$folder/after"
echo 'Every row is there.'
stop_node
