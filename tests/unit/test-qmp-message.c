/* SPDX-License-Identifier: GPL-3.0-or-later */
/* qmp: the pure parts, lines and the answers of typed commands. */
#include "unit.h"

#include <errno.h>

#include "base/buf.h"
#include "qmp/commands.h"
#include "qmp/message.h"

static int decode(const char *text)
{
	struct qmp_message m = {0};
	int r = qmp_decode(text, strlen(text), &m, NULL);

	qmp_message_done(&m);
	return r;
}

START_TEST(decoder)
{
	static const char text[] =
		"{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\"}, "
		"\"id\": 12, \"more\": [1]}\r";
	struct qmp_message m;

	ck_assert_int_eq(qmp_decode(text, sizeof(text) - 1, &m, NULL), 0);
	ck_assert_int_eq(m.kind, QMP_ERROR);
	ck_assert(m.has_id);
	ck_assert_uint_eq(m.id, 12);
	ck_assert_int_eq(qmp_class_code(m.class), -ENOSYS);
	ck_assert_str_eq(m.desc, "no");
	qmp_message_done(&m);
	ck_assert_int_eq(qmp_class_code("DeviceNotActive"), -ENODEV);
	ck_assert_int_eq(qmp_class_code("GenericError"), -EIO);
	ck_assert_int_eq(decode("{\"event\": \"STOP\"}"), 0);
	ck_assert_int_eq(decode("{\"return\": null, \"id\": 1}"), 0);
	ck_assert_int_eq(decode("{\"error\": {}}"), 0);
}
END_TEST

START_TEST(decoder_refuses)
{
	static const char *const bad[] = {
		"",
		"hello",
		"{",
		"[]",
		"1",
		"{}",
		"{\"return\": {}, \"event\": \"STOP\"}",
		"{\"return\": {}, \"error\": {}}",
		"{\"event\": 5}",
		"{\"error\": \"text\"}",
		"{\"QMP\": 1}",
		"{\"return\": {}} {\"return\": {}}",
		"{\"Return\": {}}",
	};
	struct buf b = {0};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(decode(bad[i]) == -EBADMSG, "%s", bad[i]);
	/* depth: the parser's own limit holds long before the stack does */
	for (int i = 0; i < 900000; i++)
		ck_assert_int_eq(buf_putc(&b, '['), 0);
	ck_assert_int_eq(decode(buf_str(&b)), -EBADMSG);
	buf_done(&b);
	/* breadth: two bytes a value */
	ck_assert_int_eq(buf_puts(&b, "{\"return\":[0"), 0);
	for (int i = 0; i < QMP_VALUES_MAX; i++)
		ck_assert_int_eq(buf_puts(&b, ",0"), 0);
	ck_assert_int_eq(buf_puts(&b, "]}"), 0);
	ck_assert_int_eq(decode(buf_str(&b)), -E2BIG);
	buf_done(&b);
}
END_TEST

START_TEST(lines)
{
	size_t scanned = 0;

	ck_assert_int_eq(qmp_line("ab", 2, &scanned), -EAGAIN);
	ck_assert_uint_eq(scanned, 2);
	ck_assert_int_eq(qmp_line("abc\nd", 5, &scanned), 3);
	ck_assert_uint_eq(scanned, 0);
	ck_assert_int_eq(qmp_line("\n", 1, &scanned), 0);
	ck_assert_int_eq(qmp_line("", 0, &scanned), -EAGAIN);
}
END_TEST

static int parse_stats(const char *text, struct qmp_blockstats *out)
{
	cJSON *j = NULL;
	int r;

	ck_assert_int_eq(json_parse(text, strlen(text), &j, NULL), 0);
	r = qmp_parse_blockstats(j, out, NULL);
	json_free(j);
	return r;
}

#define NODE(name, rd, wr, high)                                                      \
	"{\"node-name\":\"" name "\",\"stats\":{\"rd_bytes\":" rd ",\"wr_bytes\":" wr \
	",\"wr_highest_offset\":" high "}}"

START_TEST(blockstats)
{
	static const char *const bad[] = {
		"{}",
		"5",
		"[" NODE("root", "-1", "0", "0") "]",
		"[" NODE("root", "0", "1.5", "0") "]",
		"[" NODE("root", "0", "0", "1e30") "]",
		"[" NODE("root", "0", "0", "\"9\"") "]",
		"[{\"node-name\":\"root\"}]",
		"[{\"node-name\":\"root\",\"stats\":[]}]",
	};
	struct qmp_blockstats s = {.n = 7};
	struct buf many = {0};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(parse_stats(bad[i], &s) == -EBADMSG, "%s", bad[i]);
	for (int i = 0; i <= QMP_NODES_MAX; i++)
		ck_assert_int_eq(buf_printf(&many, "%s" NODE("n%d", "0", "0", "0"), i ? "," : "[",
					    i),
				 0);
	ck_assert_int_eq(buf_putc(&many, ']'), 0);
	ck_assert_int_eq(parse_stats(buf_str(&many), &s), -EBADMSG);
	buf_done(&many);
	ck_assert_uint_eq(s.n, 7);
	/* a node without a name, or with one that is too long, is none of ours */
	ck_assert_int_eq(parse_stats("[" NODE("scratch", "1", "5000000000",
					      "3") ",{}," NODE("0123456789012345678901234567890123",
							       "0", "0", "0") "]",
				     &s),
			 0);
	ck_assert_uint_eq(s.n, 1);
	ck_assert_str_eq(s.nodes[0].node, "scratch");
	ck_assert_uint_eq(s.nodes[0].wr_bytes, 5000000000);
	ck_assert_uint_eq(s.nodes[0].wr_highest_offset, 3);
}
END_TEST

static cJSON *parsed(const char *text)
{
	cJSON *j = NULL;

	ck_assert_int_eq(json_parse(text, strlen(text), &j, NULL), 0);
	return j;
}

START_TEST(vcpus)
{
	static const char *const bad[] = {
		"{}",
		"[{}]",
		"[{\"cpu-index\":1,\"thread-id\":3}]",
		"[{\"cpu-index\":0,\"thread-id\":-3}]",
		"[{\"cpu-index\":0,\"thread-id\":3},{\"cpu-index\":0,\"thread-id\":4}]",
	};
	struct qmp_vcpus v = {.n = 7};
	struct buf many = {0};
	cJSON *j;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		j = parsed(bad[i]);
		ck_assert_msg(qmp_parse_vcpus(j, &v, NULL) == -EBADMSG, "%s", bad[i]);
		json_free(j);
	}
	for (int i = 0; i <= QMP_VCPUS_MAX; i++)
		ck_assert_int_eq(buf_printf(&many, "%s{\"cpu-index\":%d,\"thread-id\":1}",
					    i ? "," : "[", i),
				 0);
	ck_assert_int_eq(buf_putc(&many, ']'), 0);
	j = parsed(buf_str(&many));
	ck_assert_int_eq(qmp_parse_vcpus(j, &v, NULL), -EBADMSG);
	json_free(j);
	buf_done(&many);
	ck_assert_uint_eq(v.n, 7);
	/* as QEMU 7.2 says it */
	j = parsed("[{\"thread-id\": 3, \"props\": {\"thread-id\": 0, \"socket-id\": 0},"
		   "\"qom-path\": \"/machine/unattached/device[0]\", \"cpu-index\": 0,"
		   "\"target\": \"x86_64\"}, {\"thread-id\": 4, \"cpu-index\": 1}]");
	ck_assert_int_eq(qmp_parse_vcpus(j, &v, NULL), 0);
	json_free(j);
	ck_assert_uint_eq(v.n, 2);
	ck_assert_uint_eq(v.thread[0], 3);
	ck_assert_uint_eq(v.thread[1], 4);
}
END_TEST

START_TEST(stats)
{
	static const struct {
		const char *text;
		uint64_t sum;
	} all[] = {
		{"[]", 0},
		{"{}", 0},
		{"[5, {}, {\"stats\": {}}, {\"stats\": [5, {}]}]", 0},
		{"[{\"provider\": \"kvm\", \"qom-path\": \"/machine/unattached/device[0]\","
		 "\"stats\": [{\"name\": \"exits\", \"value\": 7},"
		 "{\"name\": \"halt_exits\", \"value\": 100}]},"
		 "{\"stats\": [{\"name\": \"exits\", \"value\": 5000000000}]}]",
		 5000000007},
		{"[{\"stats\": [{\"name\": \"exits\", \"value\": -1},"
		 "{\"name\": \"exits\", \"value\": [1, 2]},{\"name\": \"exits\"},"
		 "{\"name\": \"exits\", \"value\": 2}]}]",
		 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		cJSON *j = parsed(all[i].text);

		ck_assert_msg(qmp_parse_stat(j, "exits") == all[i].sum, "%s", all[i].text);
		json_free(j);
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("qmp-message");
	TCase *tc = unit_case(s, "qmp-message");

	tcase_add_test(tc, decoder);
	tcase_add_test(tc, decoder_refuses);
	tcase_add_test(tc, lines);
	tcase_add_test(tc, blockstats);
	tcase_add_test(tc, vcpus);
	tcase_add_test(tc, stats);
	return s;
}
