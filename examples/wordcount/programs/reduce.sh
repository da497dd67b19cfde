#!/bin/bash
# reduce NUMBER: adds up the counts of words-0, words-1, ...; the most frequent word comes first.
set -euo pipefail
export LC_ALL=C
awk '{ count[$2] += $1 } END { for (word in count) print count[word], word }' words-* |
    sort -k1,1nr -k2,2 >counts
echo "$(wc -l <counts) different words"
tuplix send --key counted wordcount "reduce $1: $(wc -l <counts) different words"
