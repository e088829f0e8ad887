/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager VM's walls, and what its console tells of its end. */
#include "unit.h"

#include <fcntl.h>

#include "base/io.h"
#include "cli/nested.h"

#ifndef GOLDEN_DIR
#error "GOLDEN_DIR is set by meson.build"
#endif

static void compare(const char *name, const struct launch_files *files, const struct nested_plan *p)
{
	const struct home_ports ports = {30, 31};
	_cleanup_buf_ struct buf got = {0}, want = {0};
	struct err e = ERR_INIT;
	struct vm_argv a;
	struct vm_desc d;
	char path[512];

	nested_describe(files, p, &ports, &d);
	d.cmdline = "panic=-1";
	d.kernel = "/kernel";
	d.initrd = "/initrd";
	d.qmp_fd = 10;
	d.console_fd = 11;
	ck_assert_msg(vm_argv(&d, &a, &e) == 0, "%s", e.text);
	for (size_t i = 0; i < a.n; i++)
		ck_assert_int_eq(buf_printf(&got, "%s\n", a.v[i]), 0);
	vm_argv_done(&a);
	(void)snprintf(path, sizeof(path), GOLDEN_DIR "/argv/manager-%s", name);
	if (getenv("UPDATE_GOLDEN"))
		ck_assert_int_eq(io_write_file_atomic(path, got.data, got.len, 0644, &e), 0);
	ck_assert_msg(io_read_file(AT_FDCWD, path, MIB, &want, &e) == 0, "%s", e.text);
	ck_assert_str_eq(buf_str(&got), buf_str(&want));
}

START_TEST(golden)
{
	const struct spec_limits l = spec_limits_default();
	const struct launch_files none = {-1, -1, -1, -1, -1, -1, -1, -1, -1};
	struct launch_files files = none;

	files.image = 20;
	files.input = 21;
	files.output = 22;
	files.scratch = 23;
	for (int kvm = 0; kvm < 2; kvm++) {
		struct nested_plan p = nested_plan(&l, kvm, kvm);

		p.cpus = 4; /* the default is this machine's */
		p.memory = 3 * GIB;
		compare(kvm ? "kvm" : "tcg", &files, &p);
		compare(kvm ? "kvm-waits" : "tcg-waits", &none, &p);
	}
	files.layer = 24;
	struct nested_plan p = nested_plan(&l, true, true);

	p.cpus = 4;
	p.memory = 3 * GIB;
	compare("kvm-layer", &files, &p);
}
END_TEST

START_TEST(walls)
{
	struct spec_limits l = spec_limits_default();
	struct nested_plan p;

	l.cpus = 4;
	l.memory = 2 * GIB + 1;
	l.disk = 10 * GIB;
	l.output = 20 * GIB;
	l.cpu_time_ms = 1000000;
	for (int kvm = 0; kvm < 2; kvm++) {
		for (int worker_kvm = 0; worker_kvm < 2; worker_kvm++) {
			p = nested_plan(&l, kvm, worker_kvm);
			ck_assert_int_eq(p.kvm, kvm);
			/* there is no KVM in a machine that has none itself */
			ck_assert_int_eq(p.worker_kvm, kvm && worker_kvm);
			ck_assert_uint_eq(p.cpus, 4);
			ck_assert_uint_eq(p.worker_cpus, p.worker_kvm ? 4 : 1);
			ck_assert_uint_ge(p.memory, l.memory + 384 * MIB);
			ck_assert_uint_eq(p.memory % MIB, 0);
			ck_assert_uint_gt(p.cpu_time_ms, l.cpu_time_ms);
			ck_assert_uint_eq(p.file_size, l.output);
			ck_assert_uint_gt(p.boot_ms, 0);
			ck_assert_uint_gt(p.hello_ms, 0);
		}
	}
	ck_assert_uint_gt(nested_plan(&l, true, false).memory, nested_plan(&l, true, true).memory);
	ck_assert_uint_gt(nested_plan(&l, false, false).boot_ms,
			  nested_plan(&l, true, true).boot_ms);
	l.cpus = 1;
	ck_assert_uint_eq(nested_plan(&l, true, true).cpus, 2);
	ck_assert_uint_eq(nested_plan(&l, true, true).worker_cpus, 1);
	/* a limit that is none does not wrap round to a small one */
	l.cpu_time_ms = UINT64_MAX;
	ck_assert_uint_ge(nested_plan(&l, true, true).cpu_time_ms, UINT64_MAX / 2);
}
END_TEST

START_TEST(last_words)
{
	static const struct {
		const char *console, *words;
	} cases[] = {
		{"", ""},
		{"\n\r\n", ""},
		{"SeaBIOS\r\nBooting from ROM..\r\n", "Booting from ROM.."},
		{"no newline", "no newline"},
		{"\x1b[2JSeaBIOS\r\n\x1b[0m\r\n", ""},
		{"noise\r\ncontractor: no disk\r\ncontractor: powering off\r\nreboot: Power "
		 "down\r\n",
		 "no disk"},
		{"contractor: first\ncontractor: second\nnoise\n", "second"},
		{"contractor: powering off\n", ""},
		{"panic\ncontractor: powering off\n", "panic"},
		{"[ 1.2] Kernel panic - not syncing: x\r\n[ 1.3] Kernel Offset: 0\r\n",
		 "Kernel panic - not syncing: x"},
		{"contractor: \x1b[31mred\n", "\\x1b[31mred"},
	};
	char out[64], small[8];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)nested_last_words(cases[i].console, strlen(cases[i].console), out,
					sizeof(out));
		ck_assert_msg(strcmp(out, cases[i].words) == 0, "%zu: \"%s\"", i, out);
	}
	(void)nested_last_words("contractor: a long complaint", 28, small, sizeof(small));
	ck_assert_uint_lt(strlen(small), sizeof(small));
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("nested");
	TCase *c = unit_case(s, "nested");

	tcase_add_test(c, walls);
	tcase_add_test(c, golden);
	tcase_add_test(c, last_words);
	return s;
}
