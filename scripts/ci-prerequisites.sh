#!/bin/sh
# Checks what 'make test-integration' needs beside uv, and installs what is missing where it may:
# as root, with apt-get. Usage: ci-prerequisites.sh [--browser]
#   java 17+   runs Apache Kafka        (required)
#   mvn        fetches it, once         (required)
#   initdb     PostgreSQL's programs    (required)
#   chromium   browser tests            (only noted; --browser makes it required)
set -eu

java_major() { # 17 for 'openjdk version "17.0.15"', 0 without a Java
    command -v java >/dev/null || { echo 0; return; }
    major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    echo "${major:-0}"
}

has_postgresql() { # Debian keeps its programs off the PATH
    command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

missing() { # the Debian packages that are wanted and not there, one a line
    [ "$(java_major)" -ge 17 ] || echo default-jre-headless
    command -v mvn >/dev/null || echo maven
    has_postgresql || echo postgresql
    [ "$browser" = no ] || command -v chromium >/dev/null || echo chromium
}

browser=no
case "${1-}" in
    '') ;;
    --browser) browser=yes ;;
    *) echo "usage: $0 [--browser]" >&2; exit 2 ;;
esac

packages=$(missing | tr '\n' ' ')
if [ -n "$packages" ]; then
    if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
        echo "missing: $packages- install these (Debian's names), or run $0 as root on Debian or Ubuntu" >&2
        exit 1
    fi
    echo "installing: $packages" >&2
    apt-get update -qq >&2
    # One name a word, so unquoted.
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2
    still=$(missing | tr '\n' ' ')
    if [ -n "$still" ]; then
        echo "still missing after installing: $still" >&2
        exit 1
    fi
fi

echo "java $(java_major), mvn and PostgreSQL are there" >&2
[ "$browser" = yes ] || command -v chromium >/dev/null || echo "note: no chromium: browser tests need it ($0 --browser)" >&2
