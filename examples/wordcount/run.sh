#!/usr/bin/env bash
# Counts words on a node that runs: loads the texts, runs the graph, prints the twenty most frequent words.
#
#   run.sh [--input DIR]...    as load.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tuplix=${TUPLIX:-tuplix}
"$here/load.sh" "$@"
"$tuplix" run "$here/wordcount.toml"
"$tuplix" cat wordcount/top.txt
