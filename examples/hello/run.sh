#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# From a fresh clone on Debian 12 to a finished build of hello: installs what is missing, builds
# Contractor in .build/release, makes the worker image beside this script once, and builds.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=tests/lib.sh
. "$top/tests/lib.sh"

need_to_build_and_run
build_tree "$top/.build/release" programs
contractor=$top/.build/release/src/cli/contractor
worker_image "$contractor" "$here/worker.img"
exec "$contractor" build "$here/hello.yaml"
