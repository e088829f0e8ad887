/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A real guest, from a worker image's kernel: how it ended is told by events, and disks are told
 * apart by serial. Its first program is a script of the test's own, laid over the image's initrd.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/io.h"
#include "bench.h"
#include "image/manifest.h"
#include "unit.h"
#include "vm/kernel.h"

static const char init[] =
	"#!/bin/busybox sh\n"
	"B=/bin/busybox\n"
	"$B mkdir -p /dev /proc /sys\n"
	"$B mount -t devtmpfs dev /dev; $B mount -t proc proc /proc; $B mount -t sysfs sys /sys\n"
	"exec >/dev/console 2>&1\n"
	"for a in $($B cat /proc/cmdline); do case $a in mode=*) mode=${a#mode=} ;; esac; done\n"
	"echo \"begin $mode\"\n"
	"case $mode in\n"
	"reboot) $B reboot -f ;;\n"
	"poweroff) $B poweroff -f ;;\n"
	"panic) echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger ;;\n"
	/* with the driver from the image, whose initrd has none */
	"pvpanic)\n"
	"	for m in virtio_pci virtio_mmio virtio_blk ext4; do $B modprobe $m; done\n"
	"	$B mkdir -p /image\n"
	"	$B mount -t ext4 -o ro,noload /dev/vda /image || $B mount -t ext4 -o ro,noload "
	"/dev/vdb /image\n"
	"	d=/image/usr/lib/modules/$($B uname -r)/kernel/drivers/misc/pvpanic\n"
	"	for m in pvpanic pvpanic-mmio pvpanic-pci; do\n"
	"		[ ! -e $d/$m.ko ] || $B insmod $d/$m.ko\n"
	"	done\n"
	"	echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger ;;\n"
	"exit) exit 0 ;;\n"
	"disks)\n"
	"	$B modprobe virtio_pci; $B modprobe virtio_mmio; $B modprobe virtio_blk\n"
	"	for d in /sys/block/vd?; do\n"
	"		s=$($B cat $d/serial)\n"
	"		echo \"disk $s $($B cat $d/ro) $($B cat $d/size)\"\n"
	"		[ $s != scratch ] || scratch=/dev/${d##*/}\n"
	"	done\n"
	"	echo 1 | $B dd of=$scratch bs=512 conv=sync oflag=direct 2>/dev/null; echo "
	"written\n"
	"	$B dd if=/dev/zero of=$scratch bs=4096 seek=128 count=1 oflag=direct ;;\n"
	"esac\n"
	"echo idle\n"
	"while :; do :; done\n";

struct boot {
	struct bench b;
	struct manifest *m;
	int image, initrd;
	char cmdline[512];
};

/* The image's initrd and behind it an archive ("newc", see the kernel's initramfs documentation)
 * with one file: of two of one name the later counts.
 */
static int make_initrd(const struct boot *t)
{
	int fd = bench_file(0, false);
	struct buf b = {0};

	ck_assert_int_eq(buf_reserve(&b, t->m->initrd.size + 8192), 0);
	b.len = (size_t)pread(t->image, b.data, t->m->initrd.size, (off_t)t->m->initrd.offset);
	ck_assert_uint_eq(b.len, t->m->initrd.size);
	while (b.len % 512)
		b.data[b.len++] = '\0';
	for (int last = 0; last < 2; last++) {
		const char *name = last ? "TRAILER!!!" : "init";
		size_t size = last ? 0 : sizeof(init) - 1;

		ck_assert_int_eq(buf_printf(&b,
					    "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x"
					    "%08zx%08x%s",
					    last ? 0 : 1, last ? 0 : 0100755, 0, 0, 1, 0, size, 0,
					    0, 0, 0, strlen(name) + 1, 0, name),
				 0);
		do {
			ck_assert_int_eq(buf_putc(&b, '\0'), 0);
		} while (b.len % 4);
		ck_assert_int_eq(buf_put(&b, init, size), 0);
		while (b.len % 4)
			ck_assert_int_eq(buf_putc(&b, '\0'), 0);
	}
	ck_assert_int_eq(io_write_full(fd, b.data, b.len), 0);
	buf_done(&b);
	return fd;
}

static void boot(struct boot *t, enum vm_machine machine, const char *mode, uint64_t file_size)
{
	struct stat st;
	struct err e = ERR_INIT;
	char begin[64], parameters[VM_KERNEL_PARAMETERS_MAX];

	bench_init(&t->b);
	ck_assert_msg(manifest_load(getenv("CONTRACTOR_TEST_IMAGE"), &t->m, &t->image, &e) == 0,
		      "%s", e.text);
	t->initrd = make_initrd(t);
	ck_assert_int_eq(fstat(t->initrd, &st), 0);
	t->b.s.kernel = (struct vm_blob){t->image, t->m->kernel.offset, t->m->kernel.size};
	t->b.s.initrd = (struct vm_blob){t->initrd, 0, (uint64_t)st.st_size};
	t->b.s.desc.machine = machine;
	t->b.s.desc.disks[0] =
		(struct vm_disk){"root", t->image, true, t->m->root.offset, t->m->root.size};
	vm_kernel_parameters(&t->b.s.desc, parameters, sizeof(parameters));
	(void)snprintf(t->cmdline, sizeof(t->cmdline),
		       "console=ttyS0 quiet panic=-1 reboot=t%s mode=%s", parameters, mode);
	t->b.s.desc.cmdline = t->cmdline;
	t->b.s.desc.memory = 512 * MIB;
	t->b.s.desc.paused = false;
	t->b.s.file_size = file_size;
	bench_start(&t->b);
	(void)snprintf(begin, sizeof(begin), "begin %s", mode);
	bench_until_console(&t->b, begin);
}

/* The guest has ended or been stopped: QEMU still answers, and then ends well. */
static void finish(struct boot *t, const char *events, const char *status)
{
	ck_assert_int_eq(bench_ask(&t->b, "query-status", NULL), 0);
	ck_assert_str_eq(json_str(t->b.ret, "status"), status);
	ck_assert_str_eq(t->b.names, events);
	ck_assert_int_eq(bench_ask(&t->b, "query-blockstats", NULL), 0);
	ck_assert_int_eq(cJSON_GetArraySize(t->b.ret), 2);
	ck_assert_int_eq(bench_ask(&t->b, "quit", NULL), 0);
	bench_until(&t->b, &t->b.exits, 1);
	ck_assert_int_eq(t->b.status, 0);
	bench_done(&t->b);
	t->m = manifest_free(t->m);
	fd_close(&t->image);
	fd_close(&t->initrd);
}

static const enum vm_machine machines[] = {VM_MACHINE_MICROVM, VM_MACHINE_Q35};

START_TEST(reboot)
{
	struct boot t;

	boot(&t, machines[_i], "reboot", 0);
	bench_until(&t.b, &t.b.events, 2);
	finish(&t, "SHUTDOWN:guest-reset STOP ", "shutdown");
}
END_TEST

START_TEST(poweroff)
{
	struct boot t;

	boot(&t, machines[_i], "poweroff", 0);
	bench_until(&t.b, &t.b.events, 2);
	finish(&t, "SHUTDOWN:guest-shutdown STOP ", "shutdown");
}
END_TEST

/* Without the kernel's pvpanic driver a panic is a reboot that the console has words for. */
static void panic_by(struct boot *t, enum vm_machine machine, const char *mode)
{
	boot(t, machine, mode, 0);
	bench_until_console(&t->b, "Kernel panic - not syncing");
	bench_until(&t->b, &t->b.events, 2);
	finish(t, "SHUTDOWN:guest-reset STOP ", "shutdown");
}

START_TEST(panic)
{
	struct boot t;

	panic_by(&t, machines[_i], "panic");
}
END_TEST

START_TEST(init_ends)
{
	struct boot t;

	panic_by(&t, VM_MACHINE_MICROVM, "exit");
}
END_TEST

START_TEST(pvpanic)
{
	struct boot t;

	boot(&t, machines[_i], "pvpanic", 0);
	bench_until(&t.b, &t.b.events, 3);
	finish(&t, "GUEST_PANICKED SHUTDOWN:guest-panic STOP ", "shutdown");
}
END_TEST

START_TEST(hang)
{
	uint64_t end;
	struct boot t;

	boot(&t, machines[_i], "hang", 0);
	bench_until_console(&t.b, "idle");
	end = io_now_ms() + 1000;
	while (io_now_ms() < end)
		ck_assert_int_eq(loop_step(t.b.l, 50), 0);
	finish(&t, "", "running");
}
END_TEST

START_TEST(disks)
{
	char first[2], root[64];
	struct boot t;

	boot(&t, machines[_i], "disks", 0);
	bench_until_console(&t.b, "written");
	(void)snprintf(root, sizeof(root), "disk root 1 %llu\r\n",
		       (unsigned long long)t.m->root.size / 512);
	ck_assert_ptr_nonnull(strstr(buf_str(vm_console(t.b.v)), root));
	ck_assert_ptr_nonnull(strstr(buf_str(vm_console(t.b.v)), "disk scratch 0 2048\r\n"));
	ck_assert_int_eq(pread(t.b.disks[1], first, 2, 0), 2);
	ck_assert(memcmp(first, "1\n", 2) == 0);
	bench_until_console(&t.b, "idle");
	finish(&t, "", "running");
}
END_TEST

/* RLIMIT_FSIZE: the write fails, the guest is stopped at once, and QEMU lives to say so. */
START_TEST(disk_wall)
{
	struct boot t;

	boot(&t, machines[_i], "disks", 512 * KIB);
	bench_until(&t.b, &t.b.events, 2);
	ck_assert_ptr_nonnull(strstr(buf_str(vm_console(t.b.v)), "written"));
	finish(&t, "BLOCK_IO_ERROR:File too large STOP ", "io-error");
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("qemu-boot");
	TCase *tc = unit_case(s, "qemu-boot");
	int n = ARRAY_SIZE(machines);

	if (!getenv("CONTRACTOR_TEST_IMAGE")) {
		(void)printf("1..0 # SKIP CONTRACTOR_TEST_IMAGE is not set (tests/run.sh makes an "
			     "image)\n");
		exit(EXIT_SUCCESS);
	}
	tcase_set_timeout(tc, 180);
	tcase_add_loop_test(tc, reboot, 0, n);
	tcase_add_loop_test(tc, poweroff, 0, n);
	tcase_add_loop_test(tc, panic, 0, n);
	tcase_add_test(tc, init_ends);
	tcase_add_loop_test(tc, pvpanic, 0, n);
	tcase_add_loop_test(tc, hang, 0, n);
	tcase_add_loop_test(tc, disks, 0, n);
	tcase_add_loop_test(tc, disk_wall, 0, n);
	return s;
}
