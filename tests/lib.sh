# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# What the scripts share: packages of Debian 12, the build, the worker image. To be sourced with
# $top set to the top folder of the tree.
: "${top:?}"

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# Installs those of the named packages that are missing.
need_packages() {
	missing=
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed ||
			missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	echo "installing:$missing" >&2
	as_root apt-get -qq update
	# shellcheck disable=SC2086 # a list of words
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
		-o Dpkg::Use-Pty=0 install $missing >&2
}

# To build Contractor and to run a build with it.
need_to_build_and_run() {
	need_packages gcc libc6-dev meson ninja-build pkg-config python3 \
		libcjson-dev libyaml-dev libarchive-dev liblz4-dev libnl-3-dev libnl-route-3-dev libnl-nf-3-dev \
		qemu-system-x86 mmdebstrap e2fsprogs uidmap cpio zstd xz-utils busybox-static \
		ca-certificates debian-archive-keyring
}

# What the tests need besides.
need_to_test() {
	need_packages check make chromium fish tmux zsh python3-yaml python3-jsonschema clang clang-tidy clang-format libclang-rt-14-dev llvm \
		shellcheck scdoc valgrind strace nftables iproute2 curl git openssh-client openssl perl \
		qemu-system-arm dropbear-bin debhelper qemu-utils erofs-utils
}

# build_tree FOLDER TARGET [MESON-OPTION...]: configures it the first time, and builds the target.
build_tree() {
	folder=$1
	target=$2
	shift 2
	[ -f "$folder/build.ninja" ] || meson setup "$@" "$folder" "$top" >&2
	ninja -C "$folder" "$target" >&2
}

# worker_image CONTRACTOR IMAGE: makes it where it is missing, with a C compiler in it.
worker_image() {
	[ -f "$2" ] && [ -f "$2.json" ] && return 0
	echo "making $2: this takes some minutes, once" >&2
	mkdir -p "$(dirname "$2")"
	"$1" image build -o "$2" --include build-essential >&2
}
