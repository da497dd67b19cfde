#!/bin/bash
# split PARTS: deals the lines of all files below input/ to the files parts/0, parts/1, ...
set -euo pipefail
export LC_ALL=C
mkdir parts
# A line break after each file, or its last word would grow together with the next one's first.
find -L input -type f -exec sh -c 'for file; do cat "$file"; echo; done' sh {} + |
    split --number="r/$1" --numeric-suffixes --suffix-length=1 - parts/
echo "$(find -L input -type f | wc -l) files, $(cat parts/* | wc -l) lines"
