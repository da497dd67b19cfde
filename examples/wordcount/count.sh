#!/usr/bin/env bash
# The same count by sort and uniq alone, of local files, to compare with: count.sh HOW_MANY PATH...
set -euo pipefail
export LC_ALL=C
how_many=$1
shift
find -L "$@" -type f -exec sh -c 'for file; do cat "$file"; echo; done' sh {} + |
    tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z' | sed '/^$/d' | sort | uniq -c | sort -k1,1nr -k2,2 |
    awk -v how_many="$how_many" 'NR <= how_many { print $1, $2 }'
