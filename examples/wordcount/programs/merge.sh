#!/bin/bash
# merge HOW_MANY: one list out of counts-0, counts-1, ..., and its first lines.
set -euo pipefail
export LC_ALL=C
sort -m -k1,1nr -k2,2 counts-* >counts
head -n "$1" counts >top
