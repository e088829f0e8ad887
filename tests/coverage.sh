#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Branch coverage of the parsers of numbers, sizes, durations and limits by the unit and golden
# tests, by gcov; exit status 1 when one is below 95 %. Prints the other modules' for information.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/lib.sh
. "$top/tests/lib.sh"

build=$top/.build/coverage
least=95
must='src/base/num.c src/spec/limits.c src/manager/limits.c'

build_tree "$build" all -Db_coverage=true --buildtype=debug
find "$build" -name '*.gcda' -delete
meson test -C "$build" --no-rebuild --suite unit --suite golden >/dev/null ||
	echo "some tests failed; see $build/meson-logs/testlog.txt" >&2

# branches FILE.gcda: "taken-percent" of the source file it belongs to, nothing without branches
branches() {
	gcov -b -c -n -o "$(dirname "$1")" "$1" 2>/dev/null |
		awk -v name="$2" '/^File / { mine = index($0, name) > 0 }
			mine && /^Taken at least once:/ { split($0, a, /[:%]/); print a[2]; exit }'
}

status=0
cd "$build"
for gcda in $(find . -path './tests' -prune -o -name '*.c.gcda' -print | sort); do
	# ./src/base/libbase.a.p/num.c.gcda is about src/base/num.c
	folder=$(dirname "$(dirname "$gcda")")
	name=${folder#./}/$(basename "$gcda" .gcda)
	percent=$(branches "$gcda" "$name")
	[ -n "$percent" ] || continue
	note=
	case " $must " in
	*" $name "*)
		if awk -v p="$percent" -v l="$least" 'BEGIN { exit !(p < l) }'; then
			note=" below $least %"
			status=1
		fi
		;;
	*) note=' (for information)' ;;
	esac
	printf '%6s %%  %s%s\n' "$percent" "$name" "$note"
done
exit "$status"
