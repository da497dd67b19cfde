#!/usr/bin/env bash
# The texts that are counted when nobody names others, a path a line.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
printf '%s\n' /usr/share/common-licenses "$root/docs" "$root"/*.md
