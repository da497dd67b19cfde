#!/usr/bin/env bash
# Puts the programs and the texts into Tuplix, in place of those that are there.
#
#   load.sh [--input DIR]...   the texts: all files below these directories, or these files. Left out: Debian's
#                              licences and this project's documents
# TUPLIX names the command (tuplix), TUPLIX_DATA the node.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tuplix=${TUPLIX:-tuplix}
inputs=()
while [ $# -gt 0 ]; do
    case $1 in
    --input)
        [ $# -gt 1 ] || { echo 'load.sh: --input needs a directory' >&2; exit 2; }
        inputs+=("$2")
        shift 2
        ;;
    *) echo "load.sh: unknown argument $1; it takes --input DIR" >&2; exit 2 ;;
    esac
done
if [ ${#inputs[@]} -eq 0 ]; then
    mapfile -t inputs < <("$here/texts.sh")
fi
for input in "${inputs[@]}"; do
    [ -e "$input" ] || { echo "load.sh: there is no $input" >&2; exit 1; }
done

if "$tuplix" stat wordcount >/dev/null 2>&1; then
    "$tuplix" rm -r wordcount
fi
"$tuplix" put "$here"/programs/*.sh wordcount/programs/ >/dev/null
# Each below a directory of its own number, so that equal names do not meet.
number=0
for input in "${inputs[@]}"; do
    "$tuplix" put -r "$input" "wordcount/input/$number/"
    number=$((number + 1))
done | awk '{ files++; bytes += $(NF - 1) } END { printf "loaded %d files, %d bytes\n", files, bytes }'
