#!/usr/bin/env bash
# Real clients against a node: psycopg 3, SQLAlchemy 2, node-postgres, the JDBC driver. Downloads what they need into a folder
# beside the build's output, starts a fresh node for each, and prints a line for each; fails when one of them does. What this
# machine has no interpreter for is said and left out; that is a failure for a client that is named, and when nothing is left.
#   testing/clients/run.sh [psycopg|sqlalchemy|node|jdbc]...
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
tools=$target/clients
tuplix=${TUPLIX:-$target/release/tuplix}
mkdir -p "$tools"
if [ ! -x "$tuplix" ]; then
    echo "clients: $tuplix is not built: cargo build --release --locked -p tuplix-cli" >&2
    exit 1
fi

node= data= failed=0
stop() {
    if [ -n "$node" ]; then
        kill "$node" 2>/dev/null && wait "$node" 2>/dev/null || true
        rm -rf "$data"
    fi
    node=
}
trap stop EXIT

# Starts a node on a free port; sets `port`.
start() {
    data=$(mktemp -d)
    : >"$tools/node.log"
    USER=ada "$tuplix" up --no-worker --port 0 --data "$data" >"$tools/node.log" 2>&1 &
    node=$!
    until grep -q 'stop with' "$tools/node.log"; do
        kill -0 "$node" 2>/dev/null || { cat "$tools/node.log" >&2; exit 1; }
        sleep 0.1
    done
    port=$(sed -n 's/.*listening 127.0.0.1:\([0-9]*\).*/\1/p' "$tools/node.log")
    # The clients are what is tried, not the door: they need no password.
    USER=ada "$tuplix" sql --data "$data" "SELECT set_host_rule(1, 'host', 'all', 'all', '127.0.0.1/32', 'trust')" >"$tools/trust.log"
}

python_ready() {
    command -v python3 >/dev/null || { why='there is no python3'; return 1; }
    [ -x "$tools/venv/bin/python" ] || python3 -m venv "$tools/venv" || { why='python3 has no venv'; return 1; }
    "$tools/venv/bin/python" -c 'import psycopg, sqlalchemy' 2>/dev/null ||
        "$tools/venv/bin/pip" install --quiet 'psycopg[binary]~=3.2' 'sqlalchemy~=2.0' || { echo 'clients: pip cannot install psycopg and SQLAlchemy' >&2; exit 1; }
}
node_ready() {
    command -v npm >/dev/null || { why='there is no npm'; return 1; }
    [ -d "$tools/node_modules/pg-cursor" ] ||
        npm install --silent --prefix "$tools" pg@8 pg-cursor@2 || { echo 'clients: npm cannot install pg' >&2; exit 1; }
}
jdbc_ready() {
    command -v java >/dev/null || { why='there is no java (11 or newer, with its compiler)'; return 1; }
    jar=${JDBC:-/usr/share/java/postgresql.jar}
    [ -e "$jar" ] || { why="there is no $jar: apt-get install libpostgresql-jdbc-java"; return 1; }
}

ready() {
    case $1 in
    psycopg | sqlalchemy) python_ready ;;
    node) node_ready ;;
    jdbc) jdbc_ready ;;
    *) echo "clients: there is no client $1" >&2; exit 2 ;;
    esac
}
try() {
    local url=postgres://ada@127.0.0.1:$port/test
    case $1 in
    psycopg | sqlalchemy) "$tools/venv/bin/python" "$here/$1_test.py" "$url" ;;
    node) NODE_PATH=$tools/node_modules node "$here/node_test.js" "$url" ;;
    jdbc) java -cp "$jar" "$here/Jdbc.java" "jdbc:postgresql://127.0.0.1:$port/test" ;;
    esac
}

named=$#
[ $# -gt 0 ] || set -- psycopg sqlalchemy node jdbc
tried=0
for client; do
    why=
    if ! ready "$client"; then
        echo "$client: left out, $why"
        [ "$named" -eq 0 ] || failed=1
        continue
    fi
    start
    tried=$((tried + 1))
    if try "$client" >"$tools/$client.log" 2>&1; then
        echo "$client: passed"
    else
        echo "$client: FAILED"
        tail -n 20 "$tools/$client.log"
        failed=1
    fi
    stop
done
if [ "$tried" -eq 0 ]; then
    echo 'clients: none was tried' >&2
    exit 1
fi
exit $failed
