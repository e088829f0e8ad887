/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor manager start, stop, status: managers that wait for builds. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/io.h"
#include "base/num.h"
#include "cmd.h"
#include "isolation.h"
#include "manager-home.h"
#include "options.h"
#include "pool.h"

enum {
	OPT_MEMORY = 256,
	OPT_CPUS,
	OPT_IDLE,
	OPT_TCG,
	OPT_JSON,
};

static const struct option_def start_defs[] = {
	{'n', "number", "N", "how many are to wait (1; at most 16)", NULL},
	{OPT_MEMORY, "memory", "SIZE", "the most that a build's worker may have (2GiB)", NULL},
	{OPT_CPUS, "cpus", "N", "the most processors that a worker may have (the default limit)",
	 NULL},
	{OPT_IDLE, "idle", "TIME", "end when no build has come for so long (1h)", NULL},
	{OPT_TCG, "tcg", NULL, "emulate, even where there is KVM", NULL},
	{0},
};

const struct option_verb verb_manager_start = {
	.name = "manager start",
	.operands = "",
	.about = "Boots manager VMs that wait for builds with isolation: nested. Each is used for "
		 "one build\n"
		 "and replaced; until then it costs memory alone.\n",
	.defs = start_defs,
};

static const struct option_def none_defs[] = {{0}};

const struct option_verb verb_manager_stop = {
	.name = "manager stop",
	.operands = "",
	.about = "Ends the managers that wait. Those that work end with their builds.\n",
	.defs = none_defs,
};

static const struct option_def status_defs[] = {
	{OPT_JSON, "json", NULL, "one JSON object, not text", NULL},
	{0},
};

const struct option_verb verb_manager_status = {
	.name = "manager status",
	.operands = "",
	.about = "Tells how many managers wait, boot and work.\n",
	.defs = status_defs,
};

struct start {
	struct pool_options pool;
	struct spec_limits limits;
	struct manager_image image;
	bool tcg;
	char *path, *lock_path;
	int lock, listener, pipe[2];
};

/* One pool for each user: who has the lock may take the place of a socket that nobody serves. */
static int open_door(struct start *s, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	mode_t mask;
	int r = pool_path(POOL_SOCKET, &s->path, e);

	if (r == 0)
		r = pool_path(POOL_LOCK, &s->lock_path, e);
	if (r < 0)
		return r;
	if (strlen(s->path) >= sizeof(a.sun_path))
		return err_set(e, -ENAMETOOLONG, "%s: too long for a socket", s->path);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", s->path);
	s->lock = open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock < 0)
		return err_errno(e, -errno, "%s", s->lock_path);
	if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, -EBUSY, "managers wait already; see contractor manager status");
	s->pool.path = s->path;
	(void)unlink(s->path);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	r = s->listener < 0 || bind(s->listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
			    listen(s->listener, SOMAXCONN) < 0
		    ? -errno
		    : 0;
	(void)umask(mask);
	return r < 0 ? err_errno(e, r, "%s", s->path) : 0;
}

static void on_ready(const char *error, void *user_data)
{
	struct start *s = user_data;
	const char *text = error ? error : "";

	(void)!write(s->pipe[1], text, strlen(text));
	fd_close(&s->pipe[1]);
}

/* The process that stays: nothing of the terminal is left to it. */
static _Noreturn void serve(struct start *s)
{
	struct err e = ERR_INIT;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)setsid();
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)!chdir("/");
	for (int i = 0; i < 3; i++)
		(void)dup2(null, i);
	fd_close(&s->pipe[0]);
	if (pool_serve(s->listener, s->lock, &s->pool, on_ready, s, &e) < 0)
		on_ready(e.text, s);
	_exit(0);
}

/* Waits until all managers do. */
static int start(struct start *s, struct err *e)
{
	_cleanup_buf_ struct buf said = {0};
	pid_t pid;
	int r = open_door(s, e);

	if (r == 0 && pipe2(s->pipe, O_CLOEXEC) < 0)
		r = err_errno(e, -errno, "cannot make a pipe");
	if (r < 0)
		return r;
	pid = fork();
	if (pid == 0)
		serve(s);
	fd_close(&s->pipe[1]);
	if (pid < 0)
		return err_errno(e, -errno, "cannot start a process");
	r = io_read_all(s->pipe[0], 8 * KIB, &said);
	if (r == 0 && said.len == 0)
		return kill(pid, 0) < 0 ? err_set(e, -ECHILD, "the managers' process ended") : 0;
	return err_set(e, -EIO, "no manager can wait: %s", buf_str(&said));
}

static int take_option(struct start *s, const struct options *o, int c)
{
	uint64_t v;

	switch (c) {
	case 'n':
		if (parse_u64(o->value, &v) < 0 || v < 1 || v > POOL_MAX)
			return options_bad_value(o, "--number", "is not 1 to 16");
		s->pool.n = (unsigned)v;
		return 0;
	case OPT_CPUS:
		if (parse_u64(o->value, &v) < 0 || v < 1 || v > 255)
			return options_bad_value(o, "--cpus", "is not 1 to 255");
		s->limits.cpus = (unsigned)v;
		return 0;
	case OPT_MEMORY:
		if (parse_size(o->value, &v) < 0 || v < 64 * MIB || v > 1024 * GIB)
			return options_bad_value(o, "--memory", "is no size from 64MiB on");
		s->limits.memory = v;
		return 0;
	case OPT_IDLE:
		if (parse_duration(o->value, &s->pool.idle_ms) < 0 || s->pool.idle_ms == 0)
			return options_bad_value(o, "--idle", "is no time");
		return 0;
	case OPT_TCG:
		s->tcg = true;
		return 0;
	}
	return CMD_USAGE;
}

static int cmd_start(struct start *s)
{
	const struct manager_home_options o = {.say = cmd_say};
	struct isolation_facts facts;
	struct err e = ERR_INIT;
	char memory[NUM_TEXT_MAX];
	int r = manager_home_image(&o, &s->image, &s->pool.image_fd, &e);

	isolation_probe("x86_64", &facts);
	s->pool.plan = nested_plan(&s->limits, facts.kvm && !s->tcg, facts.nested);
	s->pool.plan.priority.nice = 10;
	s->pool.image = &s->image;
	if (r == 0)
		r = start(s, &e);
	if (r < 0)
		return cmd_fail(&e, CMD_INFRASTRUCTURE);
	(void)printf("%u %s, with %s of memory each\n", s->pool.n,
		     s->pool.n == 1 ? "manager waits" : "managers wait",
		     format_size(s->pool.plan.memory, memory));
	return CMD_OK;
}

int cmd_manager_start(int argc, char **argv)
{
	struct start s = {.pool = {.n = 1, .idle_ms = POOL_IDLE_MS, .image_fd = -1},
			  .limits = spec_limits_default(),
			  .lock = -1,
			  .listener = -1,
			  .pipe = {-1, -1}};
	struct options o;
	int c, r = CMD_USAGE;

	options_begin(&o, &verb_manager_start, argc, argv);
	while ((c = options_next(&o, &r)) > 0) {
		r = take_option(&s, &o, c);
		if (r != 0)
			return r;
	}
	if (c == 0)
		r = cmd_start(&s);
	manager_image_done(&s.image);
	free(s.path);
	free(s.lock_path);
	return r;
}

static int parse_nothing(const struct option_verb *verb, int argc, char **argv, int *ret_json)
{
	struct options o;
	int c, r = CMD_USAGE;

	options_begin(&o, verb, argc, argv);
	while ((c = options_next(&o, &r)) > 0)
		*ret_json = 1;
	return c < 0 ? r : -1;
}

int cmd_manager_stop(int argc, char **argv)
{
	_cleanup_close_ int fd = -1;
	struct err e = ERR_INIT;
	int json = 0, r = parse_nothing(&verb_manager_stop, argc, argv, &json);
	char byte;

	if (r >= 0)
		return r;
	fd = pool_connect(&e);
	if (fd == -ENOENT) {
		(void)puts("no managers wait");
		return CMD_OK;
	}
	if (fd < 0)
		return cmd_fail(&e, CMD_INFRASTRUCTURE);
	if (pool_send(fd, POOL_STOP, NULL, 0, NULL, 0) < 0)
		return CMD_INFRASTRUCTURE;
	/* until it has ended, or those that work keep it */
	(void)recv(fd, &byte, 1, 0);
	return CMD_OK;
}

static int show(const char *text, size_t len, int json)
{
	_cleanup_(json_free_p) cJSON *j = NULL;
	char memory[NUM_TEXT_MAX], left[NUM_TEXT_MAX];
	struct err e = ERR_INIT;

	if (json)
		return puts(text) < 0 ? CMD_INFRASTRUCTURE : CMD_OK;
	if (json_parse(text, len, &j, &e) < 0)
		return cmd_fail(&e, CMD_INFRASTRUCTURE);
	(void)printf("waiting: %d of %d, booting: %d, at work: %d\n"
		     "each with %d processors and %s of memory; without a build they end in %s\n",
		     (int)json_u64_or(j, "waiting", 0), (int)json_u64_or(j, "wanted", 0),
		     (int)json_u64_or(j, "booting", 0), (int)json_u64_or(j, "in-use", 0),
		     (int)json_u64_or(j, "cpus", 0),
		     format_size(json_u64_or(j, "memory", 0), memory),
		     format_duration(json_u64_or(j, "ends-in-ms", 0), left));
	return CMD_OK;
}

int cmd_manager_status(int argc, char **argv)
{
	_cleanup_free_ char *data = malloc(POOL_MESSAGE_MAX + 1);
	_cleanup_close_ int fd = -1;
	struct err e = ERR_INIT;
	enum pool_word word = 0;
	int json = 0, r = parse_nothing(&verb_manager_status, argc, argv, &json);
	ssize_t n = -1;

	if (r >= 0)
		return r;
	fd = pool_connect(&e);
	if (fd == -ENOENT) {
		(void)puts(json ? "{\"wanted\":0,\"booting\":0,\"waiting\":0,\"in-use\":0}"
				: "no managers wait");
		return CMD_OK;
	}
	if (fd < 0)
		return cmd_fail(&e, CMD_INFRASTRUCTURE);
	if (data && pool_send(fd, POOL_STATUS, NULL, 0, NULL, 0) == 0)
		n = pool_receive(fd, &word, data, NULL, 0);
	if (n >= 0 && word == POOL_INFO)
		return show(data, (size_t)n, json);
	(void)err_set(&e, -EIO, "the managers' process does not answer");
	return cmd_fail(&e, CMD_INFRASTRUCTURE);
}
