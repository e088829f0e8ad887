/* SPDX-License-Identifier: GPL-3.0-or-later */
/* spec: scalars, limits, documents, and the typed values of a whole spec. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/num.h"
#include "spec/doc.h"
#include "spec/scalar.h"
#include "spec/spec.h"

#define HEAD "worker-image: w.img\nsource: .\nworkspace: ws\nbuild: make\n"

static const struct {
	const char *text;
	enum scalar_type type;
	const char *value; /* JSON text, or NULL for an error */
} scalars[] = {
	{"", SCALAR_NULL, ""},
	{"~", SCALAR_NULL, ""},
	{"NULL", SCALAR_NULL, ""},
	{"nULL", SCALAR_STR, ""},
	{"on", SCALAR_BOOL, ""},
	{"oN", SCALAR_STR, ""},
	{"0x1F", SCALAR_INT, "31"},
	{"-0b11", SCALAR_INT, "-3"},
	{"0777", SCALAR_INT, "511"},
	{"08", SCALAR_STR, ""},
	{"1_000", SCALAR_INT, "1000"},
	{"1:30", SCALAR_INT, "90"},
	{"-1:00:01", SCALAR_INT, "-3601"},
	{"1:60", SCALAR_STR, ""},
	{"1:", SCALAR_STR, ""},
	{"1:a", SCALAR_STR, ""},
	{"-0", SCALAR_INT, "0"},
	{"0_", SCALAR_INT, "0"},
	{"0b_", SCALAR_INT, NULL},
	{"0x", SCALAR_STR, ""},
	{"0b2", SCALAR_STR, ""},
	{"0xFFFFFFFFFFFFFFFFFF", SCALAR_INT, "4722366482869645213695"},
	{"100000000000000000000000000", SCALAR_INT, "100000000000000000000000000"},
	{"1e3", SCALAR_STR, ""},
	{"1.0e3", SCALAR_STR, ""},
	{"1.0e+3", SCALAR_FLOAT, "1000.0"},
	{"1.0e+", SCALAR_STR, ""},
	{"1.0E+3", SCALAR_FLOAT, "1000.0"},
	{"1.0ex", SCALAR_STR, ""},
	{"0xabC", SCALAR_INT, "2748"},
	{"1:30.5x", SCALAR_STR, ""},
	{".5e-1", SCALAR_FLOAT, "0.05"},
	{"-.5", SCALAR_STR, ""},
	{"._5", SCALAR_STR, ""},
	{"1.", SCALAR_FLOAT, "1.0"},
	{"1:30.5", SCALAR_FLOAT, "90.5"},
	{"-1:30.", SCALAR_FLOAT, "-90.0"},
	{"1:1:1:1:1:1:1:1:1:1.0", SCALAR_FLOAT, "1.024850440677966e+16"},
	{"1:1:1:1:1:1:1:1:1:1:1.0", SCALAR_FLOAT, NULL},
	{".inf", SCALAR_FLOAT, NULL},
	{"-.INF", SCALAR_FLOAT, NULL},
	{".NaN", SCALAR_FLOAT, NULL},
	{"-.nan", SCALAR_STR, ""},
	{"1.0e+999", SCALAR_FLOAT, NULL},
	{"2001-12-14", SCALAR_STR, ""},
	{"+", SCALAR_STR, ""},
	{"-", SCALAR_STR, ""},
	{".", SCALAR_STR, ""},
	{":1", SCALAR_STR, ""},
};

START_TEST(scalar_types)
{
	for (size_t i = 0; i < ARRAY_SIZE(scalars); i++) {
		const char *text = scalars[i].text;
		enum scalar_type type = scalar_type_of(text);
		char *json = NULL;
		int r = 0;

		ck_assert_msg(type == scalars[i].type, "%s: type %d", text, type);
		if (type != SCALAR_INT && type != SCALAR_FLOAT)
			continue;
		r = type == SCALAR_INT ? scalar_int(text, &json, NULL)
				       : scalar_float(text, &json, NULL);
		ck_assert_msg(scalars[i].value ? r == 0 && strcmp(json, scalars[i].value) == 0
					       : r == -EINVAL,
			      "%s: %d %s", text, r, json ? json : "");
		free(json);
	}
}
END_TEST

START_TEST(scalar_refused)
{
	char digits[SCALAR_NUMBER_MAX + 2];
	struct err e = ERR_INIT;
	char *json = NULL;
	bool b = false;

	memset(digits, '9', sizeof(digits));
	digits[SCALAR_NUMBER_MAX + 1] = '\0';
	ck_assert_int_eq(scalar_int(digits, &json, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "1024"));
	ck_assert_int_eq(scalar_float(digits, &json, &e), -EINVAL);
	digits[SCALAR_NUMBER_MAX] = '\0';
	ck_assert_int_eq(scalar_int(digits, &json, &e), 0);
	ck_assert_str_eq(json, digits);
	free(json);
	memcpy(digits, "0x", 2);
	memset(digits + 2, 'F', SCALAR_NUMBER_MAX - 2);
	ck_assert_int_eq(scalar_int(digits, &json, &e), 0);
	ck_assert_uint_eq(strlen(json), 1231); /* 16^1022 */
	free(json);
	memset(digits, '9', 400);
	memcpy(digits + 400, ":1.0", 5);
	ck_assert_int_eq(scalar_float(digits, &json, &e), -EINVAL);
	ck_assert_str_eq(e.text, "is out of range");
	ck_assert_int_eq(scalar_int("1.5", &json, &e), -EINVAL);
	ck_assert_int_eq(scalar_float("x", &json, &e), -EINVAL);
	ck_assert_int_eq(scalar_float("--1", &json, &e), -EINVAL);
	ck_assert_int_eq(scalar_float("1:2", &json, &e), -EINVAL);
	ck_assert_int_eq(scalar_float("1e3", &json, &e), 0); /* as !!float has it */
	ck_assert_str_eq(json, "1000.0");
	free(json);
	ck_assert_int_eq(scalar_bool("y", &b), -EINVAL);
	ck_assert_int_eq(scalar_bool("Yes", &b), 0);
	ck_assert(b);
	ck_assert_int_eq(scalar_bool("OFF", &b), 0);
	ck_assert(!b);
}
END_TEST

static const struct {
	const char *set;
	enum spec_limit limit;
	uint64_t value;
} limits_good[] = {
	{"cpus=1", SPEC_LIMIT_CPUS, 1},
	{"cpus=255", SPEC_LIMIT_CPUS, 255},
	{"cpu-time=10min", SPEC_LIMIT_CPU_TIME, 600000},
	{"cpu-time=1", SPEC_LIMIT_CPU_TIME, 1000},
	{"time=1h30min", SPEC_LIMIT_TIME, 5400000},
	{"memory=256MiB", SPEC_LIMIT_MEMORY, 256 * MIB},
	{"disk=10 GB", SPEC_LIMIT_DISK, 10000000000},
	{"output=64K", SPEC_LIMIT_OUTPUT, 65536},
	{"files=1000", SPEC_LIMIT_FILES, 1000},
	{"log=4096", SPEC_LIMIT_LOG, 4096},
};

static const struct {
	const char *set, *word;
} limits_bad[] = {
	{"", "is not NAME=VALUE"},
	{"cpus", "is not NAME=VALUE"},
	{"=5", "is not NAME=VALUE"},
	{"cpus=", "is not a whole number"},
	{"cpus=0", "from 1 to 255"},
	{"cpus=256", "from 1 to 255"},
	{"cpus=1.5", "is not a whole number"},
	{"cpus=-1", "is not a whole number"},
	{"cpus=99999999999999999999", "from 1 to 255"},
	{"cpu=1", "did you mean \"cpus\"?"},
	{"bananas=1", "there are cpus"},
	{"Time=1h", "did you mean \"time\"?"},
	{"time=0.9s", "from 1.00 s"},
	{"time=400d", "from 1.00 s"},
	{"time=soon", "is not a duration"},
	{"time=1GiB", "is not a duration"},
	{"memory=63MiB", "from 64 MiB to 64 TiB"},
	{"memory=65TiB", "from 64 MiB to 64 TiB"},
	{"memory=1h", "is not a size"},
	{"memory=lots\x1b[31m", "lots\\x1b[31m"},
	{"disk=1MiB", "from 16 MiB"},
	{"output=1", "from 64 KiB"},
	{"files=0", "from 1 to 1000000000"},
	{"log=1", "from 4 KiB"},
};

START_TEST(limits)
{
	struct spec_limits l = spec_limits_default();

	ck_assert(l.cpus >= 1 && l.cpus <= 4);
	ck_assert_uint_eq(l.cpu_time_ms, 7200000);
	ck_assert_uint_eq(l.time_ms, 3600000);
	ck_assert_uint_eq(l.memory, 2 * GIB);
	ck_assert_uint_eq(l.disk, 10 * GIB);
	ck_assert_uint_eq(l.output, 2 * GIB);
	ck_assert_uint_eq(l.files, 200000);
	ck_assert_uint_eq(l.log, 100 * MIB);
	for (size_t i = 0; i < ARRAY_SIZE(limits_good); i++) {
		struct err e = ERR_INIT;

		ck_assert_msg(spec_limit_set(&l, limits_good[i].set, &e) == 0, "%s", e.text);
		ck_assert_uint_eq(spec_limit_get(&l, limits_good[i].limit), limits_good[i].value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(limits_bad); i++) {
		struct spec_limits before = l;
		struct err e = ERR_INIT;
		int r = spec_limit_set(&l, limits_bad[i].set, &e);

		ck_assert_msg(r == -EINVAL && strstr(e.text, limits_bad[i].word), "%s: %d %s",
			      limits_bad[i].set, r, e.text);
		ck_assert(memcmp(&l, &before, sizeof(l)) == 0);
	}
}
END_TEST

START_TEST(limit_names)
{
	static const enum spec_unit units[_SPEC_LIMIT_MAX] = {
		SPEC_UNIT_COUNT, SPEC_UNIT_MS,	  SPEC_UNIT_MS,	   SPEC_UNIT_BYTES,
		SPEC_UNIT_BYTES, SPEC_UNIT_BYTES, SPEC_UNIT_COUNT, SPEC_UNIT_BYTES,
	};

	for (enum spec_limit i = 0; i < _SPEC_LIMIT_MAX; i++) {
		ck_assert_int_eq(spec_limit_find(spec_limit_name(i)), (int)i);
		ck_assert_int_eq(spec_limit_unit(i), units[i]);
	}
	ck_assert_int_eq(spec_limit_find("nothing"), -ENOENT);
}
END_TEST

static int parse(const char *text, struct spec **ret, struct err *e)
{
	return spec_parse("t.yaml", "/home/u", text, strlen(text), ret, e);
}

START_TEST(defaults)
{
	struct spec *s = NULL;
	struct err e = ERR_INIT;

	ck_assert_msg(parse(HEAD, &s, &e) == 0, "%s", e.text);
	ck_assert_str_eq(s->path, "t.yaml");
	ck_assert_str_eq(s->dir, "/home/u");
	ck_assert_str_eq(s->worker_image, "w.img");
	ck_assert_str_eq(s->source, ".");
	ck_assert_str_eq(s->workspace, "ws");
	ck_assert_str_eq(s->build, "make");
	ck_assert_ptr_null(s->arch);
	ck_assert_ptr_null(s->ansible);
	ck_assert_int_eq(s->isolation, SPEC_ISOLATION_AUTO);
	ck_assert_str_eq(spec_isolation_name(s->isolation), "auto");
	ck_assert(s->network.denied_fails && s->network.prepare_repositories);
	ck_assert(s->network.n_rules == 0 && s->network.rate == 0 && s->network.total == 0);
	ck_assert_uint_eq(s->n_env, 0);
	ck_assert_uint_eq(s->limits.memory, 2 * GIB);
	ck_assert(s->priority.nice == 10 && s->priority.io == SPEC_IO_LOW);
	spec_free(s);
}
END_TEST

START_TEST(everything)
{
	static const char text[] = HEAD "ansible: [{hosts: worker}]\n"
					"isolation: single\narch: aarch64\n"
					"limits: {cpus: 2, time: 1:30, memory: 1_073_741_824}\n"
					"env: {A: -O2, B: 1.10, C: yes}\n"
					"priority: {nice: 0x13, io: idle}\n"
					"network:\n"
					"  on-denied: report\n"
					"  prepare-repositories: false\n"
					"  bandwidth: {rate: 5MB/s, total: 500000}\n"
					"  allow:\n"
					"  - {host: A.example, protocol: http, phase: prepare}\n"
					"  - host: 10.0.0.0/8\n"
					"    protocol: tcp\n"
					"    ports: [22, 8000-8080]\n"
					"    private: true\n";
	struct spec *s = NULL;
	struct err e = ERR_INIT;
	struct net_rule *r;

	ck_assert_msg(parse(text, &s, &e) == 0, "%s", e.text);
	r = s->network.rules;
	ck_assert(cJSON_IsArray(s->ansible) && cJSON_GetArraySize(s->ansible) == 1);
	ck_assert_int_eq(s->isolation, SPEC_ISOLATION_SINGLE);
	ck_assert_str_eq(s->arch, "aarch64");
	ck_assert(s->limits.cpus == 2 && s->limits.time_ms == 90000 && s->limits.memory == GIB);
	ck_assert(s->priority.nice == 19 && s->priority.io == SPEC_IO_IDLE);
	ck_assert_str_eq(spec_io_name(s->priority.io), "idle");
	ck_assert_uint_eq(s->n_env, 3);
	ck_assert_str_eq(s->env[0].name, "A");
	ck_assert_str_eq(s->env[0].value, "-O2");
	ck_assert_str_eq(s->env[1].value, "1.10"); /* as written, not 1.1 */
	ck_assert_str_eq(s->env[2].value, "yes");
	ck_assert(!s->network.denied_fails && !s->network.prepare_repositories);
	ck_assert(s->network.rate == 5000000 && s->network.total == 500000);
	ck_assert_uint_eq(s->network.n_rules, 2);
	ck_assert_str_eq(r[0].name, "a.example");
	ck_assert(r[0].phases == NET_PHASE_PREPARE && r[0].line == 16 && r[0].column == 5);
	ck_assert(r[0].tcp && !r[0].udp && r[0].n_ports == 1 && r[0].ports[0].first == 80);
	ck_assert(r[1].kind == NET_HOST_IP4 && r[1].prefix_len == 8 && r[1].private_ok);
	ck_assert(r[1].n_ports == 2 && r[1].ports[1].last == 8080);
	ck_assert(r[1].phases == (NET_PHASE_PREPARE | NET_PHASE_BUILD) && r[1].line == 17);
	spec_free(s);
}
END_TEST

static const struct {
	const char *tail;
	int r;
	const char *start; /* of the message, behind the name */
} errors[] = {
	{"build: x\n", -EBADMSG, "5:1: the key \"build\" is there already, at line 4"},
	{"a: [\n", -EBADMSG, "6:1: "},
	{"priority: {nice: 20}\n", -EINVAL, "5:18: nice must be a whole number from 0 to 19"},
	{"priority: {nice: -1}\n", -EINVAL, "5:18: nice must be a whole number from 0 to 19"},
	{"priority: {nice: low}\n", -EINVAL, "5:18: nice must be a whole number from 0 to 19"},
	{"priority: {io: fast}\n", -EINVAL, "5:16: "},
	{"priority: {ioo: low}\n", -EINVAL,
	 "5:12: unknown key \"ioo\" in priority; did you mean \"io\"?"},
	{"priority: 5\n", -EINVAL, "5:11: "},
	{"limits: {cpus: two}\n", -EINVAL, "5:16: cpus: \"two\" is not a whole number"},
	{"colour: red\n", -EINVAL, "5:1: unknown key \"colour\""},
	{"network: {allow: [{host: a.b}]}\n", -EINVAL, "5:19: a rule has no key \"protocol\""},
	{"env: {A: \"\\x01\"}\n", 0, ""},
};

START_TEST(error_places)
{
	char text[512], want[256];

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct spec *s = NULL;
		struct err e = ERR_INIT;
		int r;

		(void)snprintf(text, sizeof(text), "%s%s", HEAD, errors[i].tail);
		(void)snprintf(want, sizeof(want), "t.yaml:%s", errors[i].start);
		r = parse(text, &s, &e);
		ck_assert_msg(r == errors[i].r, "%s: %d %s", errors[i].tail, r, e.text);
		ck_assert_msg(r == 0 || strncmp(e.text, want, strlen(want)) == 0, "%s: %s", want,
			      e.text);
		s = spec_free(s);
		ck_assert_int_eq(parse(text, &s, NULL), r);
		spec_free(s);
	}
}
END_TEST

START_TEST(too_many_rules)
{
	struct buf b = {0};
	struct spec *s = NULL;
	struct err e = ERR_INIT;

	ck_assert_int_eq(buf_puts(&b, HEAD "network:\n  allow:\n"), 0);
	for (int i = 0; i < NET_RULES_MAX; i++)
		ck_assert_int_eq(buf_puts(&b, "  - {host: a.example, protocol: ssh}\n"), 0);
	ck_assert_msg(parse(buf_str(&b), &s, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(s->network.n_rules, NET_RULES_MAX);
	s = spec_free(s);
	ck_assert_int_eq(buf_puts(&b, "  - {host: a.example, protocol: ssh}\n"), 0);
	ck_assert_int_eq(parse(buf_str(&b), &s, &e), -EINVAL);
	ck_assert_str_eq(e.text, "t.yaml:263:5: more than 256 rules");
	buf_done(&b);
}
END_TEST

START_TEST(paths)
{
	static const struct {
		const char *dir, *path, *out;
	} t[] = {
		{"/a/b", "c", "/a/b/c"},
		{"/a/b", ".", "/a/b"},
		{"/a/b", "..", "/a"},
		{"/a/b", "../../..", "/"},
		{"/a/b", "/c//d/./e/", "/c/d/e"},
		{"/", "x", "/x"},
		{"/a", "..b/...", "/a/..b/..."},
		{"/a/b", "./../b/../c", "/a/c"},
		{"/a//b/", "", "/a/b"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char *p = spec_resolve(t[i].dir, t[i].path);

		ck_assert_str_eq(p, t[i].out);
		free(p);
	}
}
END_TEST

START_TEST(files)
{
	char dir[] = "/tmp/contractor-test-XXXXXX", path[128], where[256];
	struct spec *s = NULL;
	cJSON *tree = NULL;
	struct err e = ERR_INIT;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/s.yaml", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, HEAD, sizeof(HEAD) - 1), sizeof(HEAD) - 1);
	close(fd);
	ck_assert_msg(spec_load(path, &s, &e) == 0, "%s", e.text);
	ck_assert_str_eq(s->dir, dir);
	ck_assert_str_eq(s->path, path);
	s = spec_free(s);
	ck_assert_int_eq(spec_load_tree(path, &tree, &e), 0);
	ck_assert_str_eq(json_str(tree, "build"), "make");
	json_free(tree);
	ck_assert_ptr_nonnull(getcwd(where, sizeof(where)));
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(spec_load("s.yaml", &s, &e), 0);
	ck_assert_str_eq(s->dir, dir);
	s = spec_free(s);
	ck_assert_int_eq(spec_load("/nothing.yaml", &s, &e), -ENOENT);
	ck_assert_int_eq(spec_load_tree("/nothing.yaml", &tree, &e), -ENOENT);
	ck_assert_int_eq(spec_load(dir, &s, &e), -EISDIR);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	ck_assert_int_eq(spec_load("fifo", &s, &e), -EINVAL);
	ck_assert_int_eq(unlink("fifo"), 0);
	ck_assert_int_eq(truncate("s.yaml", 1 << 30), 0);
	ck_assert_int_eq(spec_load("s.yaml", &s, &e), -EFBIG);
	ck_assert_int_eq(unlink("s.yaml"), 0);
	ck_assert_int_eq(chdir(where), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

/* A thousand anchors are the most; each alias counts what it brings. */
START_TEST(caps)
{
	struct doc *d = NULL;
	struct err e = ERR_INIT;
	struct buf b = {0};

	for (int i = 0; i < DOC_ANCHORS_MAX; i++)
		ck_assert_int_eq(buf_printf(&b, "- &a%d x\n", i), 0);
	ck_assert_msg(doc_parse("t", buf_str(&b), b.len, &d, &e) == 0, "%s", e.text);
	d = doc_free(d);
	for (int i = 0; i < DOC_EXPANDED_MAX; i++)
		ck_assert_int_eq(buf_puts(&b, "- *a0\n"), 0);
	ck_assert_msg(doc_parse("t", buf_str(&b), b.len, &d, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(d->root->weight, 1 + DOC_ANCHORS_MAX + DOC_EXPANDED_MAX);
	d = doc_free(d);
	ck_assert_int_eq(buf_puts(&b, "- *a0\n"), 0);
	ck_assert_int_eq(doc_parse("t", buf_str(&b), b.len, &d, &e), -EBADMSG);
	ck_assert_int_eq(buf_reserve(&b, DOC_FILE_MAX), 0);
	memset(b.data, ' ', DOC_FILE_MAX);
	ck_assert_int_eq(doc_parse("t", b.data, DOC_FILE_MAX, &d, &e), -EBADMSG);
	ck_assert_str_eq(e.text, "t:1:1: is empty");
	ck_assert_int_eq(doc_parse("t", b.data, DOC_FILE_MAX + 1, &d, &e), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(e.text, "larger than"));
	buf_done(&b);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("spec");
	TCase *tc = unit_case(s, "spec");

	tcase_add_test(tc, scalar_types);
	tcase_add_test(tc, scalar_refused);
	tcase_add_test(tc, limits);
	tcase_add_test(tc, limit_names);
	tcase_add_test(tc, defaults);
	tcase_add_test(tc, everything);
	tcase_add_test(tc, error_places);
	tcase_add_test(tc, too_many_rules);
	tcase_add_test(tc, paths);
	tcase_add_test(tc, files);
	tcase_add_test(tc, caps);
	return s;
}
