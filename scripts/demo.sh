#!/usr/bin/env bash
# The main job: builds the command, starts a node, counts words twice, the second time with a kill -9 of the node in
# the middle, and explains the second run by queries. Ends with an error if a result differs.
#
#   scripts/demo.sh [--input DIR]...   count other texts than Debian's licences and this project's documents
set -euo pipefail
inputs=()
while [ $# -gt 0 ]; do
    if [ "$1" != --input ] || [ $# -lt 2 ]; then
        echo "demo.sh: unknown argument $1; it takes --input DIR" >&2
        exit 2
    fi
    inputs+=("$(realpath "$2")")
    shift 2
done
cd "$(dirname "$0")/.."
example=examples/wordcount

say() { printf '\n== %s\n' "$*"; }
fail() {
    echo "demo: $*" >&2
    exit 1
}
# Compares a result with the one by sort and uniq.
same() { # same NAME FILE
    diff "$folder/expected" "$2" || fail "$1 differs from sort and uniq (<)"
}

say 'Building the command'
started=$SECONDS
cargo build --release --locked -p tuplix-cli --bin tuplix
build_s=$((SECONDS - started))
tuplix=$(realpath "${CARGO_TARGET_DIR:-target}/release/tuplix")
export TUPLIX=$tuplix
started=$SECONDS
. scripts/node.sh

arguments=()
for input in "${inputs[@]}"; do arguments+=(--input "$input"); done
if [ ${#inputs[@]} -eq 0 ]; then
    mapfile -t inputs < <("$example/texts.sh")
fi
"$example/count.sh" 20 "${inputs[@]}" >"$folder/expected"

say 'tuplix up'
start_node

say "$example/run.sh: one split, six maps, three reduces, one merge"
"$example/run.sh" "${arguments[@]}"
"$tuplix" cat wordcount/top.txt >"$folder/first"
same 'the first result' "$folder/first"
echo 'The same as sort | uniq -c.'

say 'Once more, with a kill -9 of the node when three tasks are over'
"$example/load.sh" "${arguments[@]}"
"$tuplix" recv --all wordcount >/dev/null
mkfifo "$folder/progress"
"$tuplix" run "$example/wordcount.toml" >"$folder/run" 2>"$folder/progress" &
run=$!
killed=
while IFS= read -r line; do
    echo "$line"
    case $line in
    3\ of\ *)
        kill_node
        killed=yes
        ;;
    esac
done <"$folder/progress"
[ -n "$killed" ] || fail 'the graph ended before the kill'
if wait "$run"; then fail 'the run did not notice that its node was killed'; fi
graph=$(awk 'NR == 1 { print $2 }' "$folder/run")

say 'tuplix up, on the same data directory'
start_node
say "tuplix wait --graph $graph"
"$tuplix" wait --graph "$graph"
"$tuplix" cat wordcount/top.txt >"$folder/second"
same 'the result after the kill' "$folder/second"
echo 'The same result.'
"$tuplix" check

say 'What map and reduce announced: tuplix recv --all wordcount'
"$tuplix" recv --all wordcount

say 'The whole life of this run, from tables alone'
"$example/report.sh"

say 'Ctrl-C or SIGTERM ends the node'
stop_node
say "built in $build_s s, ran in $((SECONDS - started)) s"
