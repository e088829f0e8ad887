#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk as a distribution's cloud image is one: an MBR, grub, one ext4 partition, systemd, cloud-init.

usage: stock.py FILE.qcow2: made by mmdebstrap, mke2fs and grub's own tools in it, without root and
without a loop device; nothing of Contractor's is in it.
"""

import os
import struct
import subprocess
import sys
import tempfile

SIZE = 2 << 30
START = 2048  # sectors; grub's core image is in the gap before
PACKAGES = ("linux-image-cloud-amd64,systemd-sysv,cloud-init,grub-pc-bin,grub-common,isc-dhcp-client,"
            "netbase,ifupdown,udev,dbus,openssh-server,cloud-guest-utils,fdisk,gcc,libc6-dev,make")
MODULES = "biosdisk part_msdos ext2 linux normal configfile search search_label echo test serial terminal"
# In the tree, as grub-install and update-grub would have left it; nothing here looks at a disk.
HOOK = f"""set -eu
mkdir -p "$1/boot/grub/i386-pc"
cp "$1"/usr/lib/grub/i386-pc/*.mod "$1"/usr/lib/grub/i386-pc/*.lst "$1/boot/grub/i386-pc"
chroot "$1" grub-mkimage -O i386-pc -o /boot/grub/i386-pc/core.img -p '(hd0,msdos1)/boot/grub' {MODULES}
cp "$1/usr/lib/grub/i386-pc/boot.img" "$1/boot/grub/i386-pc"
kernel=$(cd "$1/boot" && ls vmlinuz-*)
cat >"$1/boot/grub/grub.cfg" <<EOF
serial --unit=0
terminal_input serial
terminal_output serial
set timeout=0
menuentry Debian {{
	linux /boot/$kernel root=LABEL=root ro console=ttyS0
	initrd /boot/initrd.img-${{kernel#vmlinuz-}}
}}
EOF
echo 'LABEL=root / ext4 defaults 0 1' >"$1/etc/fstab"
echo stock >"$1/etc/hostname"
cp "$1/boot/grub/i386-pc/boot.img" "$1/boot/grub/i386-pc/core.img" "$TARGET"
"""


def run(*args, **more):
    subprocess.run(args, check=True, stdin=subprocess.DEVNULL, **more)


def main():
    out = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(dir=os.path.dirname(out)) as folder:
        def path(name):
            return os.path.join(folder, name)

        with open(path("hook"), "w", encoding="ascii") as f:
            f.write("#!/bin/sh\n" + HOOK.replace("$TARGET", folder))
        os.chmod(path("hook"), 0o755)
        os.chmod(folder, 0o777)
        run("mmdebstrap", "--variant=apt", "--include=" + PACKAGES, "--quiet",
            "--customize-hook=" + path("hook"), "bookworm", path("root.tar"))
        # as root in a namespace of its own, so that the files are root's in the file system
        run(*(("mmdebstrap", "--unshare-helper") if os.geteuid() else ()), "sh", "-c",
            "mkdir tree && tar -C tree --exclude=./dev/* -xf root.tar && "
            f"mke2fs -q -t ext4 -L root -d tree part {(SIZE - START * 512) // 1024}k && "
            "rm -rf tree && chmod 0666 part", cwd=folder)
        with open(path("boot.img"), "rb") as f:
            boot = bytearray(f.read(512))
        with open(path("core.img"), "rb") as f:
            core = bytearray(f.read())
        assert len(core) <= (START - 1) * 512
        # where the first sector finds the second, and the second the rest: grub's boot.S, diskboot.S
        struct.pack_into("<Q", boot, 0x5c, 1)
        boot[0x66:0x68] = b"\x90\x90"
        struct.pack_into("<QHH", core, 512 - 12, 2, (len(core) + 511) // 512 - 1, 0x820)
        struct.pack_into("<B3sB3sII", boot, 446, 0x80, b"\xff\xff\xff", 0x83, b"\xff\xff\xff", START,
                         SIZE // 512 - START)
        boot[462:510] = bytes(48)
        boot[510:512] = b"\x55\xaa"
        with open(path("disk"), "wb") as f:
            f.write(boot + core)
            f.truncate(SIZE)
        run("dd", "if=" + path("part"), "of=" + path("disk"), "bs=1M", "seek=1", "conv=sparse,notrunc",
            "status=none")
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", path("disk"), out)


if __name__ == "__main__":
    main()
