#!/bin/bash
# map NUMBER REDUCERS: counts the words of the file part; words/0, words/1, ... is what each reducer gets.
set -euo pipefail
export LC_ALL=C
mkdir words
tr -cs 'A-Za-z' '\n' <part | tr 'A-Z' 'a-z' | awk -v reducers="$2" '
    # A word belongs to the reducer that its first letter says.
    function reducer(word) { return index("abcdefghijklmnopqrstuvwxyz", substr(word, 1, 1)) % reducers }
    NF { count[$0]++; all++ }
    END {
        for (number = 0; number < reducers; number++) printf "" >("words/" number)
        for (word in count) print count[word], word >("words/" reducer(word))
        print all + 0, "words"
    }' >counted
cat counted
# The key makes it one message, whatever is repeated after a crash.
tuplix send --key counted wordcount "map $1: $(cat counted)"
