/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What auto chooses, what the doctor makes of a machine, and the two forms of its report. */
#include "unit.h"

#include "base/json.h"
#include "cli/doctor.h"

/* A machine on which all is well. */
static struct doctor_facts healthy(void)
{
	return (struct doctor_facts){
		.isolation = {.kvm = true, .nested = true},
		.qemu = "/usr/bin/qemu-system-x86_64",
		.qemu_version = "QEMU emulator version 7.2.22",
		.userns = true,
		.tun = true,
		.subuids = 65536,
		.subgids = 65536,
		.id_tools = true,
		.cgroup = "cpu memory",
		.cache = "/home/u/.cache/contractor",
		.cache_free = 100 * GIB,
		.memory = 16 * GIB,
		.mke2fs = true,
		.mmdebstrap = true,
		.apt = true,
	};
}

START_TEST(choice)
{
	static const struct {
		enum spec_isolation asked;
		bool kvm, nested;
		enum spec_isolation taken;
		const char *why; /* a part of it */
	} cases[] = {
		{SPEC_ISOLATION_AUTO, true, true, SPEC_ISOLATION_NESTED, "offers nested"},
		{SPEC_ISOLATION_AUTO, true, false, SPEC_ISOLATION_SINGLE, "no nested"},
		{SPEC_ISOLATION_AUTO, false, true, SPEC_ISOLATION_SINGLE, "gone fishing"},
		{SPEC_ISOLATION_AUTO, false, false, SPEC_ISOLATION_SINGLE, "gone fishing"},
		{SPEC_ISOLATION_NESTED, true, true, SPEC_ISOLATION_NESTED, "offers nested"},
		{SPEC_ISOLATION_NESTED, true, false, SPEC_ISOLATION_NESTED, "slow"},
		{SPEC_ISOLATION_NESTED, false, false, SPEC_ISOLATION_NESTED, "slow"},
		{SPEC_ISOLATION_SINGLE, true, true, SPEC_ISOLATION_SINGLE, "asked for"},
		{SPEC_ISOLATION_SINGLE, false, false, SPEC_ISOLATION_SINGLE, "asked for"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct isolation_facts f = {.kvm = cases[i].kvm, .nested = cases[i].nested};
		char why[512] = "";

		(void)snprintf(f.kvm_why, sizeof(f.kvm_why), "gone fishing");
		ck_assert_int_eq(isolation_choose(cases[i].asked, &f, why, sizeof(why)),
				 cases[i].taken);
		ck_assert_msg(strstr(why, cases[i].why), "%zu: %s", i, why);
		ck_assert_ptr_null(strchr(why, '\n'));
	}
}
END_TEST

static const struct doctor_line *line(const struct doctor_report *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++) {
		if (strcmp(r->lines[i].name, name) == 0)
			return &r->lines[i];
	}
	ck_abort_msg("no line %s", name);
}

START_TEST(all_well)
{
	struct doctor_facts f = healthy();
	struct doctor_report r;

	doctor_judge(&f, &r);
	ck_assert(r.can_build);
	ck_assert_int_eq(r.isolation, SPEC_ISOLATION_NESTED);
	ck_assert_uint_le(r.n, DOCTOR_LINES_MAX);
	for (size_t i = 0; i < r.n; i++)
		ck_assert_msg(r.lines[i].state == DOCTOR_OK, "%s: %s", r.lines[i].name,
			      r.lines[i].text);
}
END_TEST

/* Each thing taken away alone: its line says so, and whether builds still run. */
START_TEST(one_missing)
{
	const struct doctor_facts well = healthy();
	struct doctor_facts f[16];
	struct {
		const char *name;
		bool can_build;
	} cases[] = {
		{"qemu", false},  {"kvm", true},     {"nested", true},	{"namespaces", false},
		{"tun", true},	  {"cgroup", true},  {"disk", true},	{"disk", false},
		{"memory", true}, {"memory", false}, {"mke2fs", false}, {"mmdebstrap", true},
		{"subuid", true}, {"subuid", true},  {"apt", true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		f[i] = well;
	f[0].qemu[0] = '\0';
	f[1].isolation.kvm = false;
	f[2].isolation.nested = false;
	f[3].userns = false;
	f[4].tun = false;
	f[5].cgroup[0] = '\0';
	f[6].cache_free = GIB;
	f[7].cache_free = 0;
	f[8].memory = 2 * GIB;
	f[9].memory = 100 * MIB;
	f[10].mke2fs = false;
	f[11].mmdebstrap = false;
	f[12].subgids = 1000;
	f[13].id_tools = false;
	f[14].apt = false;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct doctor_report r;

		doctor_judge(&f[i], &r);
		ck_assert_msg(r.can_build == cases[i].can_build, "%zu %s", i, cases[i].name);
		ck_assert_msg(line(&r, cases[i].name)->state ==
				      (cases[i].can_build ? DOCTOR_NOTE : DOCTOR_FAIL),
			      "%zu %s", i, cases[i].name);
	}
}
END_TEST

START_TEST(forms)
{
	_cleanup_buf_ struct buf text = {0}, json = {0};
	_cleanup_(json_free_p) cJSON *j = NULL;
	struct doctor_facts f = healthy();
	struct doctor_report r;
	struct err e = ERR_INIT;
	const cJSON *checks;

	f.mke2fs = false;
	f.isolation.kvm = false;
	doctor_judge(&f, &r);
	ck_assert_int_eq(doctor_print_text(&r, &text), 0);
	ck_assert_ptr_nonnull(strstr(buf_str(&text), "fail  mke2fs"));
	ck_assert_ptr_nonnull(strstr(buf_str(&text), "isolation: auto takes single"));
	ck_assert_ptr_nonnull(strstr(buf_str(&text), "No build can run here"));
	ck_assert_int_eq(doctor_print_json(&r, &json), 0);
	ck_assert_int_eq(json_parse(buf_str(&json), json.len, &j, &e), 0);
	ck_assert(!json_bool_or(j, "can-build", true));
	ck_assert_str_eq(json_str(json_get(j, "isolation"), "auto"), "single");
	checks = json_get(j, "checks");
	ck_assert_int_eq(cJSON_GetArraySize(checks), (int)r.n);
	for (size_t i = 0; i < r.n; i++) {
		const cJSON *c = cJSON_GetArrayItem(checks, (int)i);

		ck_assert_str_eq(json_str(c, "name"), r.lines[i].name);
		ck_assert_str_eq(json_str(c, "text"), r.lines[i].text);
		ck_assert_ptr_nonnull(json_str(c, "state"));
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("doctor");
	TCase *c = unit_case(s, "doctor");

	tcase_add_test(c, choice);
	tcase_add_test(c, all_well);
	tcase_add_test(c, one_missing);
	tcase_add_test(c, forms);
	return s;
}
