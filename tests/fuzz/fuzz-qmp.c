/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: a QEMU that says anything. The decoder takes each input as one line; the client then
 * hears it over a socket, in pieces, while commands wait. Each command gets its one answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "qmp/commands.h"
#include "qmp/message.h"
#include "qmp/qmp.h"

#define COMMANDS 4

struct heard {
	int replies[COMMANDS];
	int closed;
};

struct slot {
	struct heard *heard;
	int n;
};

static void on_reply(int code, const cJSON *ret, const struct err *e, void *user_data)
{
	struct slot *s = user_data;

	if (code > 0 || (code == 0) != (e->code == 0))
		abort();
	if (code == 0 && !ret)
		abort();
	s->heard->replies[s->n]++;
}

static void on_event(const char *name, const cJSON *data, void *user_data)
{
	if (((struct heard *)user_data)->closed || !name)
		abort();
	(void)json_str(data, "reason");
}

static void on_closed(const struct err *why, void *user_data)
{
	if (why->code >= 0 || !why->text[0])
		abort();
	((struct heard *)user_data)->closed++;
}

static void decode(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	struct qmp_blockstats stats;
	struct qmp_message m;
	struct err e = ERR_INIT;

	if (!line)
		return;
	if (size)
		memcpy(line, data, size);
	line[size] = '\0';
	if (qmp_decode(line, size, &m, &e) == 0) {
		if (m.kind == QMP_RETURN)
			(void)qmp_parse_blockstats(m.body, &stats, &e);
		qmp_message_done(&m);
	} else if (e.code >= 0) {
		abort();
	}
	free(line);
}

/* Starts the commands; one of them has a descriptor, which none may wait behind for ever. */
static void ask(struct qmp *q, struct slot *slots)
{
	for (int i = 0; i < COMMANDS; i++) {
		int fd = i == 1 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;

		if (qmp_command_fd(q, "x", NULL, fd, 60000, on_reply, &slots[i]) < 0)
			slots[i].heard->replies[i]++;
	}
}

static void converse(struct loop *l, int fd, struct qmp *q, const uint8_t *data, size_t size)
{
	size_t piece = size ? data[0] % 64 + 1 : 1;

	/* the greeting is given, for most inputs would not come past it */
	if (size && data[0] & 0x80)
		(void)send(fd, "{\"QMP\":{}}\n{\"return\":{},\"id\":5}\n", 33, MSG_NOSIGNAL);
	(void)loop_step(l, 0);
	for (size_t at = 1; at < size; at += piece) {
		size_t n = MIN(piece, size - at);

		if (send(fd, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
			break;
		(void)loop_step(l, 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard heard = {0};
	struct slot slots[COMMANDS];
	const struct qmp_callbacks cb = {on_event, on_closed, &heard};
	struct qmp *q = NULL;
	struct loop *l = NULL;
	int sv[2];

	decode(data, size);
	if (loop_new(&l) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		abort();
	if (qmp_new(l, sv[1], 60000, &cb, &q, NULL) < 0)
		abort();
	for (int i = 0; i < COMMANDS; i++)
		slots[i] = (struct slot){&heard, i};
	ask(q, slots);
	converse(l, sv[0], q, data, size);
	(void)close(sv[0]);
	(void)loop_step(l, 0);
	(void)qmp_free(q);
	for (int i = 0; i < COMMANDS; i++) {
		if (heard.replies[i] != 1)
			abort();
	}
	if (heard.closed > 1)
		abort();
	(void)loop_free(l);
	return 0;
}
