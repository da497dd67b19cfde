#!/usr/bin/env bash
# Installs what a fresh Debian 12 with rustup lacks to build and test Tuplix; with the argument `demo` only what
# building the command takes. Says what it does; does nothing when all is there; without apt-get it only checks.
set -euo pipefail

# What is needed, how to see that it is there, and the package that has it.
# pg_query compiles PostgreSQL's parser (cc, make) and binds it (libclang); PostgreSQL 15 is the second
# engine and the oracle in tests; psql is the client.
missing=()
packages=()
need() { # need WHAT PACKAGE COMMAND...
    local what=$1 package=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        missing+=("$what")
        packages+=("$package")
    fi
}

has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    ldconfig -p | grep -q 'libclang[-.]' && return 0
    compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null
}
has_postgres_server() {
    command -v pg_ctl && return 0
    compgen -G '/usr/lib/postgresql/*/bin/pg_ctl'
}

PATH="$PATH:/usr/sbin:/sbin"
need 'a C compiler' build-essential command -v cc
need 'make' make command -v make
need 'clang (for bindgen)' clang command -v clang
need 'libclang' libclang-dev has_libclang
need 'pkg-config' pkg-config command -v pkg-config
if [ "${1:-}" != demo ]; then
    need 'the PostgreSQL server' postgresql has_postgres_server
    need 'psql' postgresql-client command -v psql
    # A small disk to fill up; only root can use them, and tests of others take a tmpfs.
    if [ "$(id -u)" -eq 0 ]; then
        need 'mkfs.ext4' e2fsprogs command -v mkfs.ext4
        need 'losetup' mount command -v losetup
    fi
fi

if ! command -v cargo >/dev/null && [ ! -x "$HOME/.cargo/bin/cargo" ]; then
    echo "install-dependencies: Rust is missing; see https://rustup.rs" >&2
    exit 1
fi
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

list=$(printf ', %s' "${missing[@]}")
echo "install-dependencies: missing: ${list:2}"
if ! command -v apt-get >/dev/null; then
    echo "install-dependencies: there is no apt-get here; install these with this system's packages" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-dependencies: run this as root: apt-get install ${packages[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "install-dependencies: apt-get install ${packages[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The package would start a server on PostgreSQL's own port; tests start theirs, so none is created.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    "${as_root[@]}" mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
if ! { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--force-confold "${packages[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "install-dependencies: apt-get failed, its last words are above" >&2
    exit 1
fi
echo "install-dependencies: done"
