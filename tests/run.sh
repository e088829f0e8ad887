#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# All tests, on Debian 12: installs what they need, builds, makes one worker image, runs every
# suite, and ends with a line "N passed, N failed"; the exit status is 0 when none failed.
#
# Run by root it makes an ordinary user, contractor-test or CONTRACTOR_TEST_USER, copies the tree to
# that user's home, and runs everything there as that user; then the few tests that are about root.
# Logs are below .build/test*/meson-logs of the tree that the tests ran in.
#
# Beside it, one command each: tests/run-slow.sh for the tests of suite "slow",
# tests/fuzz/run.sh NAME SECONDS, tests/fault/run.sh, tests/coverage.sh, tests/bench/cold,
# tests/bench/warm, tests/bench/limits, tests/bench/network, tests/attack/mutate.py.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/lib.sh
. "$top/tests/lib.sh"

user=${CONTRACTOR_TEST_USER:-contractor-test}
# These need the worker image and most of the time; everything else is run before them.
slow_suites='image e2e subplot fault attack nested'
build=$top/.build/test
asan=$top/.build/test-asan

make_user() {
	id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/sh "$user"
	# Where useradd gives no subordinate ids by itself; the image build alone needs them.
	grep -q "^$user:" /etc/subuid || usermod --add-subuids 300000-365535 \
		--add-subgids 300000-365535 "$user"
}

# Some minimal machines have the device for root alone; distributions have it for everybody.
open_tun() {
	[ ! -e /dev/net/tun ] || [ "$(stat -c %a /dev/net/tun)" = 666 ] ||
		as_root chmod 0666 /dev/net/tun
}

# For the slow tests alone: new lists for those that download packages, and programs for arm64,
# which the set-up of an image for it runs.
prepare_slow() {
	[ -n "${CONTRACTOR_TEST_SLOW:-}" ] || return 0
	as_root apt-get -qq update
	need_packages qemu-user-static arch-test
	misc=/proc/sys/fs/binfmt_misc
	[ -e $misc/register ] || as_root mount -t binfmt_misc binfmt_misc $misc
	[ -e $misc/qemu-aarch64 ] ||
		as_root sh -c "cat /usr/lib/binfmt.d/qemu-aarch64.conf >$misc/register"
}

# copy_tree TARGET: the tree without what was built in it; a build folder already there is kept.
copy_tree() {
	mkdir -p "$1"
	find "$1" -mindepth 1 -maxdepth 1 ! -name .build -exec rm -rf {} +
	tar -C "$top" -cf - --exclude=./.git --exclude=./.build --exclude='*.img' \
		--exclude='*.img.json' --exclude='./examples/*/ws' --exclude=__pycache__ . |
		tar -C "$1" -xf - --no-same-owner
	chown -R "$user:" "$1"
}

# run BUILD-FOLDER LOG-NAME MESON-TEST-ARGUMENT...: the log's name goes to .build/logs.
run() {
	folder=$1
	log=$folder/meson-logs/$2
	logbase=$2
	shift 2
	rm -f "$log.json"
	meson test -C "$folder" --no-rebuild --print-errorlogs --logbase "$logbase" "$@" || true
	echo "$log.json" >>"$top/.build/logs"
}

# The image belongs to the sources that it was made from.
make_image() {
	made_from=$(cat "$top"/firmware/worker/* "$top"/src/image/*.c | sha256sum)
	if [ "$made_from" != "$(cat "$build/image/made-from" 2>/dev/null)" ]; then
		rm -f "$CONTRACTOR_TEST_IMAGE" "$CONTRACTOR_TEST_IMAGE.json"
	fi
	worker_image "$build/src/cli/contractor" "$CONTRACTOR_TEST_IMAGE" || return 1
	echo "$made_from" >"$build/image/made-from"
}

# check_names NAME...: all are slow tests; told before what takes minutes.
check_names() {
	have=$(meson test -C "$build" --no-rebuild --list --suite slow 2>/dev/null | sed -n 's,.* / ,,p')
	for name in "$@"; do
		echo "$have" | grep -Fqx -e "$name" || {
			# shellcheck disable=SC2086 # on one line
			echo "tests/run-slow.sh: no test \"$name\"; there are:" $have >&2
			exit 2
		}
	done
}

# Everything that an ordinary user can run, which is nearly all.
run_as_user() {
	build_tree "$build" build.ninja -Dwerror=true
	# shellcheck disable=SC2086 # a list of words
	check_names ${CONTRACTOR_TEST_NAMES:-}
	build_tree "$build" all
	build_tree "$asan" all --native-file "$top/build-dev.ini"
	CONTRACTOR_TEST_IMAGE=$build/image/worker.img
	CONTRACTOR_ASAN=$asan/src/cli/contractor
	export CONTRACTOR_TEST_IMAGE CONTRACTOR_ASAN
	make_image || echo "no worker image: what needs one will fail" >&2

	: >"$top/.build/logs"
	if [ -n "${CONTRACTOR_TEST_SLOW:-}" ]; then
		# shellcheck disable=SC2086 # a list of words
		run "$build" slow --suite slow --num-processes 1 ${CONTRACTOR_TEST_NAMES:-}
		return
	fi
	no_slow='--no-suite slow'
	for s in $slow_suites; do
		no_slow="$no_slow --no-suite $s"
	done
	# shellcheck disable=SC2086 # a list of words
	run "$build" fast $no_slow
	run "$asan" asan --suite unit --suite golden --suite fuzz-replay
	for s in $slow_suites; do
		if meson test -C "$build" --no-rebuild --list --suite "$s" 2>&1 | grep -q "$s"; then
			processes=1
			# mostly one waits while its one worker has one processor at work
			[ "$s" != e2e ] || processes=2
			run "$build" "$s" --suite "$s" --num-processes $processes
		fi
	done
}

if [ "${CONTRACTOR_TEST_PART:-}" = user ]; then
	run_as_user
	exit 0
fi

need_to_build_and_run
need_to_test
open_tun
prepare_slow
status=0
if [ "$(id -u)" = 0 ]; then
	make_user
	home=$(getent passwd "$user" | cut -d: -f6)
	copy_tree "$home/contractor"
	cd "$home"
	rm -f contractor/.build/logs
	runuser -u "$user" -- env -u XDG_RUNTIME_DIR -u XDG_STATE_HOME -u XDG_CACHE_HOME \
		HOME="$home" USER="$user" LOGNAME="$user" TMPDIR=/tmp CONTRACTOR_TEST_PART=user \
		"$home/contractor/tests/run.sh" || status=1
	top=$home/contractor
else
	rm -f "$top/.build/logs"
	CONTRACTOR_TEST_PART=user "$top/tests/run.sh" || status=1
fi
# A log that is not there counts as a failure too.
touch "$top/.build/logs"
tr '\n' '\0' <"$top/.build/logs" | xargs -0 "$top/tests/count.py" || status=1
exit "$status"
