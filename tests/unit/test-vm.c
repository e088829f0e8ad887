/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vm: the command line against golden files (UPDATE_GOLDEN=1 rewrites them), refusals, probes. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/io.h"
#include "vm/find.h"
#include "vm/kernel.h"
#include "vm/vm.h"

#ifndef GOLDEN_DIR
#error "GOLDEN_DIR is set by meson.build"
#endif

/* A worker as the manager describes it. */
static struct vm_desc worker(enum vm_machine machine, enum vm_accel accel)
{
	return (struct vm_desc){
		.arch = machine == VM_MACHINE_VIRT ? "aarch64" : "x86_64",
		.machine = machine,
		.accel = accel,
		.cpus = 2,
		.memory = 2 * GIB,
		.kernel = "/kernel",
		.initrd = "/initrd",
		.cmdline = "console=ttyS0 quiet panic=-1",
		.disks = {{"root", 20, true, 0, 512 * MIB},
			  {"scratch", 21, false, 0, 0},
			  {"input", 22, true, 0, 0},
			  {"output", 23, false, MIB, 2 * GIB}},
		.n_disks = 4,
		.ports = {{"contractor.ctl", 30}, {"contractor.log", 31}},
		.n_ports = 2,
		.console_fd = 11,
		.qmp_fd = 10,
		.tap_fd = -1,
	};
}

static void print_argv(const struct vm_desc *d, struct buf *out)
{
	struct err e = ERR_INIT;
	struct vm_argv a;

	ck_assert_msg(vm_argv(d, &a, &e) == 0, "%s", e.text);
	ck_assert_ptr_null(a.v[a.n]);
	for (size_t i = 0; i < a.n; i++)
		ck_assert_int_eq(buf_printf(out, "%s\n", a.v[i]), 0);
	vm_argv_done(&a);
}

static void compare(const char *name, const struct vm_desc *d)
{
	struct buf got = {0}, want = {0};
	struct err e = ERR_INIT;
	char path[512];

	print_argv(d, &got);
	(void)snprintf(path, sizeof(path), GOLDEN_DIR "/argv/%s", name);
	if (getenv("UPDATE_GOLDEN"))
		ck_assert_int_eq(io_write_file_atomic(path, got.data, got.len, 0644, &e), 0);
	ck_assert_msg(io_read_file(AT_FDCWD, path, MIB, &want, &e) == 0, "%s", e.text);
	ck_assert_str_eq(buf_str(&got), buf_str(&want));
	buf_done(&got);
	buf_done(&want);
}

START_TEST(golden)
{
	static const char *const machines[] = {"microvm", "q35", "virt"};
	static const char *const accels[] = {"kvm", "tcg"};
	char name[64];

	for (int m = 0; m < _VM_MACHINE_MAX; m++) {
		for (int a = 0; a < _VM_ACCEL_MAX; a++) {
			for (int net = 0; net < 2; net++) {
				struct vm_desc d = worker((enum vm_machine)m, (enum vm_accel)a);

				if (net) {
					d.tap_fd = 40;
					d.mac = "52:54:00:12:34:56";
				}
				(void)snprintf(name, sizeof(name), "%s-%s-%s", machines[m],
					       accels[a], net ? "net" : "nonet");
				compare(name, &d);
			}
		}
	}
}
END_TEST

START_TEST(golden_odd)
{
	struct vm_desc d = worker(VM_MACHINE_MICROVM, VM_ACCEL_TCG);

	d.paused = true;
	d.tb_size = 256 * MIB;
	d.console_fd = -1;
	d.n_disks = d.n_ports = 0;
	d.initrd = NULL;
	compare("microvm-tcg-bare", &d);

	d = worker(VM_MACHINE_MICROVM, VM_ACCEL_TCG);
	d.memory_kind = VM_MEMORY_SHARED;
	compare("microvm-tcg-save", &d);
	d.memory_kind = VM_MEMORY_TEMPLATE;
	d.kernel = d.initrd = d.cmdline = NULL;
	compare("microvm-tcg-warm", &d);

	/* a stock cloud image: it brings its own kernel */
	d = worker(VM_MACHINE_Q35, VM_ACCEL_KVM);
	d.kernel = d.initrd = d.cmdline = NULL;
	compare("q35-kvm-firmware", &d);

	d = worker(VM_MACHINE_VIRT, VM_ACCEL_TCG);
	d.arch = "riscv64";
	compare("virt-tcg-riscv64", &d);

	/* inside a manager VM the disks are disks, and nothing is cached twice */
	d = worker(VM_MACHINE_MICROVM, VM_ACCEL_TCG);
	for (size_t i = 0; i < d.n_disks; i++)
		d.disks[i].block = true;
	d.virtual_clock = true;
	compare("microvm-tcg-nested", &d);
}
END_TEST

static void refuse(const struct vm_desc *d, const char *what)
{
	struct err e = ERR_INIT;
	struct vm_argv a;

	ck_assert_msg(vm_argv(d, &a, &e) == -EINVAL, "not refused: %s", what);
	ck_assert_msg(strstr(e.text, what), "%s: not about %s", e.text, what);
}

static void more_disks(struct vm_desc *d, size_t n)
{
	static const char *const names[VM_DISKS_MAX] = {"", "", "", "", "a", "b", "c", "d"};

	while (d->n_disks < n) {
		d->disks[d->n_disks] = (struct vm_disk){names[d->n_disks], 50, true, 0, 0};
		d->n_disks++;
	}
}

#define REFUSE(what, change)                                                 \
	do {                                                                 \
		struct vm_desc d = worker(VM_MACHINE_MICROVM, VM_ACCEL_TCG); \
		change;                                                      \
		refuse(&d, what);                                            \
	} while (0)

START_TEST(refusals)
{
	REFUSE("architecture", d.arch = NULL);
	REFUSE("architecture", d.arch = "../x");
	REFUSE("architecture", d.arch = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	REFUSE("machine type", d.machine = _VM_MACHINE_MAX);
	REFUSE("machine type", d.accel = _VM_ACCEL_MAX);
	REFUSE("microvm does not fit architecture aarch64", d.arch = "aarch64");
	REFUSE("virt does not fit architecture x86_64", d.machine = VM_MACHINE_VIRT);
	REFUSE("0 processors", d.cpus = 0);
	REFUSE("256 processors", d.cpus = 256);
	REFUSE("memory", d.memory = MIB);
	REFUSE("but no kernel", d.kernel = NULL);
	REFUSE("boot by firmware", d.kernel = d.initrd = d.cmdline = NULL);
	REFUSE("QMP", d.qmp_fd = -1);
	REFUSE("MAC", d.tap_fd = 5);
	REFUSE("MAC", (d.tap_fd = 5, d.mac = "52:54:00:12:34:5g"));
	REFUSE("MAC", (d.tap_fd = 5, d.mac = "52:54:00:12:34:56,x"));
	REFUSE("at most 8 disks", (d.machine = VM_MACHINE_Q35, d.n_disks = VM_DISKS_MAX + 1));
	REFUSE("serial", d.disks[0].serial = NULL);
	REFUSE("serial", d.disks[0].serial = "");
	REFUSE("serial", d.disks[0].serial = "a,b");
	REFUSE("serial", d.disks[0].serial = "a\"b");
	REFUSE("serial", d.disks[0].serial = "1root");
	REFUSE("serial", d.disks[0].serial = "abcdefghijklmnopqrstu");
	REFUSE("two disks", d.disks[1].serial = "root");
	REFUSE("no descriptor", d.disks[1].fd = -1);
	REFUSE("sectors", d.disks[0].size = 1000);
	REFUSE("sectors", d.disks[3].offset = 1);
	REFUSE("without a size", d.disks[3].size = 0);
	REFUSE("ports", d.n_ports = VM_PORTS_MAX + 1);
	REFUSE("serial port", d.ports[0].name = "a b");
	REFUSE("no descriptor", d.ports[0].fd = -1);
	REFUSE("room for 8", more_disks(&d, 8));
}
END_TEST

/* Two processors that are emulated do not boot together; with KVM nothing needs to be told. */
START_TEST(kernel_parameters)
{
	char out[VM_KERNEL_PARAMETERS_MAX];
	struct vm_desc d = worker(VM_MACHINE_MICROVM, VM_ACCEL_TCG);

	vm_kernel_parameters(&d, out, sizeof(out));
	ck_assert_ptr_nonnull(strstr(out, " maxcpus=1 noreplace-smp"));
#ifdef __x86_64__
	ck_assert(strncmp(out, " tsc_early_khz=", 15) == 0);
	ck_assert_ptr_nonnull(strstr(out, " tsc=reliable lpj="));
#endif
	d.cpus = 1;
	vm_kernel_parameters(&d, out, sizeof(out));
	ck_assert_ptr_null(strstr(out, "maxcpus"));
	/* its counter is not the host's */
	d.virtual_clock = true;
	vm_kernel_parameters(&d, out, sizeof(out));
	ck_assert_str_eq(out, " tsc_early_khz=1000000 tsc=reliable lpj=4000000");
	d = worker(VM_MACHINE_MICROVM, VM_ACCEL_KVM);
	vm_kernel_parameters(&d, out, sizeof(out));
	ck_assert_str_eq(out, "");
	d = worker(VM_MACHINE_VIRT, VM_ACCEL_TCG);
	vm_kernel_parameters(&d, out, sizeof(out));
	ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(accel)
{
	char why[128];

	ck_assert_int_eq(setenv("CONTRACTOR_ACCEL", "tcg", 1), 0);
	ck_assert_int_eq(vm_probe_accel("x86_64", why, sizeof(why)), VM_ACCEL_TCG);
	ck_assert_str_eq(why, "CONTRACTOR_ACCEL=tcg");
	ck_assert_int_eq(setenv("CONTRACTOR_ACCEL", "kvm", 1), 0);
	ck_assert_int_eq(vm_probe_accel("x86_64", why, sizeof(why)), VM_ACCEL_KVM);
	ck_assert_str_eq(why, "");
	ck_assert_int_eq(unsetenv("CONTRACTOR_ACCEL"), 0);
	ck_assert_int_eq(vm_probe_accel("pdp11", why, sizeof(why)), VM_ACCEL_TCG);
	ck_assert_str_eq(why, "this host is no pdp11");
	/* whatever it finds here, it finds it soon, and says why when it is not KVM */
	{
		uint64_t from = io_now_ms();
		enum vm_accel a = vm_probe_accel("x86_64", why, sizeof(why));

		ck_assert_uint_lt(io_now_ms() - from, 3000);
		ck_assert((a == VM_ACCEL_KVM) == (why[0] == '\0'));
	}
}
END_TEST

START_TEST(find_qemu)
{
	char dir[] = "/tmp/contractor-test-XXXXXX", path[128], out[PATH_MAX], env[256];
	struct err e = ERR_INIT;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/qemu-system-pdp11", dir);
	(void)snprintf(env, sizeof(env), "/nonexistent::%s", dir);
	ck_assert_int_eq(setenv("PATH", env, 1), 0);
	ck_assert_int_eq(unsetenv("CONTRACTOR_QEMU"), 0);
	ck_assert_int_eq(vm_find_qemu("x86_64", out, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "apt install qemu-system-x86"));
	ck_assert_int_eq(symlink("/usr/bin/env", path), 0);
	ck_assert_int_eq(vm_find_qemu("pdp11", out, &e), 0);
	ck_assert_str_eq(out, "/usr/bin/env");
	ck_assert_int_eq(setenv("CONTRACTOR_QEMU", "/nonexistent/qemu", 1), 0);
	ck_assert_int_eq(vm_find_qemu("pdp11", out, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "CONTRACTOR_QEMU: /nonexistent/qemu"));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("vm");
	TCase *tc = unit_case(s, "vm");

	tcase_add_test(tc, golden);
	tcase_add_test(tc, golden_odd);
	tcase_add_test(tc, refusals);
	tcase_add_test(tc, kernel_parameters);
	tcase_add_test(tc, accel);
	tcase_add_test(tc, find_qemu);
	return s;
}
