#!/usr/bin/env bash
# The first steps: builds the command, starts a node in a folder of its own, schedules tasks by a PL/pgSQL
# procedure, kills the node with SIGKILL, starts it again and compares. Ends with an error if a row differs.
#
#   scripts/demo.sh [TASKS]     how many tasks to schedule (7)
set -euo pipefail
cd "$(dirname "$0")/.."
tasks=${1:-7}
target=${CARGO_TARGET_DIR:-target}
example=examples/first-steps

say() { printf '\n== %s\n' "$*"; }

say 'Building'
started=$SECONDS
cargo build --release --locked -p tuplix-cli
echo "built in $((SECONDS - started)) s"
tuplix=$(realpath "$target/release/tuplix")

folder=$(mktemp -d)
export TUPLIX_DATA=$folder/data
node=
cleanup() {
    if [ -n "$node" ]; then
        kill -9 "$node" 2>/dev/null || true
        wait "$node" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap cleanup EXIT

# Starts a node on any free port and waits for its last line of greeting.
start_node() {
    mkfifo "$folder/greeting"
    "$tuplix" up --port 0 >"$folder/greeting" &
    node=$!
    # The read end stays open, or the node's later words would end it.
    exec 3<"$folder/greeting"
    rm "$folder/greeting"
    while IFS= read -r line <&3; do
        echo "$line"
        case $line in *'stop with'*) return ;; esac
    done
    echo 'the node did not start' >&2
    exit 1
}

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
kill -9 "$node"
wait "$node" 2>/dev/null || true
exec 3<&-
start_node
"$tuplix" sql <"$example/show.sql" | tee "$folder/after"
cmp "$folder/before" "$folder/after"
echo 'Every row is there.'

kill "$node"
wait "$node"
node=
