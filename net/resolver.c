/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A process for each name being resolved, a queue before them, a short memory behind them. */
#include "resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <resolv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/io.h"

#define KEEP_MS	     10000 /* an answer; the addresses are checked anew for each connection */
#define KEEP_NONE_MS 2000  /* that there is none */

enum entry_state {
	ENTRY_FREE,
	ENTRY_QUEUED,
	ENTRY_RUNNING,
	ENTRY_DONE,
};

struct entry {
	struct resolver *resolver;
	enum entry_state state;
	char name[NET_NAME_SIZE];
	uint64_t since;	 /* order in the queue */
	uint64_t expiry; /* running: to be killed; done: to be forgotten */
	pid_t pid;
	int fd; /* the child's answer */
	struct loop_source *child;
	struct resolver_answer answer;
};

struct resolver {
	struct loop *loop;
	struct loop_source *timer;
	resolver_fn fn;
	void *fn_data;
	uint64_t deadline_ms, asked;
	resolver_done_fn done;
	void *user_data;
	size_t running;
	struct entry entries[RESOLVER_NAMES_MAX];
};

void resolver_system(const char *name, struct resolver_answer *ret, void *user_data)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	int r;

	if (strchr(name, '.') && res_init() == 0)
		_res.options &= ~(unsigned long)(RES_DNSRCH | RES_DEFNAMES);
	*ret = (struct resolver_answer){.code = DIAL_NO_RESOLVER};
	r = getaddrinfo(name, NULL, &hints, &list);
	if (r == EAI_NONAME || r == EAI_NODATA || r == EAI_ADDRFAMILY)
		ret->code = DIAL_NO_NAME;
	if (r != 0)
		return;
	for (struct addrinfo *ai = list; ai && ret->n < RESOLVER_ADDRS_MAX; ai = ai->ai_next) {
		struct sockaddr_storage ss = {0};

		if (ai->ai_addrlen > sizeof(ss))
			continue;
		memcpy(&ss, ai->ai_addr, ai->ai_addrlen);
		if (net_addr_from_sockaddr(&ss, &ret->addrs[ret->n], NULL) == 0)
			ret->n++;
	}
	freeaddrinfo(list);
	ret->code = ret->n > 0 ? DIAL_OK : DIAL_NO_NAME;
}

/* The library that parses answers from the network gets as little as it can work with. */
static _Noreturn void child_main(const struct resolver *r, const char *name, int fd)
{
	struct rlimit cpu = {5, 5}, none = {0, 0};
	struct resolver_answer a = {.code = DIAL_NO_RESOLVER};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)setrlimit(RLIMIT_CPU, &cpu);
	(void)setrlimit(RLIMIT_CORE, &none);
	if (fd != 3 && dup3(fd, 3, O_CLOEXEC) < 0)
		_exit(1);
	if (syscall(SYS_close_range, 4, ~0U, 0) < 0)
		_exit(1);
	r->fn(name, &a, r->fn_data);
	_exit(io_write_full(3, &a, sizeof(a)) < 0);
}

static bool is_valid(const struct resolver_answer *a)
{
	uint8_t v6;

	if (a->code != DIAL_OK)
		return a->code == DIAL_NO_NAME && a->n == 0;
	if (a->n == 0 || a->n > RESOLVER_ADDRS_MAX)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		memcpy(&v6, &a->addrs[i].v6, 1); /* any other byte is no bool */
		if (v6 > 1)
			return false;
	}
	return true;
}

static void start_queued(struct resolver *r);

static void finish(struct entry *en)
{
	struct resolver *r = en->resolver;
	struct resolver_answer a;
	ssize_t n = io_read_full(en->fd, &a, sizeof(a));

	fd_close(&en->fd);
	en->child = NULL;
	r->running--;
	if (n != (ssize_t)sizeof(a) || !is_valid(&a))
		a = (struct resolver_answer){.code = DIAL_NO_RESOLVER};
	en->answer = a;
	en->state = ENTRY_DONE;
	en->expiry = io_now_ms();
	if (a.code == DIAL_OK)
		en->expiry += KEEP_MS;
	else if (a.code == DIAL_NO_NAME)
		en->expiry += KEEP_NONE_MS;
	start_queued(r);
	r->done(en->name, &a, r->user_data);
}

static void on_child(struct loop_source *s, const siginfo_t *info, void *user_data)
{
	finish(user_data);
}

static int start(struct entry *en)
{
	struct resolver *r = en->resolver;
	_cleanup_close_ int rd = -1, wr = -1;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	rd = fds[0];
	wr = fds[1];
	en->pid = fork();
	if (en->pid < 0)
		return -errno;
	if (en->pid == 0)
		child_main(r, en->name, wr);
	if (loop_add_child(r->loop, en->pid, on_child, en, &en->child) < 0) {
		(void)kill(en->pid, SIGKILL);
		(void)waitpid(en->pid, NULL, 0);
		return -EMFILE;
	}
	en->fd = take_fd(&rd);
	en->state = ENTRY_RUNNING;
	en->expiry = io_now_ms() + r->deadline_ms;
	r->running++;
	return 0;
}

static struct entry *next_queued(struct resolver *r)
{
	struct entry *found = NULL;

	for (size_t i = 0; i < RESOLVER_NAMES_MAX; i++) {
		struct entry *en = &r->entries[i];

		if (en->state == ENTRY_QUEUED && (!found || en->since < found->since))
			found = en;
	}
	return found;
}

/* What cannot start now (no process, no descriptor) is tried again by the timer. */
static void start_queued(struct resolver *r)
{
	struct entry *en;

	while (r->running < RESOLVER_CHILDREN_MAX && (en = next_queued(r))) {
		if (start(en) < 0)
			break;
	}
	(void)loop_timer_set(r->timer, r->running || next_queued(r) ? 100 : UINT64_MAX, 100);
}

/* Kills what is too late; its end is then reported like any other. */
static void on_timer(struct loop_source *s, void *user_data)
{
	struct resolver *r = user_data;
	uint64_t now = io_now_ms();

	for (size_t i = 0; i < RESOLVER_NAMES_MAX; i++) {
		struct entry *en = &r->entries[i];

		if (en->state == ENTRY_RUNNING && en->expiry <= now)
			(void)kill(en->pid, SIGKILL); /* not reaped yet: the pid is still its */
	}
	start_queued(r);
}

/* The entry of the name, or one to use for it: free, forgotten, or the one to forget first. */
static struct entry *find(struct resolver *r, const char *name)
{
	struct entry *spare = NULL;

	for (size_t i = 0; i < RESOLVER_NAMES_MAX; i++) {
		struct entry *en = &r->entries[i];

		if (en->state != ENTRY_FREE && strcmp(en->name, name) == 0)
			return en;
		if (en->state == ENTRY_FREE && (!spare || spare->state != ENTRY_FREE))
			spare = en;
		if (en->state == ENTRY_DONE &&
		    (!spare || (spare->state == ENTRY_DONE && en->expiry < spare->expiry)))
			spare = en;
	}
	return spare;
}

int resolver_ask(struct resolver *r, const char *name, const struct resolver_answer **ret)
{
	struct entry *en = find(r, name);

	if (!en)
		return -EBUSY;
	if (en->state == ENTRY_QUEUED || en->state == ENTRY_RUNNING)
		return 0;
	if (en->state == ENTRY_DONE && strcmp(en->name, name) == 0 && en->expiry > io_now_ms()) {
		*ret = &en->answer;
		return 1;
	}
	(void)snprintf(en->name, sizeof(en->name), "%s", name);
	en->state = ENTRY_QUEUED;
	en->since = r->asked++;
	start_queued(r);
	return 0;
}

int resolver_new(struct loop *l, resolver_fn fn, void *fn_data, uint64_t deadline_ms,
		 resolver_done_fn done, void *user_data, struct resolver **ret, struct err *e)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return err_oom(e);
	r->loop = l;
	r->fn = fn ? fn : resolver_system;
	r->fn_data = fn_data;
	r->deadline_ms = deadline_ms;
	r->done = done;
	r->user_data = user_data;
	for (size_t i = 0; i < RESOLVER_NAMES_MAX; i++) {
		r->entries[i].resolver = r;
		r->entries[i].fd = -1;
	}
	rc = loop_add_timer(l, on_timer, r, &r->timer);
	if (rc < 0) {
		free(r);
		return err_errno(e, rc, "cannot start the resolver");
	}
	*ret = r;
	return 0;
}

struct resolver *resolver_free(struct resolver *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < RESOLVER_NAMES_MAX; i++) {
		struct entry *en = &r->entries[i];

		if (en->state != ENTRY_RUNNING)
			continue;
		en->child = loop_remove(en->child);
		(void)kill(en->pid, SIGKILL);
		(void)waitpid(en->pid, NULL, 0);
		fd_close(&en->fd);
	}
	r->timer = loop_remove(r->timer);
	free(r);
	return NULL;
}
