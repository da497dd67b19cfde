#!/usr/bin/env bash
# Runs cargo-fuzz's targets (testing/fuzz) one after the other; installs cargo-fuzz where it is missing. The first input that makes one panic
# or hang ends the run with its path.
#
#   scripts/fuzz.sh [SECONDS] [TARGET]...     60 seconds for each of log, checkpoint, segment, sql, wire
#   TOOLCHAIN=+nightly SANITIZER=address scripts/fuzz.sh     with AddressSanitizer, which stable Rust has not
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then targets=(log checkpoint segment sql wire); fi
version=0.13.2

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz.sh: cargo install cargo-fuzz"
    cargo install cargo-fuzz --locked --quiet --version "$version"
fi
# Its own: other flags would have the workspace built anew each time.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
fixture=testing/fixtures/2/data
for target in "${targets[@]}"; do
    case $target in
    log) inputs=("$fixture/log") options=(-max_len=65536) ;;
    checkpoint) inputs=("$fixture/checkpoint") options=(-max_len=65536) ;;
    segment) inputs=("$fixture/history") options=(-max_len=65536) ;;
    sql) inputs=(testing/fuzz/seeds/sql) options=(-max_len=1024 -only_ascii=1 -dict=testing/fuzz/sql.dict) ;;
    wire) inputs=(testing/fuzz/seeds/wire) options=(-max_len=2048) ;;
    *)
        echo "fuzz.sh: there is no target $target; there are log, checkpoint, segment, sql, wire" >&2
        exit 2
        ;;
    esac
    # What it finds on the way stays with the build.
    corpus=$CARGO_TARGET_DIR/corpus/$target
    mkdir -p "$corpus"
    printf '\n== fuzz %s, %s s\n' "$target" "$seconds"
    cargo ${TOOLCHAIN:-} fuzz run --fuzz-dir testing/fuzz --sanitizer "${SANITIZER:-none}" -a "$target" "$corpus" "${inputs[@]}" -- \
        -max_total_time="$seconds" -timeout=30 -rss_limit_mb=4096 -print_final_stats=1 "${options[@]}"
done
