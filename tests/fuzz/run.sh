#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Looks for inputs that break a parser: tests/fuzz/run.sh NAME [SECONDS]; without NAME, lists them.
# New inputs stay in .build/fuzz-found/NAME; a crash is written there as crash-* and ends the run.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
build=$top/.build/fuzz
name=${1:-}
seconds=${2:-60}

if [ -z "$name" ] || [ ! -f "$top/tests/fuzz/fuzz-$name.c" ]; then
	echo "usage: tests/fuzz/run.sh NAME [SECONDS]; the names:" >&2
	for f in "$top"/tests/fuzz/fuzz-*.c; do
		n=${f##*/fuzz-}
		echo "  ${n%.c}" >&2
	done
	exit 2
fi

if [ ! -f "$build/build.ninja" ]; then
	CC=clang meson setup -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
		-Doptimization=1 "$build" "$top"
fi
ninja -C "$build" "tests/fuzz/fuzz-$name"

found=$top/.build/fuzz-found/$name
mkdir -p "$found"
set -- -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$found/"
[ ! -f "$top/tests/fuzz/$name.dict" ] || set -- "$@" -dict="$top/tests/fuzz/$name.dict"
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
exec "$build/tests/fuzz/fuzz-$name" "$@" "$found" "$top/tests/fuzz/corpus/$name"
